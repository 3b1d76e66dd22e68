//! The real `openai` package: its usual calls work, and what is refused raises the exception that its
//! users know.

use std::time::Duration;

use base64::Engine;
use pithead::app::Server;
use pithead::config::{Config, Role, RoleEntry};
use pithead::identity::Keypair;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{said, venv};

const WAV: &[u8] = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x08\0\0\0\0\0\x01\0\x02\0\x03\0";
const UID: u16 = 7;

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_package_transcribes_speaks_and_raises_what_it_should() {
    let Some(python) = venv::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(&folder).await;
    let key = desk.key("client").await;
    let miner = tokio::spawn(desk.miner().await);
    let (wav, out) = (folder.path().join("in.wav"), folder.path().join("out.wav"));
    std::fs::write(&wav, WAV).unwrap();
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python/openai_calls.py"));
    command.arg(&wav).arg(&out).env("SERVER", desk.server.url()).env("API_KEY", key);
    let told = said(command).await;
    miner.abort();
    let calls: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let call = |name: &str| {
        let call = calls.iter().find(|call| call["name"] == name);
        call.unwrap_or_else(|| panic!("no `{name}`: {told}")).clone()
    };
    assert_eq!(call("json")["text"], "words of the miner in en");
    assert_eq!(call("text")["text"], "words of the miner in en\n");
    let whole = call("verbose_json");
    assert_eq!(
        (&whole["language"], &whole["text"]),
        (&json!("fr"), &json!("words of the miner in fr"))
    );
    assert_eq!(call("speech")["same"], true);
    assert_eq!(call("speech")["content_type"], "audio/x-wav");
    assert_eq!(call("speech to a file")["same"], true);
    assert!(call("models")["ids"].as_array().unwrap().contains(&json!("whisper-1")));
    assert_eq!(call("model")["id"], "tts-1");
    for (name, raised, status, param) in [
        ("wrong key", "AuthenticationError", 401, None),
        ("short input", "BadRequestError", 400, Some("input")),
        ("wrong format", "BadRequestError", 400, Some("response_format")),
        ("no sound", "BadRequestError", 400, None),
        ("unknown model", "NotFoundError", 404, None),
        ("unknown route", "NotFoundError", 404, None),
        ("speed", "BadRequestError", 400, Some("speed")),
        ("miners fail", "InternalServerError", 502, None),
    ] {
        let call = call(name);
        assert_eq!(call["raised"], raised, "{call}");
        assert_eq!(call["status"], status, "{call}");
        assert_eq!(call["param"], json!(param), "{call}");
        assert!(call["code"].is_string() && call["message"].as_str().unwrap().len() > 9, "{call}");
    }
    assert_eq!(call("time-out")["raised"], "APITimeoutError");
    desk.server.stop().await;
}

/// A server with two validators and the miner that they report.
pub(super) struct Desk {
    pub(super) server: Server,
    pub(super) http: reqwest::Client,
    miner: Keypair,
    /// A miner that gets no work: it is said to do none of what is asked here.
    pub(super) idle: Keypair,
    /// A validator with hardly any stake, which may say what it likes.
    pub(super) validator: Keypair,
}

impl Desk {
    pub(super) const UID: u16 = UID;
    pub(super) const IDLE_UID: u16 = 8;
    pub(super) const FUZZ_UID: u16 = 102;

    pub(super) async fn open(folder: &tempfile::TempDir) -> Self {
        let validators = [0_u16, 1].map(|n| Keypair::from_label(&format!("openai/validator/{n}")));
        let mut config = Config::default();
        config.server.listen = "127.0.0.1:0".to_owned();
        config.data_dir = folder.path().join("data");
        config.auth.hotkey_api_keys = true;
        config.lease.backoff_millis = 10;
        config.lease.backoff_millis_max = 10;
        let entry = |(uid, key): (u16, &Keypair)| RoleEntry {
            hotkey: key.hotkey().to_string(),
            role: Role::Validator,
            uid,
            stake: 1_000.0,
        };
        config.auth.hotkeys = (100..).zip(&validators).map(entry).collect();
        let light = Keypair::from_label("openai/validator/light");
        let known = RoleEntry { stake: 1.0, ..entry((Self::FUZZ_UID, &light)) };
        config.auth.hotkeys.push(known);
        let server = Server::start(config).await.unwrap();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        let [miner, idle] = ["openai/miner", "openai/idle"].map(Keypair::from_label);
        let desk = Self { server, http, miner, idle, validator: light };
        for (uid, validator) in (100..).zip(&validators) {
            let key = desk.key(&format!("validator:{}", validator.hotkey())).await;
            let status = |uid, miner: &Keypair, kinds| {
                json!({
                    "uid": uid, "hotkey": miner.hotkey(), "stake": 900.0, "is_serving": true,
                    "performance_score": 0.9, "current_load": 0, "max_capacity": 50,
                    "task_type_specialization": kinds,
                })
            };
            let statuses = [
                status(UID, &desk.miner, "transcription,tts"),
                status(Self::IDLE_UID, &desk.idle, "weather"),
            ];
            let body = json!({ "validator_uid": uid, "epoch": 1, "miner_statuses": statuses });
            let target = desk.server.url() + "/api/v1/validators/miner-status";
            let sent = desk.http.post(target).header("x-api-key", key).json(&body).send();
            assert!(sent.await.unwrap().status().is_success());
        }
        desk
    }

    pub(super) async fn key(&self, scopes: &str) -> String {
        let made = self.http.post(self.server.url() + "/api/v1/admin/keys");
        let made = made.header("x-api-key", self.server.admin_key().unwrap());
        let made = made.json(&json!({ "scopes": scopes })).send().await.unwrap();
        made.json::<Value>().await.unwrap()["key"].as_str().unwrap().to_owned()
    }

    /// The key of the miner that works.
    pub(super) async fn miner_key(&self) -> String {
        self.key(&format!("miner:{}", self.miner.hotkey())).await
    }

    /// Polls and answers until it is stopped.
    async fn miner(&self) -> impl Future<Output = ()> + use<> {
        let key = self.miner_key().await;
        let (http, url) = (self.http.clone(), self.server.url());
        async move {
            loop {
                let poll = format!("{url}/api/v1/miners/{UID}/tasks?status=assigned&wait=5");
                let leases = http.get(poll).header("x-api-key", &key).send().await.unwrap();
                for lease in leases.json::<Vec<Value>>().await.unwrap() {
                    let Some(answer) = answer(&http, &url, &key, &lease).await else { continue };
                    let target = format!("{url}/api/v1/miner/response");
                    let sent = http.post(target).header("x-api-key", &key).json(&answer).send();
                    let sent = sent.await.unwrap();
                    assert!(sent.status().is_success(), "{}", sent.text().await.unwrap());
                }
            }
        }
    }
}

/// The miner's answer to a lease; none when it takes its time.
pub(super) async fn answer(
    http: &reqwest::Client,
    url: &str,
    key: &str,
    lease: &Value,
) -> Option<Value> {
    let text = lease["input_text"]["text"].as_str().unwrap_or_default();
    let answer = |data: Value| {
        json!({
            "task_id": lease["task_id"], "miner_uid": UID, "lease_token": lease["lease"]["token"],
            "response_data": data,
        })
    };
    if lease["task_type"] == "transcription" {
        let language = lease["source_language"].as_str().unwrap();
        let words = format!("words of the miner in {language}");
        return Some(answer(json!({ "transcript": words, "language": language })));
    }
    if text.ends_with("in a thousand years") {
        return None;
    }
    if text.ends_with("never to be") {
        let mut failed = answer(json!({}));
        failed["status"] = json!("failed");
        failed["permanent"] = json!(true);
        return Some(failed);
    }
    if text.ends_with("as an uploaded file") {
        let part = reqwest::multipart::Part::bytes(WAV).file_name("a.wav").mime_str("audio/wav");
        let form = reqwest::multipart::Form::new()
            .text("task_id", lease["task_id"].as_str().unwrap().to_owned())
            .text("miner_uid", UID.to_string())
            .part("audio_file", part.unwrap());
        let target = format!("{url}/api/v1/miner/tts/upload-audio");
        let kept = http.post(target).header("x-api-key", key).multipart(form).send().await.unwrap();
        let kept: Value = kept.json().await.unwrap();
        return Some(answer(json!({ "audio_file": kept["file_id"] })));
    }
    let inline = base64::engine::general_purpose::STANDARD.encode(WAV);
    Some(answer(json!({ "audio_data": inline })))
}
