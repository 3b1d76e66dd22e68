//! Actors die and come back, or take the process with them.

mod at_once;
mod faulty;
mod observed;
mod respawn;
mod settled;
mod singleton;
mod watched;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use pithead::actors::consensus::{Reported, Reporter, TakeReport};
use pithead::actors::distributor::Submit;
use pithead::actors::{Actors, Deps};
use pithead::config::{Config, Role, RoleEntry};
use pithead::domain::ids::Hotkey;
use pithead::domain::report::{ReportLimits, parse_statuses};
use pithead::domain::task::Completion;
use pithead::outside::blobs::Place;
use pithead::outside::{Blobs, Clock};
use pithead::store::model::ModelStore;
use pithead::store::{NewTask, Store};

/// Panics in the actor that gets it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Die;

/// Waits until something holds, for a bounded time.
pub(crate) async fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Two validators of equal stake.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.auth.hotkeys = (0..2)
        .map(|n| RoleEntry {
            hotkey: format!("validator{n}"),
            role: Role::Validator,
            uid: 100 + n,
            stake: 10.0,
        })
        .collect();
    config
}

/// Actors on an empty model store.
async fn start() -> (Arc<Deps>, Actors) {
    start_on(Arc::new(ModelStore::default())).await
}

/// Actors on this store.
async fn start_on(store: Arc<dyn Store>) -> (Arc<Deps>, Actors) {
    let config = Arc::new(config());
    let kinds = Arc::new(config.kinds());
    let deps = Deps::new(store, Clock::default(), config, kinds);
    let actors = Actors::start(&deps, &no_blobs(), 7).await.unwrap();
    (deps, actors)
}

/// A task for one answer, as an API key's client hands it in.
fn submit(task: NewTask) -> Submit {
    Submit {
        task,
        file: None,
        completion: Completion::All,
        adaptive: false,
        input_units: 1,
        idempotency: None,
        nonce: None,
    }
}

/// A place where nothing is kept, and which is gone already.
pub(crate) fn no_blobs() -> Blobs {
    Blobs::look(tempfile::tempdir().unwrap().path(), &Place::Folder).unwrap()
}

/// Both validators report one miner, uid 0.
async fn report(deps: &Deps, actors: &Actors) {
    report_miners(deps, actors, 1).await;
}

/// Both validators report so many miners, uid 0 and up.
async fn report_miners(deps: &Deps, actors: &Actors, miners: u16) {
    let miner = |uid| {
        serde_json::json!({
            "uid": uid, "hotkey": format!("miner{uid}"), "stake": 1, "is_serving": true,
            "performance_score": 0.9, "current_load": 0, "max_capacity": 2,
        })
    };
    let json = serde_json::Value::from_iter((0..miners).map(miner)).to_string();
    for n in 0..2_u16 {
        let statuses = parse_statuses(&json, &ReportLimits::default()).unwrap().statuses;
        let report = TakeReport {
            reporter: Reporter {
                hotkey: Hotkey::parse(&format!("validator{n}")).unwrap(),
                uid: 100 + n,
                stake: None,
            },
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
}
