//! Whether a caller is still there. The HTTP library goes on with a request whose caller hung up;
//! that is right for everything but a long-poll, which would hand a lease to nobody.

use std::any::Any;
use std::os::fd::{AsRawFd, RawFd};

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};

/// The connection's socket. A second handle on it would cost each parked poll another descriptor;
/// the number stays good as long as a request of the connection is answered, and is used then only.
struct Peer(RawFd);

/// Called for each connection.
pub fn remember(connection: &dyn Any, data: &mut Extensions) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>() {
        data.insert(Peer(stream.as_raw_fd()));
    }
}

/// Whether the caller closed the connection, as far as the socket knows.
pub(super) fn hung_up(request: &HttpRequest) -> bool {
    let Some(Peer(socket)) = request.conn_data::<Peer>() else { return false };
    match recv(*socket, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
        Ok(bytes) => bytes == 0,
        Err(error) => !matches!(error, Errno::EAGAIN | Errno::EINTR),
    }
}
