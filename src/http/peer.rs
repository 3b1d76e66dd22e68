//! Whether a caller is still there. The HTTP library goes on with a request whose caller hung up;
//! that is right for everything but a long-poll, which would hand a lease to nobody.

use std::any::Any;
use std::io::ErrorKind;
use std::mem::MaybeUninit;

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use socket2::{SockRef, Socket};

/// A second handle on the connection's socket.
struct Peer(Socket);

/// Called for each connection.
pub fn remember(connection: &dyn Any, data: &mut Extensions) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>()
        && let Ok(socket) = SockRef::from(stream).try_clone()
    {
        data.insert(Peer(socket));
    }
}

/// Whether the caller closed the connection, as far as the socket knows.
pub(super) fn hung_up(request: &HttpRequest) -> bool {
    let Some(Peer(socket)) = request.conn_data::<Peer>() else { return false };
    match socket.peek(&mut [MaybeUninit::uninit()]) {
        Ok(bytes) => bytes == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}
