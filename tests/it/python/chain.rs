//! Snapshots of the metagraph that the real SDK builds are read as the chain has them.

use pithead::domain::chain::{Change, Known, Snapshot, changes};
use pithead::domain::ids::{Hotkey, MinerUid, RegistrationId};
use pithead::domain::units::Stake;
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use super::{said_to, venv};

const NEURONS: u16 = 300;

/// What the chain's runtime answers: columns of raw numbers.
fn graph(block: i64) -> Value {
    let column = |of: &dyn Fn(u16) -> Value| Value::from_iter((0..NEURONS).map(of));
    json!({
        "netuid": 5, "name": [], "symbol": [], "block": block, "tempo": 360,
        "last_step": block - 100, "blocks_since_last_step": 100, "network_registered_at": 1,
        "owner_hotkey": "owner", "owner_coldkey": "owner", "num_uids": NEURONS, "max_uids": 512,
        "hotkeys": column(&|uid| format!("hot{uid}").into()),
        "coldkeys": column(&|uid| format!("cold{}", uid / 2).into()),
        "active": column(&|uid| (uid % 7 != 0).into()),
        "validator_permit": column(&|uid| (uid < 10).into()),
        "last_update": column(&|uid| (block - i64::from(uid)).into()),
        "block_at_registration": column(&|uid| (10 + i64::from(uid)).into()),
        "consensus": column(&|uid| (uid * 2).into()),
        "incentives": column(&|uid| (u32::from(uid) * 218).into()),
        "dividends": column(&|uid| (uid * 3).into()),
        "emission": column(&|uid| (u64::from(uid) * 1_234_567_891).into()),
        "total_stake": column(&|uid| (123_456_789_012_345 + u64::from(uid)).into()),
        "axons": column(&|_| Value::Null),
        "identities": column(&|_| Value::Null),
    })
}

#[tokio::test]
async fn a_snapshot_of_the_sdk_is_read_as_the_chain_has_it() {
    let Some(python) = venv::python() else { return };
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python/metagraph.py"));
    command.env("PYTHONWARNINGS", "ignore");
    let chains = [graph(36_000), graph(36_000), graph(36_050)];
    let out = said_to(command, chains.map(|chain| chain.to_string()).join("\n")).await;
    let snapshots: Vec<Snapshot> = out
        .lines()
        .map(|line| Snapshot::parse(&serde_json::from_str(line).unwrap()).unwrap())
        .collect();
    let [one, same, later] = &snapshots[..] else { panic!("{out}") };
    assert_eq!(one.digest(), same.digest());
    assert_ne!(one.digest(), later.digest());
    assert_eq!((one.netuid, one.block, one.last_step), (5, 36_000, 35_900));
    assert_eq!(one.neurons.len(), usize::from(NEURONS));
    for (uid, neuron) in &one.neurons {
        let uid = uid.0;
        assert_eq!(neuron.hotkey.as_str(), format!("hot{uid}"));
        assert_eq!(neuron.coldkey.as_ref().map(Hotkey::as_str), Some(&*format!("cold{}", uid / 2)));
        assert_eq!(neuron.incentive, uid * 218);
        assert_eq!((neuron.consensus, neuron.dividends), (uid * 2, uid * 3));
        assert_eq!((neuron.active, neuron.validator_permit), (uid % 7 != 0, uid < 10));
        assert_eq!(neuron.last_update, 36_000 - i64::from(uid));
        assert_eq!(neuron.block_at_registration, 10 + i64::from(uid));
        assert_eq!(neuron.emission, i64::from(uid) * 1_234_567_891);
        assert_eq!(neuron.stake, Stake::from_rao(123_456_789_012_345 + i64::from(uid)));
    }
    let registration = RegistrationId(Uuid::from_u128(7));
    let hotkey = Hotkey::parse("hot7").unwrap();
    let known = Known { registration, uid: MinerUid(7), hotkey, registered_block: 0 };
    assert_eq!(changes(&[known], one).get(&MinerUid(7)), Some(&Change::Confirmed(17)));
}
