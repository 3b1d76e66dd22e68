//! The client against a server of a few lines that answers from a script.

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::identity::btauth::Claim;

const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n";

/// Answers one connection after another: first with its identity, then from the script. Gives the
/// server and the requests that it received, as text.
async fn scripted(answers: &'static [(&str, &str)]) -> (Server, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (requests, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let identity = format!(r#"{{"hotkey":"{}"}}"#, Keypair::from_label("server").hotkey());
        answer(&listener, OK, &identity).await;
        for (head, body) in answers {
            requests.send(answer(&listener, head, body).await).unwrap();
        }
    });
    (Server::connect(&url).await.unwrap(), received)
}

async fn answer(listener: &TcpListener, head: &str, body: &str) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let request = read_request(&mut stream).await;
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
    request
}

/// Reads until the body is as long as the head says.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the client hung up");
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return text.into_owned();
        }
    }
}

fn signed_by(label: &str, server: &Server) -> Api {
    server.caller(Credential::Key(Arc::new(Keypair::from_label(label))))
}

/// Checks the signature of a received request the way a server does.
fn sender_of(request: &str, receiver: &Hotkey) -> Hotkey {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap(), first.next().unwrap());
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
    let claim = Claim::parse(|wanted| {
        let same = headers.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted));
        same.map(|(_, value)| value.as_bytes())
    });
    let claim = claim.unwrap().unwrap();
    claim.check_window(unix_ns(), receiver).unwrap();
    claim.verify(method, target, &Sha256::digest(body).into()).unwrap()
}

#[tokio::test]
async fn signature_covers_what_is_really_sent() {
    let (server, mut received) = scripted(&[(OK, "{}"), (OK, "{}"), (OK, "{}")]).await;
    let api = signed_by("miner", &server);
    for call in [
        Call::get("/api/v1/miners/7/tasks?status=assigned&note=a b%20ü"),
        Call::form("/form", &[("text", "a & b = ü")]),
        Call::upload("/upload", &[("task_id", "x")], "file", b"RIFF"),
    ] {
        api.json::<serde_json::Value>(&call).await.unwrap();
        let request = received.recv().await.unwrap();
        assert_eq!(&sender_of(&request, server.hotkey()), Keypair::from_label("miner").hotkey());
    }
}

#[tokio::test]
async fn refusal_shows_the_problem_of_the_server() {
    const HEAD: &str = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\n";
    const PROBLEM: &str = r#"{"code":"not_your_uid","detail":"uid 3 is another miner"}"#;
    let (server, _received) = scripted(&[(HEAD, PROBLEM), (HEAD, "<html>")]).await;
    let api = signed_by("miner", &server);
    let error = api.json::<()>(&Call::get("/x")).await.unwrap_err();
    assert_eq!(error.to_string(), "`/x` answered 403 `not_your_uid`: uid 3 is another miner");
    let error = api.json::<()>(&Call::get("/x")).await.unwrap_err();
    assert_eq!(error.code(), "http_403");
}

#[tokio::test]
async fn busy_server_is_asked_again_with_a_fresh_signature() {
    const BUSY: &str =
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\nconnection: close\r\n";
    let (server, mut received) = scripted(&[(BUSY, "{}"), (OK, "3")]).await;
    let api = signed_by("client", &server);
    assert_eq!(api.json_patiently::<u8>(&Call::get("/x"), 2).await.unwrap(), 3);
    let (first, second) = (received.recv().await.unwrap(), received.recv().await.unwrap());
    assert_ne!(first, second);
    sender_of(&second, server.hotkey());
}

#[tokio::test]
async fn credentials_are_never_sent_to_another_server() {
    let (server, _received) = scripted(&[]).await;
    let api = signed_by("miner", &server);
    let error = api.bytes(&Call::get("http://example.org/file")).await.unwrap_err();
    assert_eq!(error.code(), "bad_address");
}
