//! Connections: how many an address has, until when each must have got on, and whether its caller is
//! still there. The HTTP library goes on with a request whose caller hung up; that is right for
//! everything but a long-poll, which would hand a lease to nobody. It waits for ever for the headers
//! of a second request, and for a reader that does not read: here both have their time.

use std::any::Any;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{StatusCode, Version};
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use actix_web::{Error, HttpRequest};
use nix::errno::Errno;
use nix::sys::socket::sockopt::SndBuf;
use nix::sys::socket::{MsgFlags, Shutdown, recv, setsockopt, shutdown};

use super::address::{IpKey, Trusted};
use super::error::{ApiError, Code};
use super::pace::Pace;
use crate::config::LimitsConfig;
use crate::domain::limits::{LINGER_SECS, SEND_BUFFER_BYTES, SILENCE_SECS_MAX};

/// No time is set.
const NEVER: u64 = u64::MAX;

/// All connections.
#[derive(Debug)]
pub struct Peers {
    most: usize,
    trusted: Trusted,
    pace: Pace,
    headers: Duration,
    /// From one request to the headers of the next.
    rest: Duration,
    began: Instant,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    lines: HashMap<u64, Arc<Line>>,
    count: HashMap<IpKey, usize>,
    last: u64,
}

/// One connection. A second handle on its socket would cost each parked poll another descriptor; the
/// number stays good as long as the connection's data live, since they go before the socket does.
#[derive(Debug)]
struct Line {
    socket: RawFd,
    /// Milliseconds of the server's life at which it is cut.
    until: AtomicU64,
    /// Whether no further request is taken from it.
    shut: AtomicBool,
}

/// What a connection holds, until it is closed.
struct Peer {
    peers: Arc<Peers>,
    line: Arc<Line>,
    id: u64,
    /// Whose it is; `None` for a trusted proxy's.
    of: Option<IpKey>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let mut open = self.peers.open();
        open.lines.remove(&self.id);
        let Some(of) = self.of else { return };
        if let Some(count) = open.count.get_mut(&of) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.count.remove(&of);
            }
        }
    }
}

impl Peers {
    /// None yet.
    #[must_use]
    pub fn new(limits: &LimitsConfig, trusted: Trusted) -> Self {
        let secs = |secs: std::num::NonZeroU32| Duration::from_secs(secs.get().into());
        let headers = secs(limits.headers_secs);
        Self {
            most: limits.connections_per_ip,
            trusted,
            pace: Pace::of(limits),
            headers,
            rest: secs(limits.keep_alive_secs) + headers,
            began: Instant::now(),
            open: Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it is held; if something did, each count is whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So far from now.
    fn after(&self, time: Duration) -> u64 {
        u64::try_from((self.began.elapsed() + time).as_millis()).unwrap_or(NEVER)
    }

    /// Called for each new connection.
    pub fn welcome(self: &Arc<Self>, connection: &dyn Any, data: &mut Extensions) {
        let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
        let socket = stream.as_raw_fd();
        give_up_on_silence(stream);
        hold_little(stream);
        let of = stream.peer_addr().ok().map(|peer| peer.ip());
        let of = of.filter(|ip| !self.trusted.has(*ip)).map(IpKey::from);
        // A little longer than the library gives the first headers, which answers before it closes.
        let until = self.after(self.headers + Duration::from_secs(LINGER_SECS));
        let (until, shut) = (AtomicU64::new(until), AtomicBool::new(false));
        let line = Arc::new(Line { socket, until, shut });
        let (id, count) = {
            let mut open = self.open();
            open.last += 1;
            let id = open.last;
            open.lines.insert(id, line.clone());
            let count = of.map_or(0, |of| {
                let count = open.count.entry(of).or_default();
                *count += 1;
                *count
            });
            (id, count)
        };
        if count > self.most {
            metrics::counter!(crate::telemetry::CONNECTIONS_REFUSED).increment(1);
            // What came already is still read, but not answered.
            line.shut.store(true, Ordering::Relaxed);
            close(socket);
        }
        data.insert(Peer { peers: self.clone(), line, id, of });
    }

    /// Cuts those whose time is over.
    pub fn cut_late(&self) {
        let now = self.after(Duration::ZERO);
        // While this is held no connection's data go, so every number is that of its socket.
        let open = self.open();
        for line in open.lines.values().filter(|line| line.until.load(Ordering::Relaxed) <= now) {
            metrics::counter!(crate::telemetry::CONNECTIONS_CUT).increment(1);
            line.until.store(NEVER, Ordering::Relaxed);
            close(line.socket);
        }
    }
}

/// The library sees the end of the connection then, and drops it.
fn close(socket: RawFd) {
    if let Err(error) = shutdown(socket, Shutdown::Both) {
        tracing::debug!(%error, "a connection was closed already");
    }
}

/// The system would hold megabytes for each reader that is slow.
fn hold_little(stream: &TcpStream) {
    if let Err(error) = setsockopt(stream, SndBuf, &SEND_BUFFER_BYTES) {
        tracing::debug!(%error, "a connection has a buffer of the system's size");
    }
}

/// What is sent and not taken for so long breaks the connection.
fn give_up_on_silence(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::sockopt::TcpUserTimeout;
        let millis = u32::try_from(SILENCE_SECS_MAX * 1_000).unwrap_or(u32::MAX);
        if let Err(error) = setsockopt(stream, TcpUserTimeout, &millis) {
            tracing::debug!(%error, "a connection has no time limit for what is not taken");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, SILENCE_SECS_MAX);
}

/// Whether the caller closed the connection, as far as the socket knows.
pub(super) fn hung_up(request: &HttpRequest) -> bool {
    let Some(peer) = request.conn_data::<Peer>() else { return false };
    match recv(peer.line.socket, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
        Ok(bytes) => bytes == 0,
        Err(error) => !matches!(error, Errno::EAGAIN | Errno::EINTR),
    }
}

/// A connection with a request on it, until its answer was handed to the socket.
struct Busy {
    peers: Arc<Peers>,
    line: Arc<Line>,
    /// Bytes of the answer that were handed over last.
    bytes: u64,
    /// All of them, and how long was waited until those before the last were taken.
    given: u64,
    waited: Duration,
    since: Option<Instant>,
}

impl Busy {
    fn on(request: &ServiceRequest) -> Option<Self> {
        let peer = request.conn_data::<Peer>()?;
        peer.line.until.store(NEVER, Ordering::Relaxed);
        Some(Self {
            peers: peer.peers.clone(),
            line: peer.line.clone(),
            bytes: 0,
            given: 0,
            waited: Duration::ZERO,
            since: None,
        })
    }

    /// Nothing further is taken, and the connection goes once the answer could be read.
    fn end(&self) {
        self.line.shut.store(true, Ordering::Relaxed);
    }

    /// So many bytes were handed over, and the next are asked for once they are taken.
    fn gave(&mut self, bytes: usize) {
        self.bytes = bytes as u64;
        self.given += self.bytes;
        // What went well before is no excuse for ever, and neither is each chunk a new beginning.
        let time = self.peers.pace.time(self.given).saturating_sub(self.waited);
        let time = time.min(Duration::from_secs(SILENCE_SECS_MAX));
        self.line.until.store(self.peers.after(time), Ordering::Relaxed);
        self.since = Some(Instant::now());
    }

    /// The next bytes are asked for: those before were taken.
    fn asked(&mut self) {
        self.waited += self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let time = match self.line.shut.load(Ordering::Relaxed) {
            true => Duration::from_secs(LINGER_SECS),
            false => self.peers.pace.time(self.bytes) + self.peers.rest,
        };
        self.line.until.store(self.peers.after(time), Ordering::Relaxed);
    }
}

/// An answer on its way.
struct Answer {
    body: BoxBody,
    busy: Option<Busy>,
}

impl MessageBody for Answer {
    type Error = Box<dyn StdError>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.busy.iter_mut().for_each(Busy::asked);
        let next = Pin::new(&mut self.body).poll_next(cx);
        if let Some(busy) = self.busy.as_mut() {
            match &next {
                Poll::Ready(Some(Ok(bytes))) => busy.gave(bytes.len()),
                // We have nothing to say: that is not the reader's fault.
                Poll::Pending => busy.line.until.store(NEVER, Ordering::Relaxed),
                Poll::Ready(Some(Err(_)) | None) => {}
            }
        }
        next
    }
}

/// Whether readers of HTTP may disagree where the request's body ends, so that what one takes for its
/// body is the next request to another. The library takes the chunks and goes on.
fn is_ambiguous(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING);
    let sized = headers.contains_key(header::CONTENT_LENGTH);
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    match encodings.next() {
        None => sized && headers.contains_key(header::UPGRADE),
        Some(value) => sized || request.version() != Version::HTTP_11 || !plain(value),
    }
}

/// Middleware, the outermost: notes what each connection is at.
pub(super) async fn watch(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let busy = Busy::on(&request);
    let is_shut = |busy: &Busy| busy.line.shut.load(Ordering::Relaxed);
    if busy.as_ref().is_some_and(is_shut) {
        return Err(ApiError::new(Code::BadBody, "this connection is closed").into());
    }
    let ends = || busy.iter().for_each(Busy::end);
    if is_ambiguous(&request) {
        ends();
        let detail = "`Transfer-Encoding` goes with HTTP/1.1, `chunked` and no `Content-Length`";
        return Err(ApiError::new(Code::BadBody, detail).into());
    }
    let answer = next.call(request).await;
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    if status == StatusCode::REQUEST_TIMEOUT {
        ends();
    }
    Ok(answer?.map_body(|_, body| Answer { body: body.boxed(), busy }))
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{getsockopt, sockopt::TcpUserTimeout};

    use super::*;
    use crate::config::Config;

    #[actix_web::test]
    async fn a_connection_that_nobody_reads_from_breaks_by_itself() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let peers = Arc::new(Peers::new(&Config::default().limits, Trusted::default()));
        let mut data = Extensions::new();
        peers.welcome(&stream, &mut data);
        assert_eq!(getsockopt(&stream, TcpUserTimeout), Ok(30_000));
        // Linux keeps books in the same space, and doubles it for that.
        assert!(getsockopt(&stream, SndBuf).unwrap() <= 2 * SEND_BUFFER_BYTES);
        let counts = || {
            let open = peers.open();
            (open.lines.len(), open.count.len())
        };
        assert_eq!(counts(), (1, 1));
        drop(data);
        assert_eq!(counts(), (0, 0));
        drop(client);
    }
}
