//! What the server saw of a miner reaches the consensus, and survives a restart.

use std::sync::Arc;
use std::time::Duration;

use pithead::actors::consensus::{Reported, Reporter, TakeReport, ViewConsensus};
use pithead::actors::distributor::ViewKinds;
use pithead::actors::miner::{Answer, Find};
use pithead::actors::{Actors, Deps};
use pithead::domain::consensus::Reason;
use pithead::domain::ids::{Hotkey, MinerUid};
use pithead::domain::report::{ReportLimits, parse_statuses};
use serde_json::json;

use super::{no_blobs, report, start};

/// A validator calls a miner that we know well a bad one, or a good one.
async fn say(deps: &Deps, actors: &Actors, n: u16, performance: f64) {
    let json = json!([{
        "uid": 0, "hotkey": "miner0", "stake": 1, "is_serving": true, "max_capacity": 2,
        "performance_score": performance,
    }]);
    let statuses = parse_statuses(&json.to_string(), &ReportLimits::default()).unwrap().statuses;
    let hotkey = Hotkey::parse(&format!("validator{n}")).unwrap();
    let report = TakeReport {
        reporter: Reporter { hotkey, uid: 100 + n, stake: None },
        epoch: 1,
        sequence: None,
        partial: false,
        signed_order: deps.clock.now().0 * 1_000_000,
        body_hash: [0; 32],
        statuses,
        nonce: None,
    };
    let reported = actors.consensus.send(report).await.unwrap().unwrap();
    let Reported::Taken(merged) = reported else { panic!("{reported:?}") };
    merged.await.unwrap();
}

/// Why each validator's reputation last moved.
async fn reasons(actors: &Actors) -> Vec<Reason> {
    let overview = actors.consensus.send(ViewConsensus).await.unwrap();
    let mut views = overview.validators;
    views.sort_by_key(|view| view.uid);
    views.iter().map(|view| view.track.reason).collect()
}

/// Time passes until the second validator is contradicted by what we saw, and it alone.
async fn until_contradicted(deps: &Deps, actors: &Actors, reports: bool) {
    for _ in 0..200 {
        if reports {
            say(deps, actors, 0, 0.95).await;
            say(deps, actors, 1, 0.2).await;
        }
        deps.clock.advance(61_000);
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let [first, Reason::ContradictedByObservation] = reasons(actors).await.as_slice() {
            assert_ne!(*first, Reason::ContradictedByObservation);
            return;
        }
    }
    panic!("{:?}", reasons(actors).await);
}

async fn answer_one(deps: &Deps, actors: &Actors) {
    let task = super::respawn::task(deps.clock.now());
    let id = task.id;
    let submit = super::submit(task);
    actors.distributor.send(submit).await.unwrap().unwrap();
    let miner = deps.directory.by_uid(MinerUid(0)).unwrap();
    while miner.addr.send(Find(id)).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let answer = Answer {
        task: id,
        token: None,
        body: json!({ "audio_data": "x" }).into(),
        body_hash: [1; 32],
        claims: None,
        nonce: None,
    };
    miner.addr.send(answer).await.unwrap().unwrap();
}

#[test]
fn a_validator_that_speaks_ill_of_a_miner_we_know_is_contradicted_also_after_a_restart() {
    actix_rt::System::new().block_on(async {
        let (deps, actors) = start().await;
        report(&deps, &actors).await;
        for _ in 0..25 {
            answer_one(&deps, &actors).await;
        }
        until_contradicted(&deps, &actors, true).await;
        let miner = deps.directory.by_uid(MinerUid(0)).unwrap().registration;
        let before = actors.distributor.send(ViewKinds(miner)).await.unwrap();
        assert_eq!(before.len(), 1);
        assert_eq!((before[0].answered, before[0].failed), (25, 0));
        actors.flush().await;

        let (config, kinds) = (Arc::clone(&deps.config), Arc::clone(&deps.kinds));
        let again = Deps::new(deps.store.clone(), deps.clock.clone(), config, kinds);
        let actors = Actors::start(&again, &no_blobs(), 8).await.unwrap();
        until_contradicted(&again, &actors, false).await;
        let after = actors.distributor.send(ViewKinds(miner)).await.unwrap();
        assert_eq!((after[0].answered, after[0].latency_p95_ms), (25, before[0].latency_p95_ms));
    });
}
