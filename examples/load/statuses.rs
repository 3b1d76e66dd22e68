//! Reports of 64 validators on 256 miners, as fast as they are taken.

use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Args;
use super::server::{Child, VALIDATORS, validator_key};
use super::wire::Wire;

const MINERS: u16 = 256;
/// Connections; each speaks for several validators in turn.
const CONNECTIONS: u16 = 16;

/// Statuses per second that were durable and merged before their answer.
pub(crate) async fn run(args: &Args, server: &Child) -> Result<f64, Box<dyn Error>> {
    if args.report_secs == 0 {
        return Ok(f64::NAN);
    }
    let limit = Duration::from_secs(args.report_secs);
    let mut crew: JoinSet<Result<u64, Box<dyn Error + Send + Sync>>> = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let mut reports = Vec::new();
        for number in (connection..VALIDATORS).step_by(usize::from(CONNECTIONS)) {
            let key = server.key(&format!("validator:{}", validator_key(number).hotkey())).await?;
            let wire = Wire::connect(&server.address, &key).await?;
            reports.push((wire, [body(number, 0), body(number, 1)]));
        }
        crew.spawn(async move {
            let (mut taken, mut turn) = (0_u64, 0);
            let began = Instant::now();
            while began.elapsed() < limit {
                for (wire, bodies) in &mut reports {
                    let body = bodies[turn % 2].as_bytes();
                    let target = "/api/v1/validators/miner-status";
                    let answer = wire.post(target, "application/json", "", body).await?;
                    if answer.status != 200 {
                        return Err(String::from_utf8_lossy(answer.body).into_owned().into());
                    }
                    let answer: Value = serde_json::from_slice(answer.body)?;
                    taken += answer["miners_processed"].as_u64().unwrap_or_default();
                }
                turn += 1;
            }
            Ok(taken)
        });
    }
    let began = Instant::now();
    let mut taken = 0;
    while let Some(done) = crew.join_next().await {
        taken += done?.map_err(|error| error.to_string())?;
    }
    Ok(taken as f64 / began.elapsed().as_secs_f64())
}

/// A report whose numbers differ from validator to validator and from turn to turn.
fn body(validator: u16, turn: u16) -> String {
    let statuses: Vec<Value> = (0..MINERS)
        .map(|uid| {
            let noise = f64::from((uid * 7 + validator * 13 + turn * 5) % 100) / 1_000.0;
            json!({
                "uid": 1_000 + uid, "hotkey": format!("loadminer{uid}"), "stake": 500.0,
                "is_serving": true, "performance_score": 0.7 + noise, "current_load": turn,
                "max_capacity": 5, "task_type_specialization": "transcription,tts",
            })
        })
        .collect();
    json!({ "validator_uid": 10_000 + validator, "epoch": 2, "miner_statuses": statuses })
        .to_string()
}
