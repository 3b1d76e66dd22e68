//! Programs that nobody here wrote: the real Bittensor SDK signs, `requests` sends; the Python
//! of the README, run as it stands there; and the library that receivers of webhooks check with.

mod chain;
mod openai;
mod readme;
mod s3;
mod schemathesis;
mod sdk;
mod venv;
mod webhooks;
mod weights;

use std::path::Path;
use std::process::Stdio;

use pithead::app::Server;
use pithead::config::{Config, Role, RoleEntry};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// As in `sdk.py`.
const VALIDATOR_UID: u16 = 100;
/// As in `sdk.py`.
const MINER_UID: u16 = 7;

/// A server that knows a validator whose hotkey the SDK made.
struct Stage {
    server: Server,
    folder: tempfile::TempDir,
    python: &'static Path,
    addresses: Value,
    client_key: String,
}

impl Stage {
    async fn set() -> Option<Self> {
        let python = venv::python()?;
        let folder = tempfile::tempdir().unwrap();
        let mut keys = Command::new(python);
        keys.arg(script()).arg("keys").env("HOME", folder.path());
        let keys = said(keys).await;
        let addresses: Value = serde_json::from_str(keys.trim()).unwrap();
        let mut config = Config::default();
        config.server.listen = "127.0.0.1:0".to_owned();
        config.data_dir = folder.path().join("data");
        config.webhooks.private_addresses = true;
        config.webhooks.poll_millis = 20;
        // What tries everything proves little.
        config.limits.unproven_per_minute = 1_000_000.try_into().unwrap();
        config.auth.hotkeys = vec![RoleEntry {
            hotkey: addresses["validator"].as_str().unwrap().to_owned(),
            role: Role::Validator,
            uid: VALIDATOR_UID,
            stake: 1_000.0,
        }];
        let server = Server::start(config).await.unwrap();
        let made = reqwest::Client::new()
            .post(server.url() + "/api/v1/admin/keys")
            .header("x-api-key", server.admin_key().unwrap())
            .json(&json!({ "scopes": "client" }))
            .send();
        let made: Value = made.await.unwrap().json().await.unwrap();
        let client_key = made["key"].as_str().unwrap().to_owned();
        Some(Self { server, folder, python, addresses, client_key })
    }

    /// An address that the SDK made.
    fn address(&self, name: &str) -> &str {
        self.addresses[name].as_str().unwrap()
    }

    /// Python that finds the hotkeys and the server.
    fn python(&self) -> Command {
        let mut command = Command::new(self.python);
        command
            .env("HOME", self.folder.path())
            .env("SERVER", self.server.url())
            .env("API_KEY", &self.client_key)
            .env("PYTHONWARNINGS", "ignore")
            .kill_on_drop(true);
        command
    }
}

fn script() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python/sdk.py").to_owned()
}

/// Runs a program to its end; what it said, or what went wrong.
async fn said(command: Command) -> String {
    said_to(command, String::new()).await
}

/// The same for one that reads.
async fn said_to(mut command: Command, text: String) -> String {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = piped.spawn().unwrap();
    let mut input = program.stdin.take().unwrap();
    // Beside the run: whoever writes first may otherwise wait for the other one to read.
    let write = async move { input.write_all(text.as_bytes()).await };
    let run = async { tokio::join!(write, program.wait_with_output()) };
    let limit = std::time::Duration::from_secs(120);
    let (written, done) = tokio::time::timeout(limit, run).await.expect("Python did not end");
    let done = done.unwrap();
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{out}\n{error}");
    written.unwrap();
    out
}
