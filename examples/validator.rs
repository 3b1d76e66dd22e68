//! A validator to copy from: reports on miners each period and judges finished tasks. Replace
//! [`measure`] and [`judge`] with what you really find out.
//!
//!     cargo run --example validator -- --url http://127.0.0.1:8000 --uid 48 --hotkey ./my-hotkey
//!
//! The server must know the hotkey as a validator with that uid. The file is a Bittensor hotkey
//! file; it is made when there is none.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use pithead::domain::ids::Hotkey;
use pithead::identity::Keypair;
use pithead::identity::btauth::{self, Nonces};
use reqwest::Method;
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A validator of a Pithead server.
#[derive(Parser)]
struct Args {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8000")]
    url: String,
    /// Hotkey file, such as ~/.bittensor/wallets/<coldkey>/hotkeys/<hotkey>.
    #[arg(long, default_value = "validator-hotkey")]
    hotkey: PathBuf,
    /// This validator's place in the subnet.
    #[arg(long)]
    uid: u16,
    /// The miners to report on: `uid=hotkey`, as often as there are miners.
    #[arg(long = "miner", value_parser = parse_miner)]
    miners: Vec<(u16, String)>,
    /// Seconds between two reports.
    #[arg(long, default_value_t = 60)]
    period_secs: u64,
    /// Stop after so many periods.
    #[arg(long)]
    periods: Option<u64>,
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
    println!("uid {} validates for {} as {}", args.uid, args.url, client.keypair.hotkey());

    for epoch in 0..args.periods.unwrap_or(u64::MAX) {
        // Neither failure ends the validator: the next period has another chance.
        if let Err(error) = report(&client, &args, epoch).await {
            println!("report failed: {error}");
        }
        match judge_all(&client, args.uid).await {
            Ok(count) => println!("{count} tasks judged"),
            Err(error) => println!("judging failed: {error}"),
        }
        tokio::time::sleep(Duration::from_secs(args.period_secs)).await;
    }
    Ok(())
}

/// One report names all miners that could be reached: who is missing gets a vote against it.
async fn report(client: &Client, args: &Args, epoch: u64) -> Outcome<()> {
    let statuses: Vec<_> = args.miners.iter().map(|(uid, hotkey)| measure(*uid, hotkey)).collect();
    let body = json!({"validator_uid": args.uid, "miner_statuses": statuses, "epoch": epoch});
    let answer = client.call(Method::POST, "/api/v1/validators/miner-status", Some(&body)).await?;
    println!("report {epoch}: {} miners taken", answer["miners_processed"]);
    // A status with a bad field is refused alone, with the reason.
    for refused in answer["rejected"].as_array().into_iter().flatten() {
        println!("  refused: uid {} {}: {}", refused["uid"], refused["field"], refused["reason"]);
    }
    Ok(())
}

/// Your measurement goes here: ask the miner something and see how well and fast it answers.
fn measure(uid: u16, hotkey: &str) -> Value {
    json!({
        "uid": uid, "hotkey": hotkey, "stake": 100.0, "is_serving": true,
        "performance_score": 0.8, "current_load": 0, "max_capacity": 2,
        "task_type_specialization": ["transcription", "summarization"],
    })
}

/// Judges the done tasks that this validator has not judged yet.
async fn judge_all(client: &Client, uid: u16) -> Outcome<usize> {
    let answer = client.call(Method::GET, "/api/v1/validator/tasks", None).await?;
    let tasks = answer["tasks"].as_array().map_or(&[][..], Vec::as_slice);
    for task in tasks {
        let responses = task["responses"].as_array().into_iter().flatten();
        let evaluations: Vec<_> = responses
            .map(|response| {
                // The accuracy is yours to judge; the time was measured by the server.
                json!({"miner_uid": response["miner_uid"], "accuracy": judge(task, response)})
            })
            .collect();
        let body = json!({
            "task_id": task["task_id"],
            "validator_uid": uid,
            "evaluation_data": {"evaluations": evaluations},
        });
        let after = client.call(Method::POST, "/api/v1/validator/evaluation", Some(&body)).await?;
        println!("task {} judged, now {}", task["task_id"], after["task_status"]);
    }
    Ok(tasks.len())
}

/// Your judgement goes here, 0..=1: run a reference model on the input and compare.
fn judge(_task: &Value, response: &Value) -> f64 {
    let data = &response["response_data"];
    let empty = |key: &str| data[key].as_str().is_none_or(str::is_empty);
    if ["transcript", "summary", "audio_file"].into_iter().all(empty) { 0.0 } else { 0.8 }
}

fn parse_miner(text: &str) -> Result<(u16, String), String> {
    let (uid, hotkey) = text.split_once('=').ok_or("write `uid=hotkey`")?;
    Ok((uid.parse().map_err(|_| "the uid must be 0 to 65535")?, hotkey.to_owned()))
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
        let hotkey = identity["hotkey"].as_str().ok_or("the server told no hotkey")?;
        let server = Hotkey::parse(hotkey)?;
        Ok(Self { http, url, keypair, server, nonces: Nonces::default() })
    }

    /// Signs method, target and body, sends them, and reads the JSON of the answer.
    async fn call(&self, method: Method, target: &str, json: Option<&Value>) -> Outcome<Value> {
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
        let status = answer.status();
        let content: Value = answer.json().await?;
        if status.is_success() {
            return Ok(content);
        }
        Err(format!("{status}: {}", content["detail"].as_str().unwrap_or("no detail")).into())
    }
}
