//! Bytes on a socket, for what no HTTP library would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection with something sent on it.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn send(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        Self(stream)
    }

    pub(crate) async fn more(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
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
