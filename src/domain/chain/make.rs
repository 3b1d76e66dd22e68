//! Snapshots for tests.

use serde_json::{Value, json};

use super::Snapshot;

/// The row of a miner, one tenth of the incentive its.
pub(super) fn neuron(uid: u16) -> Value {
    json!({
        "uid": uid, "hotkey": format!("hot{uid}"), "coldkey": format!("cold{uid}"),
        "stake": 100 + i64::from(uid), "validator_permit": false, "active": true,
        "last_update": 900, "block_at_registration": 10 + i64::from(uid),
        "incentive": 0.1, "consensus": 0.2, "dividends": 0.0, "emission": 1.5,
    })
}

/// What a validator sends.
pub(super) fn body(block: i64, neurons: &[Value]) -> Value {
    json!({ "netuid": 5, "block": block, "tempo": 360, "neurons": neurons })
}

/// The same, read.
pub(super) fn snapshot(block: i64, neurons: &[Value]) -> Snapshot {
    Snapshot::parse(&body(block, neurons)).unwrap()
}
