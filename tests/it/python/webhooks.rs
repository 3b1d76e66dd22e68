//! Messages as a receiver with the real library of Standard Webhooks sees them: the program of the
//! README takes true ones and refuses forged ones.

use std::process::Stdio;
use std::time::Duration;

use pithead::identity::webhook::{new_secret, sign};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::{Stage, readme, said, venv};

/// How long a line may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program of the README at work.
struct Receiver {
    lines: Lines<BufReader<ChildStdout>>,
    port: String,
    _process: Child,
}

impl Receiver {
    async fn start(stage: &Stage, secret: &str) -> Self {
        let mut command = readme::run(stage, "receiver.py");
        command.env("WEBHOOK_SECRET", secret).env("PORT", "0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut receiver = Self { lines, port: String::new(), _process: process };
        let first = receiver.line().await;
        receiver.port = first.strip_prefix("listening on port ").unwrap().to_owned();
        receiver
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        line.expect("the receiver says nothing").unwrap().expect("the receiver ended")
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }
}

struct Client<'s> {
    stage: &'s Stage,
    http: reqwest::Client,
}

impl Client<'_> {
    async fn send(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}/api/v1{path}", self.stage.server.url());
        let request = self.http.request(method.parse().unwrap(), url);
        let request = request.header("x-api-key", &self.stage.client_key).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {answer:?}");
        answer.json().await.unwrap()
    }

    /// A task that was taken back; its id.
    async fn cancelled(&self, more: Value) -> String {
        let mut body = json!({ "text": "some words to be spoken" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let task = self.send("POST", "/tts", body).await;
        let id = task["task_id"].as_str().unwrap().to_owned();
        self.send("DELETE", &format!("/tasks/{id}"), json!({})).await;
        id
    }
}

#[tokio::test]
async fn the_readmes_receiver_takes_what_is_signed_and_refuses_what_is_not() {
    let Some(stage) = Stage::set().await else { return };
    let client = Client { stage: &stage, http: reqwest::Client::new() };
    let secret = client.send("GET", "/webhooks/callback-secret", json!({})).await;
    let mut receiver = Receiver::start(&stage, secret["secret"].as_str().unwrap()).await;
    let called = client.cancelled(json!({ "callback_url": receiver.url() })).await;
    let line = receiver.line().await;
    assert!(line.starts_with(&format!("task.cancelled {called} ")), "{line}");
    // An endpoint has a secret of its own: the receiver does not know it, and says so.
    let made = client.send("POST", "/webhooks", json!({ "url": receiver.url() })).await;
    let told = client.cancelled(json!({})).await;
    let path = format!("/webhooks/{}/deliveries", made["id"].as_str().unwrap());
    let began = std::time::Instant::now();
    let refused = loop {
        let list = client.send("GET", &path, json!({})).await;
        let delivery = list["deliveries"][0].clone();
        if delivery["attempts"] == 1 {
            break delivery;
        }
        assert!(began.elapsed() < PATIENCE, "{list}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(refused["last_status"], 400, "{refused}");
    // What somebody else sends is refused too.
    let forged = client.http.post(receiver.url()).body(r#"{"type":"task.done"}"#);
    let id = refused["id"].as_str().unwrap();
    let at = chrono::Utc::now().timestamp();
    let forged = forged.header("webhook-id", id).header("webhook-timestamp", at);
    let forged = forged.header("webhook-signature", "v1,AAAA").send().await.unwrap();
    assert_eq!(forged.status(), 400);
    // It has printed nothing of all that: the next line is of the next callback.
    let next = client.cancelled(json!({ "callback_url": receiver.url() })).await;
    assert!(receiver.line().await.starts_with(&format!("task.cancelled {next} ")));
    assert_ne!(told, next);
    stage.server.stop().await;
}

/// While a secret is being replaced, a message has two signatures: whoever knows either takes it.
#[tokio::test]
async fn a_message_with_two_signatures_is_taken_under_either_secret() {
    let Some(python) = venv::python() else { return };
    let (old, new, at) = (new_secret(), new_secret(), chrono::Utc::now().timestamp());
    let (id, body) = ("01a1fe37-ca55-7a12-b036-6d9c59db8c98", r#"{"type":"task.done"}"#);
    let both = [&new, &old].map(|secret| sign(secret, id, at, body.as_bytes()).unwrap()).join(" ");
    let script = "import os\n\
        from standardwebhooks.webhooks import Webhook, WebhookVerificationError\n\
        headers = {'webhook-id': os.environ['ID'], 'webhook-timestamp': os.environ['AT'],\n\
                   'webhook-signature': os.environ['SIGNATURES']}\n\
        try:\n    print(Webhook(os.environ['SECRET']).verify(os.environ['BODY'], headers)['type'])\n\
        except WebhookVerificationError as error:\n    print('refused:', error)\n";
    let verify = async |secret: &str, id: &str, body: &str| {
        let mut command = Command::new(python);
        command.arg("-c").arg(script).env("ID", id).env("AT", at.to_string());
        command.env("SIGNATURES", &both).env("SECRET", secret).env("BODY", body);
        said(command).await
    };
    assert_eq!(verify(&old, id, body).await.trim(), "task.done");
    assert_eq!(verify(&new, id, body).await.trim(), "task.done");
    for (secret, id, body) in [
        (new_secret().as_str(), id, body),
        (new.as_str(), "another", body),
        (new.as_str(), id, r#"{"type":"task.failed"}"#),
    ] {
        assert!(verify(secret, id, body).await.starts_with("refused"), "{id} {body}");
    }
}
