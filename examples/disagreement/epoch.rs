//! One epoch against a real server: 64 validators post their signed reports on 256 miners, and each
//! is answered once its report is durable and merged.

use std::error::Error;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pithead::app::Server;
use pithead::config::{Config, Role, RoleEntry};
use pithead::domain::ids::Hotkey;
use pithead::identity::Keypair;
use pithead::identity::btauth::{Nonces, sign_request};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::wire::Wire;
use super::world::{MINERS, Rng, VALIDATORS};

/// Keep-alive connections; each speaks for four validators in turn.
const CONNECTIONS: usize = 16;
const TARGET: &str = "/api/v1/validators/miner-status";

fn validator(index: usize) -> Keypair {
    Keypair::from_label(&format!("disagreement/validator/{index}"))
}

fn uid(index: usize) -> Result<u16, std::num::TryFromIntError> {
    u16::try_from(10_000 + index)
}

/// A signed report: its header lines and its body.
type Signed = (String, Vec<u8>);

/// A connection and what came back on it.
type Answers = std::io::Result<(Wire, Vec<Vec<u8>>)>;

/// Median time of an epoch in milliseconds, after one to warm up.
pub(crate) fn merge_ms(epochs: usize) -> Result<f64, Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(epochs))
}

async fn measure(epochs: usize) -> Result<f64, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".to_owned();
    config.data_dir = folder.path().to_owned();
    for index in 0..VALIDATORS {
        config.auth.hotkeys.push(RoleEntry {
            hotkey: validator(index).hotkey().to_string(),
            role: Role::Validator,
            uid: uid(index)?,
            stake: 1_000.0 + index as f64,
        });
    }
    let server = Server::start(config).await?;
    let address = server.address().to_string();
    let mut wires = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        wires.push(Wire::connect(&address, "").await?);
    }
    let first = wires.first_mut().ok_or("no connection")?;
    let identity: Value = serde_json::from_slice(first.get("/api/v1/identity").await?.body)?;
    let receiver = Hotkey::parse(identity["hotkey"].as_str().unwrap_or_default())?;
    let (mut times, mut rng) = (Vec::with_capacity(epochs), Rng(1));
    for epoch in 0..=epochs {
        let reports = signed(epoch, &receiver, &mut rng)?;
        let (taken, spent);
        (wires, taken, spent) = post(wires, reports).await?;
        if taken != VALIDATORS * MINERS {
            return Err(format!("only {taken} statuses were taken").into());
        }
        if epoch > 0 {
            times.push(spent);
        }
    }
    drop(wires);
    server.stop().await;
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or(f64::NAN))
}

/// Every validator's report of this epoch, signed beforehand: the validators have their own machines.
fn signed(epoch: usize, receiver: &Hotkey, rng: &mut Rng) -> Result<Vec<Signed>, Box<dyn Error>> {
    let nonces = Nonces::default();
    let mut reports = Vec::with_capacity(VALIDATORS);
    for index in 0..VALIDATORS {
        let status = |uid: usize| {
            json!({
                "uid": uid, "hotkey": format!("miner{uid}"), "stake": 500.0, "is_serving": true,
                "performance_score": 0.7 + 0.2 * rng.unit(), "current_load": epoch % 3,
                "max_capacity": 5, "task_type_specialization": "transcription,tts",
            })
        };
        let statuses: Vec<_> = (0..MINERS).map(status).collect();
        let (uid, epoch) = (uid(index)?, epoch);
        let body = json!({ "validator_uid": uid, "epoch": epoch, "miner_statuses": statuses });
        let body = body.to_string().into_bytes();
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let nonce = nonces.next(u64::try_from(now.as_nanos())?);
        let headers = sign_request(&validator(index), "POST", TARGET, &body, receiver, nonce);
        let lines = headers.into_iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        reports.push((lines.collect(), body));
    }
    Ok(reports)
}

/// Posts all reports; the connections, the statuses taken, and the milliseconds until the last
/// answer.
async fn post(
    wires: Vec<Wire>,
    mut reports: Vec<Signed>,
) -> Result<(Vec<Wire>, usize, f64), Box<dyn Error>> {
    let share = reports.len().div_ceil(wires.len());
    let mut crew: JoinSet<Answers> = JoinSet::new();
    let mut shares = Vec::with_capacity(wires.len());
    for wire in wires {
        let rest = reports.split_off(share.min(reports.len()));
        shares.push((wire, std::mem::replace(&mut reports, rest)));
    }
    let began = Instant::now();
    for (mut wire, reports) in shares {
        crew.spawn(async move {
            let mut answers = Vec::with_capacity(reports.len());
            for (headers, body) in &reports {
                let answer = wire.post(TARGET, "application/json", headers, body).await?;
                answers.push(answer.body.to_vec());
            }
            Ok((wire, answers))
        });
    }
    let (mut wires, mut answers) = (Vec::new(), Vec::new());
    while let Some(done) = crew.join_next().await {
        let (wire, more) = done??;
        wires.push(wire);
        answers.extend(more);
    }
    let spent = began.elapsed().as_secs_f64() * 1e3;
    let mut taken = 0;
    for answer in answers {
        let answer: Value = serde_json::from_slice(&answer)?;
        taken += answer["miners_processed"].as_u64().unwrap_or_default() as usize;
    }
    Ok((wires, taken, spent))
}
