//! The cheapest honest HTTP client: one keep-alive connection, one request at a time. The load
//! generator shares two cores with the server, so every microsecond it spends is the server's.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    head: String,
    buffer: Vec<u8>,
}

/// What came back.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Wire {
    /// Connects; `credentials` are header lines, each ended by CR LF.
    pub(crate) async fn connect(address: &str, credentials: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let head = format!("host: {address}\r\n{credentials}");
        Ok(Self { stream, head, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// The same, from this address of the machine's own (any of 127.0.0.0/8).
    pub(crate) async fn connect_from(
        source: Ipv4Addr,
        address: &str,
        credentials: &str,
    ) -> io::Result<Self> {
        let stream = stream_from(source, address, None).await?;
        let head = format!("host: {address}\r\n{credentials}");
        Ok(Self { stream, head, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends these bytes as they are and reads what comes back.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(bytes).await?;
        self.read().await
    }

    pub(crate) async fn get(&mut self, target: &str) -> io::Result<Answer<'_>> {
        self.get_with(target, "").await
    }

    /// Asks with further header lines.
    pub(crate) async fn get_with(&mut self, target: &str, more: &str) -> io::Result<Answer<'_>> {
        let request = format!("GET {target} HTTP/1.1\r\n{}{more}\r\n", self.head);
        self.stream.write_all(request.as_bytes()).await?;
        self.read().await
    }

    /// Sends a body; `more` are further header lines.
    pub(crate) async fn post(
        &mut self,
        target: &str,
        content_type: &str,
        more: &str,
        body: &[u8],
    ) -> io::Result<Answer<'_>> {
        let mut request = format!(
            "POST {target} HTTP/1.1\r\n{}{more}content-type: {content_type}\r\n\
             content-length: {}\r\n\r\n",
            self.head,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).await?;
        self.read().await
    }

    async fn read(&mut self) -> io::Result<Answer<'_>> {
        self.buffer.clear();
        let (head, length) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(bad("the server closed the connection"));
            }
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break (end + 4, content_length(&self.buffer[..end])?);
            }
        };
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(bad("the server closed the connection"));
            }
        }
        let status = std::str::from_utf8(&self.buffer[9..12]).ok().and_then(|s| s.parse().ok());
        let status = status.ok_or_else(|| bad("no status"))?;
        Ok(Answer { status, body: &self.buffer[head..head + length] })
    }
}

/// A socket from this address, which takes in only so much before it is read.
pub(crate) async fn stream_from(
    source: Ipv4Addr,
    address: &str,
    receives: Option<u32>,
) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    if let Some(bytes) = receives {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = socket.connect(address.parse().map_err(io::Error::other)?).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn content_length(head: &[u8]) -> io::Result<usize> {
    let head = std::str::from_utf8(head).map_err(|_| bad("a header is no text"))?;
    let line = head.lines().find(|line| {
        line.get(..15).is_some_and(|name| name.eq_ignore_ascii_case("content-length:"))
    });
    line.and_then(|line| line[15..].trim().parse().ok()).ok_or_else(|| bad("no content length"))
}
