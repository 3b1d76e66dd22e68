//! The post: one message to one receiver, over a connection of its own.
//!
//! A client names the receiver, so the connection goes to an address that was looked at, and to no
//! other: the name is resolved here, addresses that may not be told are dropped, and what is left is
//! connected to. A name that resolves to something else a moment later changes nothing. No proxy of
//! the environment is asked, and no redirect is followed.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use crate::domain::address::may_be_told;
use crate::domain::limits::{
    DELIVERY_ANSWER_BYTES_MAX, DELIVERY_ANSWER_CHARS_MAX, DELIVERY_MILLIS_MAX,
};
use crate::domain::webhook::receiver;
pub use crate::identity::webhook::new_secret;
use crate::identity::webhook::sign;

/// Once its status came, an answer's text is waited for so long.
const TEXT_WAIT: Duration = Duration::from_secs(2);
/// Bytes of the headers of an answer.
const HEADERS_BYTES_MAX: usize = 64 * 1024;
/// What a connection is tried for before the next address of the same name.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// See the module's docs.
#[derive(Debug)]
pub struct Post {
    private_addresses: bool,
    ca_file: Option<PathBuf>,
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

/// A message on its way.
#[derive(Clone)]
pub struct Letter {
    /// Where to.
    pub url: String,
    /// The same for every try.
    pub id: String,
    /// Now, in seconds.
    pub at_secs: i64,
    /// What signs; several while one is being replaced.
    pub secrets: Vec<String>,
    /// JSON.
    pub body: String,
}

/// A receiver's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// HTTP status.
    pub status: u16,
    /// How its body begins.
    pub text: String,
}

impl Post {
    /// A post that tells private addresses too, or public ones only, and trusts the authorities of a
    /// PEM file beside the system's.
    #[must_use]
    pub const fn new(private_addresses: bool, ca_file: Option<PathBuf>) -> Self {
        Self { private_addresses, ca_file, tls: OnceLock::new() }
    }

    /// Sends a letter.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn send(&self, letter: &Letter) -> Result<Receipt, String> {
        let limit = Duration::from_millis(DELIVERY_MILLIS_MAX.unsigned_abs());
        let late = |_| format!("no answer within {} s", limit.as_secs());
        tokio::time::timeout(limit, self.exchange(letter)).await.map_err(late)?
    }

    async fn exchange(&self, letter: &Letter) -> Result<Receipt, String> {
        // The rule may have become stricter since the URL was taken.
        let url = receiver(&letter.url, self.private_addresses)
            .map_err(|reason| format!("the URL {reason}"))?;
        let request = request(&url, letter)?;
        let stream = self.connect(&url).await?;
        if url.scheme() == "http" {
            return talk(stream, request).await;
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
        let tls = TlsConnector::from(self.tls()?);
        let stream = tls.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
        talk(stream, request).await
    }

    /// Connects to an address that may be told.
    async fn connect(&self, url: &Url) -> Result<TcpStream, String> {
        let port = url.port_or_known_default().unwrap_or(443);
        let found: Vec<SocketAddr> = match url.host() {
            Some(Host::Ipv4(v4)) => vec![(IpAddr::from(v4), port).into()],
            Some(Host::Ipv6(v6)) => vec![(IpAddr::from(v6), port).into()],
            Some(Host::Domain(name)) => tokio::net::lookup_host((name, port))
                .await
                .map_err(|error| format!("the name cannot be resolved: {error}"))?
                .collect(),
            None => Vec::new(),
        };
        let mut last = "the name leads to no address that may be told".to_owned();
        for address in found.into_iter().filter(|a| may_be_told(a.ip(), self.private_addresses)) {
            match tokio::time::timeout(CONNECT_WAIT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = format!("cannot connect: {error}"),
                Err(_) => last = "cannot connect: no answer".to_owned(),
            }
        }
        Err(last)
    }

    /// What the system trusts, read when it is first needed.
    fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        self.tls.get_or_init(|| trust(self.ca_file.as_deref())).clone()
    }
}

fn trust(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca_file {
        let unreadable = |error| format!("`webhooks.ca_file`: {error}");
        for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
            let certificate = certificate.map_err(unreadable)?;
            roots.add(certificate).map_err(|error| format!("`webhooks.ca_file`: {error}"))?;
        }
    }
    if roots.is_empty() {
        return Err("this system has no certificates of authorities (`ca-certificates`)".to_owned());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn request(url: &Url, letter: &Letter) -> Result<Request<Full<Bytes>>, String> {
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let body = letter.body.as_bytes();
    let signatures: Vec<_> =
        letter.secrets.iter().filter_map(|s| sign(s, &letter.id, letter.at_secs, body)).collect();
    if signatures.is_empty() {
        return Err("there is no secret to sign with".to_owned());
    }
    Request::post(target)
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("pithead/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .header("webhook-id", &letter.id)
        .header("webhook-timestamp", letter.at_secs)
        .header("webhook-signature", signatures.join(" "))
        .body(Full::from(letter.body.clone()))
        .map_err(|error| error.to_string())
}

/// One request and its answer.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<Receipt, String> {
    let broken = |error: hyper::Error| format!("the connection broke: {error}");
    let mut talk = http1::Builder::new();
    talk.max_buf_size(HEADERS_BYTES_MAX);
    let (mut sender, connection) = talk.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let asked = async move {
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok(read(response).await)
    };
    tokio::pin!(asked, connection);
    tokio::select! {
        biased;
        answer = &mut asked => answer,
        // All bytes are in by then, or none will come.
        _ = &mut connection => asked.await,
    }
}

/// The status counts, whatever becomes of the text.
async fn read(response: Response<Incoming>) -> Receipt {
    let status = response.status().as_u16();
    let (mut body, mut bytes) = (response.into_body(), Vec::new());
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let room = DELIVERY_ANSWER_BYTES_MAX - bytes.len();
            let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
            bytes.extend(data.iter().take(room));
            if bytes.len() == DELIVERY_ANSWER_BYTES_MAX {
                break;
            }
        }
    };
    tokio::time::timeout(TEXT_WAIT, reading).await.ok();
    let text = String::from_utf8_lossy(&bytes);
    let shown = text.chars().filter(|c| !c.is_control()).take(DELIVERY_ANSWER_CHARS_MAX);
    Receipt { status, text: shown.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What is made of these bytes, after which the receiver is silent and holds the connection.
    async fn receipt(answer: Vec<u8>) -> Result<Receipt, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4_096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(&answer).await.ok();
            std::future::pending::<()>().await;
        };
        let letter = Letter {
            url: format!("http://127.0.0.1:{port}/"),
            id: "id".to_owned(),
            at_secs: 1,
            secrets: vec![new_secret()],
            body: "{}".to_owned(),
        };
        let post = Post::new(true, None);
        tokio::select! {
            receipt = post.send(&letter) => receipt,
            () = receiver => Err("never".to_owned()),
        }
    }

    #[tokio::test]
    async fn a_status_counts_though_the_text_never_ends() {
        let head = b"HTTP/1.1 204 Fine\r\n\r\n".to_vec();
        assert_eq!(receipt(head).await.unwrap().status, 204);
        let head = b"HTTP/1.1 200 Fine\r\ncontent-length: 1000\r\n\r\nwords\0 ".to_vec();
        let expected = Receipt { status: 200, text: "words ".to_owned() };
        assert_eq!(receipt(head).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn little_is_kept_of_much_and_headers_have_an_end() {
        let mut long = b"HTTP/1.1 500 No\r\ncontent-length: 100000\r\n\r\n".to_vec();
        long.extend([b'x'; 100_000]);
        let Receipt { status, text } = receipt(long).await.unwrap();
        assert_eq!((status, text.len()), (500, DELIVERY_ANSWER_CHARS_MAX));
        let mut endless = b"HTTP/1.1 200 Fine\r\na: ".to_vec();
        endless.extend([b'x'; 4 * HEADERS_BYTES_MAX]);
        assert!(receipt(endless).await.is_err());
        assert!(receipt(b"no HTTP at all\r\n\r\n".to_vec()).await.is_err());
    }
}
