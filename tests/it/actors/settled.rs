//! A server that was killed between a snapshot and what is to be told of it tells it at its next start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pithead::domain::chain::{Mode, Snapshot};
use pithead::domain::ids::{Hotkey, MinerUid};
use pithead::domain::units::Millis;
use pithead::store::model::ModelStore;
use pithead::store::*;
use serde_json::json;

use super::start_on;

fn hotkey(name: &str) -> Hotkey {
    name.parse().unwrap()
}

fn submission(block: i64, uid: u16) -> PutSubmission {
    PutSubmission {
        netuid: 49,
        validator: hotkey("validator0"),
        validator_uid: 100,
        block,
        mode: Some(Mode::Plain),
        version_key: None,
        weights: Some(vec![(MinerUid(uid), 1)]),
        run: None,
        state: Told::Sent,
        open_max: 100,
        now: Millis(5),
        nonce: None,
    }
}

/// Miner 1 has all incentive.
fn adopt(block: i64, last_update: i64, last_step: i64, now: i64) -> Adopt {
    let neuron = |uid: u16, name: &str, incentive: f64| {
        json!({
            "uid": uid, "hotkey": name, "stake": 1, "validator_permit": true,
            "last_update": last_update, "block_at_registration": 1, "incentive": incentive,
        })
    };
    let neurons = [neuron(100, "validator0", 0.0), neuron(1, "one", 1.0)];
    let body = json!({
        "netuid": 49, "block": block, "tempo": 360, "last_step": last_step, "neurons": neurons,
    });
    let snapshot = Arc::new(Snapshot::parse(&body).unwrap());
    let row = SnapshotRow { snapshot, adopted_at: Millis(now), senders: vec![] };
    Adopt { row, nonce: None }
}

#[test]
fn what_a_killed_server_had_no_time_to_tell_is_told_at_the_next_start() {
    actix_rt::System::new().block_on(async {
        let store = Arc::new(ModelStore::default());
        for (block, uid) in [(100, 2), (500, 2), (510, 1), (900, 2)] {
            store.put_submission(submission(block, uid)).await.unwrap();
        }
        // The first was settled by an earlier snapshot; the last was forgotten by the chain.
        store.adopt(adopt(400, 400, 361, 10)).await.unwrap();
        store.adopt(adopt(1_000, 899, 722, 20)).await.unwrap();
        let page = || AuditPage { netuid: 49, action: "weights.".into(), before: None, limit: 9 };
        for _ in 0..2 {
            let (deps, actors) = start_on(store.clone()).await;
            let began = Instant::now();
            while store.audit(page()).await.unwrap().is_empty() {
                assert!(began.elapsed() < Duration::from_secs(20), "nothing was told");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let told = store.audit(page()).await.unwrap();
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!(told[0].fact.subject(), "validator0 at block 500");
            drop((deps, actors));
        }
    });
}
