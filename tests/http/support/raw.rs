//! Bytes on a socket, for what no HTTP library would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long something may take to come. What comes too late is a failure, never what comes early.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection with something sent on it.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn send(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        Self(stream)
    }

    /// The same, from another address of this machine.
    pub(crate) async fn send_from(
        from: std::net::Ipv4Addr,
        address: SocketAddr,
        bytes: impl AsRef<[u8]>,
    ) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        Self(stream)
    }

    pub(crate) async fn more(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Sends more, where the server may have closed already.
    pub(crate) async fn try_more(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.ok();
    }

    /// A connection whose receiver takes in very little before it is read.
    pub(crate) async fn narrow(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        Self(stream)
    }

    /// The next bytes, at most so many; none once the server closed.
    pub(crate) async fn some(&mut self, most: usize) -> usize {
        let mut buffer = vec![0; most];
        let read = tokio::time::timeout(PATIENCE, self.0.read(&mut buffer)).await;
        read.expect("the server neither sends nor closes").unwrap_or(0)
    }

    /// Waits until the server closes; what it said before.
    pub(crate) async fn closed(mut self) -> String {
        let mut all = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            let read = tokio::time::timeout(PATIENCE, self.0.read(&mut buffer)).await;
            match read.expect("the server does not close") {
                Ok(count @ 1..) => all.extend(&buffer[..count]),
                Ok(0) | Err(_) => return String::from_utf8_lossy(&all).into_owned(),
            }
        }
    }

    /// The head of the next answer, without its body.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(PATIENCE, self.0.read_u8()).await;
            head.push(byte.expect("no answer").expect("closed without an answer"));
        }
        String::from_utf8_lossy(&head).into_owned()
    }

    /// Says that no more comes, and reads what comes back until the server closes.
    pub(crate) async fn hang_up(mut self) -> String {
        self.0.shutdown().await.ok();
        self.read_all().await
    }

    /// Reads until the server closes or nothing came for a second.
    pub(crate) async fn read_all(mut self) -> String {
        let mut all = Vec::new();
        let mut buffer = [0; 4_096];
        while let Ok(Ok(count @ 1..)) =
            tokio::time::timeout(Duration::from_secs(1), self.0.read(&mut buffer)).await
        {
            all.extend(&buffer[..count]);
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// The status of a raw answer; `None` when the server just closed.
pub(crate) fn status_of(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}
