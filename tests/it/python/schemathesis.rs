//! `schemathesis` makes requests out of `/openapi.json`, right ones and wrong ones, and holds the
//! answers against it: no 5xx, no status and no body that is not documented.
//!
//! Miners and validators come with API keys that stand for their hotkeys, since signing every request
//! takes longer than all the rest; signatures have tests of their own. Not asked: streams of open
//! tasks, and long-polls of more than a second.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use super::openai::{Desk, answer};
use super::venv;

/// Generated requests of each sort for each operation and caller.
const EXAMPLES: &str = "20";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

#[tokio::test(flavor = "multi_thread")]
async fn generated_requests_of_every_caller_are_answered_as_documented() {
    let Some(python) = venv::python_with_schemathesis() else { return };
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(&folder).await;
    let working = tokio::spawn(work(desk.http.clone(), desk.server.url(), desk.miner_key().await));
    let client = desk.key("client").await;
    let known = known(&desk, &client).await;
    let miner = desk.key(&format!("miner:{}", desk.idle.hotkey())).await;
    let validator = desk.key(&format!("validator:{}", desk.validator.hotkey())).await;
    let admin = desk.key("admin").await;
    let callers: [(&str, Option<&str>, &[&str]); 5] = [
        ("nobody", None, &["everybody"]),
        ("client", Some(&client), &["clients", "known"]),
        ("admin", Some(&admin), &["admins"]),
        ("miner", Some(&miner), &["miners", "workers"]),
        ("validator", Some(&validator), &["validators"]),
    ];
    let (mut failed, mut asked) = (Vec::new(), 0);
    for (who, key, own) in callers {
        // All routes at random; those that are the caller's with every field at its limits too.
        let mut runs = vec![vec!["--phases=fuzzing".to_owned()]];
        let of = |callers| format!("--include-by=/x-callers=={callers}");
        runs.extend(own.iter().map(|callers| vec!["--phases=coverage".to_owned(), of(callers)]));
        for run in runs {
            let mut command = st(python, &desk.server.url(), folder.path(), key);
            command.args(&run).env("KNOWN", known.to_string());
            let limit = Duration::from_secs(600);
            let done = tokio::time::timeout(limit, command.output()).await.expect("it ends");
            let done = done.unwrap();
            let told = String::from_utf8_lossy(&done.stdout).into_owned();
            asked += cases(&told);
            if !done.status.success() {
                let error = String::from_utf8_lossy(&done.stderr);
                failed.push(format!("{who} {run:?}:\n{told}\n{error}"));
            }
        }
    }
    working.abort();
    println!("{asked} generated requests");
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    assert!(asked > 5_000, "only {asked} requests");
    desk.server.stop().await;
}

/// The program, ready to run for a caller.
fn st(python: &Path, url: &str, folder: &Path, key: Option<&str>) -> Command {
    let mut command = Command::new(python.with_file_name("st"));
    command
        .arg("run")
        .arg(format!("{url}/openapi.json"))
        .args(["--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", "1"])
        .args(["--no-shrink", "--no-color", "--generation-database", "none"])
        .args(["--request-timeout", "30", "--suppress-health-check", "all", "--warnings", "off"])
        .args(["--generation-with-security-parameters", "false", "--continue-on-failure"])
        .args(key.iter().flat_map(|key| ["-H".to_owned(), format!("X-API-Key: {key}")]))
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    command
}

/// How many requests a run says that it made.
fn cases(told: &str) -> u64 {
    let line = told.lines().find_map(|line| line.trim().split_once(" generated, "));
    line.and_then(|(count, _)| count.parse().ok()).unwrap_or(0)
}

/// Things that are there, by the beginnings of the paths that name them.
async fn known(desk: &Desk, client: &str) -> Value {
    let post = async |path: &str, body: Value| -> Value {
        let sent = desk.http.post(desk.server.url() + path).header("x-api-key", client);
        let answer = sent.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    };
    let text = "The canary sings no more, and everybody walks to the pithead.";
    let task = post("/api/v1/tts", json!({ "text": text, "redundancy": 1 })).await;
    let gone = post("/api/v1/tts", json!({ "text": text, "delay_secs": 3_600 })).await;
    let id = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    let gone = id(&gone, "task_id");
    let url = format!("{}/api/v1/tasks/{gone}", desk.server.url());
    let cancelled = desk.http.delete(url).header("x-api-key", client).send().await.unwrap();
    assert!(cancelled.status().is_success());
    let voice = post("/api/v1/voices", json!({ "name": "of a test" })).await;
    // Nobody answers at such a name.
    let webhook = post("/api/v1/webhooks", json!({ "url": "https://receiver.invalid/" })).await;
    let spare = desk.key("client").await;
    json!({
        "key": spare.split('_').nth(1).unwrap(),
        "/api/v1/tasks/": id(&task, "task_id"),
        "/api/v1/task": id(&task, "task_id"),
        "/api/v1/{kind}": id(&task, "task_id"),
        "/api/v1/miner/": id(&task, "task_id"),
        "/api/v1/voices": id(&voice, "voice_id"),
        "/api/v1/webhooks": id(&webhook, "id"),
        "ended": gone,
        "uid": Desk::IDLE_UID,
        "validator_uid": Desk::FUZZ_UID,
    })
}

/// A miner that answers what it gets, whatever becomes of its answers.
async fn work(http: reqwest::Client, url: String, key: String) {
    loop {
        let poll = format!("{url}/api/v1/miners/{}/tasks?status=assigned&wait=5", Desk::UID);
        let Ok(leases) = http.get(poll).header("x-api-key", &key).send().await else { return };
        for lease in leases.json::<Vec<Value>>().await.unwrap_or_default() {
            let Some(answer) = answer(&http, &url, &key, &lease).await else { continue };
            let target = format!("{url}/api/v1/miner/response");
            let sent = http.post(target).header("x-api-key", &key).json(&answer).send().await;
            drop(sent);
        }
    }
}
