//! Messages over TLS: the receiver must be who its certificate says, for an authority that is trusted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::{Call, TestApp, text, wait_for};

/// A receiver that is `localhost` by a certificate of its own: its port, the certificate, and the
/// heads of the requests that it took.
async fn sealed() -> (u16, String, mpsc::UnboundedReceiver<String>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, heads) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut buffer = vec![0; 65_536];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            sender.send(String::from_utf8_lossy(&buffer[..read]).into_owned()).ok();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok();
            stream.shutdown().await.ok();
        }
    });
    (port, made.cert.pem(), heads)
}

/// What becomes of a message to this host, with this authority trusted or not.
async fn outcome(host: &str, trusted: bool) -> (Value, Option<String>) {
    let (port, pem, mut heads) = sealed().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let app = TestApp::with(|config| {
        config.webhooks.private_addresses = true;
        config.webhooks.poll_millis = 10;
        config.webhooks.ca_file = trusted.then_some(file);
    })
    .await;
    let url = format!("https://{host}:{port}/hook");
    let body = json!({ "url": url, "events": ["task.cancelled"] });
    let made = app.as_client(Call::post("/api/v1/webhooks").json(&body)).await.is(201);
    let task = app.submit_tts(&[]).await;
    app.cancel(&task).await.ok();
    let target = format!("/api/v1/webhooks/{}/deliveries", text(&made["id"]));
    let tried = wait_for("it was tried", Duration::from_secs(20), async || {
        let list = app.as_client(Call::get(&*target)).await.ok();
        let delivery = list["deliveries"][0].clone();
        (delivery["attempts"] == 1).then_some(delivery)
    })
    .await;
    app.finish().await;
    (tried, heads.try_recv().ok())
}

#[tokio::test]
async fn a_receiver_whose_certificate_is_trusted_is_told() {
    let (tried, head) = outcome("localhost", true).await;
    assert_eq!((&tried["state"], &tried["last_status"]), (&json!("delivered"), &json!(200)));
    let head = head.unwrap().to_ascii_lowercase();
    assert!(head.starts_with("post /hook http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nwebhook-signature: v1,"), "{head}");
}

#[tokio::test]
async fn one_that_nobody_vouches_for_is_told_nothing() {
    let (tried, head) = outcome("localhost", false).await;
    assert_eq!(tried["state"], "pending");
    assert_eq!(head, None);
}

#[tokio::test]
async fn one_that_is_somebody_else_is_told_nothing() {
    let (tried, head) = outcome("127.0.0.1", true).await;
    assert_eq!(tried["state"], "pending");
    assert!(text(&tried["last_error"]).contains("TLS"), "{tried}");
    assert_eq!(head, None);
}
