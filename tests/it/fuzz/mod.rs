//! Ten thousand broken reports for one running program: each is refused by the field at fault, none
//! is a fault of the server, and its memory stays where it was.

mod mutate;

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pithead::domain::ids::Hotkey;
use pithead::identity::Keypair;
use pithead::identity::btauth::{Nonces, sign_request};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use mutate::{Rng, Sent, mutated, valid};

const REPORTS: u64 = 10_000;
/// Reports after which memory must not grow any more.
const WARM_UP: u64 = 4_000;
/// At once; each bad report is sent by one of three validators.
const SENDERS: u64 = 8;
/// Growth that is not a leak: pages of the database, nonces of the last minutes. 64,000 reports take
/// 20 MB; a kept report each would take more than that after these.
const GROWTH_KB_MAX: u64 = 16 * 1024;
const TARGET: &str = "/api/v1/validators/miner-status";

struct Site {
    child: Child,
    http: reqwest::Client,
    url: String,
    admin: String,
    receiver: Hotkey,
    nonces: Nonces,
    validators: Vec<Keypair>,
    _folder: TempDir,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let validators: Vec<_> =
            (0..3).map(|n| Keypair::from_label(&format!("fuzz validator {n}"))).collect();
        let mut config = "[limits]\nreports_per_minute = 4294967295\n\
                          unproven_per_minute = 4294967295\n"
            .to_owned();
        for (uid, keys) in (200..).zip(&validators) {
            let hotkey = keys.hotkey();
            config += &format!(
                "[[auth.hotkeys]]\nhotkey = \"{hotkey}\"\nrole = \"validator\"\nuid = {uid}\n\
                 stake = 1000.0\n"
            );
        }
        let path = folder.path().join("pithead.toml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pithead"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"]);
        command.arg(folder.path()).arg("--config").arg(path);
        // The allocator gives unused memory back at once, so that what is resident is what is used.
        command.env("MIMALLOC_PURGE_DELAY", "0");
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut url, mut admin) = (String::new(), String::new());
        while admin.is_empty() {
            let line = lines.next_line().await.unwrap().expect("the server starts");
            if let Some(said) = line.strip_prefix("Pithead listens on ") {
                url = said.to_owned();
            } else if let Some(said) = line.strip_prefix("admin key, shown this once: ") {
                admin = said.to_owned();
            }
        }
        let http = reqwest::Client::new();
        let identity = http.get(format!("{url}/api/v1/identity")).send().await.unwrap();
        let identity: Value = identity.json().await.unwrap();
        let receiver = Hotkey::parse(identity["hotkey"].as_str().unwrap()).unwrap();
        let (nonces, _folder) = (Nonces::default(), folder);
        Self { child, http, url, admin, receiver, nonces, validators, _folder }
    }

    /// Status and body of the answer.
    async fn send(&self, validator: usize, sent: &Sent) -> (u16, Value) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let nonce = self.nonces.next(u64::try_from(now.as_nanos()).unwrap());
        let keys = &self.validators[validator];
        let mut request = self.http.post(format!("{}{TARGET}", self.url));
        for (name, value) in sign_request(keys, "POST", TARGET, &sent.body, &self.receiver, nonce) {
            request = request.header(name, value);
        }
        if let Some(content_type) = &sent.content_type {
            request = request.header("content-type", content_type);
        }
        let answer = request.body(sent.body.clone()).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.bytes().await.unwrap();
        let what = || format!("{status}: {}", String::from_utf8_lossy(&text));
        let value = serde_json::from_slice(&text).unwrap_or_else(|_| panic!("{}", what()));
        (status, value)
    }

    /// Sends the reports of these numbers, as the seed makes them; how many were taken.
    async fn storm(self: &Arc<Self>, seed: u64, numbers: std::ops::Range<u64>) -> u64 {
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            let (site, numbers) = (self.clone(), numbers.clone());
            senders.spawn(async move {
                let mut taken = 0;
                for number in numbers.filter(|number| number % SENDERS == sender) {
                    let validator = number as usize % 3;
                    let sent = mutated(&mut Rng::new(seed, number), 200 + validator);
                    let (status, answer) = site.send(validator, &sent).await;
                    if let Err(reason) = judged(status, &answer) {
                        let answer: String = answer.to_string().chars().take(500).collect();
                        let body = sent.body.get(..600).unwrap_or(&sent.body);
                        let body = String::from_utf8_lossy(body).into_owned();
                        let story = &sent.story;
                        panic!(
                            "PITHEAD_FUZZ_SEED={seed}, report {number}: {reason}\n{story:?}\n\
                             {status}: {answer}\n{body}"
                        );
                    }
                    taken += u64::from(status == 200);
                }
                taken
            });
        }
        senders.join_all().await.into_iter().sum()
    }

    fn resident_kb(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().expect("it runs"));
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

/// Whether an answer is one that its sender can work with.
fn judged(status: u16, answer: &Value) -> Result<(), &'static str> {
    let named = |list: &Value| {
        let list = list.as_array()?;
        let text = |entry: &Value, name: &str| entry[name].as_str().is_some_and(|t| !t.is_empty());
        let both = |entry: &Value| text(entry, "field") && text(entry, "reason");
        Some((list.len(), list.iter().all(both)))
    };
    let detail = answer["detail"].as_str().unwrap_or_default();
    match status {
        200 => match named(&answer["rejected"]) {
            Some((_, true)) => Ok(()),
            _ => Err("a refused entry does not name its field"),
        },
        // No fields can be told apart in such a body.
        400 | 415 if detail.len() > 10 => Ok(()),
        413 if detail.contains("miner_statuses") || detail.contains("bytes") => Ok(()),
        // Says that it is somebody else.
        403 if detail.contains("validator_uid") => Ok(()),
        422 => match named(&answer["errors"]) {
            Some((1.., true)) => Ok(()),
            _ => Err("the field is not named"),
        },
        500.. => Err("a fault of the server"),
        _ => Err("the answer says too little"),
    }
}

fn seed() -> u64 {
    std::env::var("PITHEAD_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_reports_are_refused_by_field_and_cost_no_memory() {
    let (began, seed) = (Instant::now(), seed());
    let site = Arc::new(Site::start().await);
    let mut taken = site.storm(seed, 0..WARM_UP).await;
    let before = site.resident_kb();
    taken += site.storm(seed, WARM_UP..REPORTS).await;
    let after = site.resident_kb();
    println!(
        "{REPORTS} reports in {:.1} s, {taken} taken in part; memory {before} kB, then {after} kB",
        began.elapsed().as_secs_f64()
    );
    assert!(taken > REPORTS / 10 && taken < REPORTS, "mutations of all sorts: {taken} were taken");
    assert!(after < before + GROWTH_KB_MAX, "memory grew from {before} kB to {after} kB");
    // Whoever reports well is heard as before.
    for validator in 0..3 {
        let (status, answer) = site.send(validator, &valid(200 + validator)).await;
        assert_eq!((status, &answer["rejected"]), (200, &json!([])), "{answer}");
        assert_eq!(answer["miners_processed"], mutate::MINERS, "{answer}");
    }
    let verdict = site.http.get(format!("{}/api/v1/miners/1/consensus", site.url));
    let verdict: Value =
        verdict.bearer_auth(&site.admin).send().await.unwrap().json().await.unwrap();
    let about = &verdict["consensus_status"];
    assert_eq!(about["consensus_validators"], json!([200, 201, 202]), "{verdict}");
    assert_eq!(about["performance_score"], 0.75, "{verdict}");
    assert_eq!(about["hotkey"], mutate::hotkey(1), "{verdict}");
}
