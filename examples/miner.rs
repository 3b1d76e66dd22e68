//! A miner to copy from: polls for leases, fetches the input, answers. Replace [`transcribe`] and
//! [`summarize`] with a model.
//!
//!     cargo run --example miner -- --url http://127.0.0.1:8000 --uid 7 --hotkey ./my-hotkey
//!
//! The server must know the hotkey as a miner with that uid. The file is a Bittensor hotkey file;
//! it is made when there is none.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use pithead::domain::ids::Hotkey;
use pithead::identity::Keypair;
use pithead::identity::btauth::{self, Nonces};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A miner of a Pithead server.
#[derive(Parser)]
struct Args {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8000")]
    url: String,
    /// Hotkey file, such as ~/.bittensor/wallets/<coldkey>/hotkeys/<hotkey>.
    #[arg(long, default_value = "miner-hotkey")]
    hotkey: PathBuf,
    /// This miner's place in the subnet.
    #[arg(long)]
    uid: u16,
    /// Stop after so many tasks.
    #[arg(long)]
    tasks: Option<u32>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Outcome<()> {
    let client = Client::connect(&args.url, Keypair::load_or_create(&args.hotkey)?).await?;
    println!("uid {} mines for {} as {}", args.uid, args.url, client.keypair.hotkey());

    let mut left = args.tasks.unwrap_or(u32::MAX);
    // The first look has no `wait`: it gives the leases that we had before a restart. All others
    // are parked at the server until there is new work, so nothing is polled in vain.
    let mut wait = "";
    while left > 0 {
        let target = format!("/api/v1/miners/{}/tasks?status=assigned{wait}", args.uid);
        let leases = match client.call(Method::GET, &target, None).await {
            Ok(answer) => answer.json::<Vec<Value>>().await?,
            Err(error) => {
                println!("no work: {error}");
                wait = "";
                tokio::time::sleep(Duration::from_secs(2)).await;
                continue;
            }
        };
        wait = "&wait=30";
        for lease in leases {
            // A failed task must not end the miner: the lease expires and others get it.
            match work(&client, args.uid, &lease).await {
                Ok(status) => println!("task {} answered, now {status}", lease["task_id"]),
                Err(error) => println!("task {} failed: {error}", lease["task_id"]),
            }
            left = left.saturating_sub(1);
        }
    }
    Ok(())
}

/// Does one task and gives its status afterwards. Work that takes longer than a third of the
/// lease should say so in between: POST /api/v1/miner/tasks/{id}/heartbeat.
async fn work(client: &Client, uid: u16, lease: &Value) -> Outcome<String> {
    let task_id = text(lease, "task_id")?;
    let token = text(&lease["lease"], "token")?;
    let response_data = match text(lease, "task_type")? {
        "transcription" => transcribe(&download(client, &lease["input_file"]).await?),
        "summarization" => summarize(text(&lease["input_text"], "text")?),
        // An honest no costs less than a failure, and the task moves on at once.
        _ => {
            let target = format!("/api/v1/miner/tasks/{task_id}/release");
            let body = json!({"lease_token": token, "reason": "unsupported"});
            client.call(Method::POST, &target, Some(&body)).await?;
            return Ok("given back".to_owned());
        }
    };
    let body = json!({
        "task_id": task_id, "miner_uid": uid, "lease_token": token, "response_data": response_data,
    });
    let answer = client.call(Method::POST, "/api/v1/miner/response", Some(&body)).await?;
    Ok(text(&answer.json().await?, "task_status")?.to_owned())
}

async fn download(client: &Client, file: &Value) -> Outcome<Vec<u8>> {
    let bytes = client.call(Method::GET, text(file, "url")?, None).await?.bytes().await?;
    if hex::encode(Sha256::digest(&bytes)) != text(file, "sha256")? {
        return Err("the file did not arrive whole".into());
    }
    Ok(bytes.to_vec())
}

/// Your speech model goes here.
fn transcribe(audio: &[u8]) -> Value {
    let words = pithead::sim::speech::hear(audio).join(" ");
    json!({"transcript": words, "confidence": 0.9, "language": "en"})
}

/// Your language model goes here.
fn summarize(input: &str) -> Value {
    let words: Vec<_> = input.split_whitespace().take(16).collect();
    json!({"summary": words.join(" "), "key_points": []})
}

/// All that a signed client needs: a key, the server's hotkey, and nonces that never repeat.
struct Client {
    http: reqwest::Client,
    url: String,
    keypair: Keypair,
    server: Hotkey,
    nonces: Nonces,
}

impl Client {
    async fn connect(url: &str, keypair: Keypair) -> Outcome<Self> {
        let http = reqwest::Client::new();
        let url = url.trim_end_matches('/').to_owned();
        let identity: Value =
            http.get(format!("{url}/api/v1/identity")).send().await?.json().await?;
        let server = Hotkey::parse(text(&identity, "hotkey")?)?;
        Ok(Self { http, url, keypair, server, nonces: Nonces::default() })
    }

    /// Signs method, target and body, sends them, and turns a refusal into its text.
    async fn call(&self, method: Method, target: &str, json: Option<&Value>) -> Outcome<Response> {
        let body = json.map(Value::to_string).unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
        let nonce = self.nonces.next(now);
        let bytes = body.as_bytes();
        let proof = btauth::sign_request(
            &self.keypair,
            method.as_str(),
            target,
            bytes,
            &self.server,
            nonce,
        );
        let mut request = self.http.request(method, format!("{}{target}", self.url));
        for (name, value) in proof {
            request = request.header(name, value);
        }
        if json.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let answer = request.body(body).send().await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, problem) = (answer.status(), answer.json::<Value>().await.unwrap_or_default());
        Err(format!("{status}: {}", text(&problem, "detail").unwrap_or("no detail")).into())
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Outcome<&'a str> {
    value[key].as_str().ok_or_else(|| format!("the answer has no text `{key}`").into())
}
