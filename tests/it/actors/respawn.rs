//! A miner's actor dies; its successor has its leases.

use actix::prelude::*;
use pithead::actors::distributor::Submitted;
use pithead::actors::miner::{Find, Miner, Poll};
use pithead::domain::ids::{MinerUid, TaskId};
use pithead::domain::task::Priority;
use pithead::store::{NewTask, TaskInput};

use super::{Die, report, start, wait_for};

impl Handler<Die> for Miner {
    type Result = ();

    fn handle(&mut self, _: Die, _: &mut Self::Context) {
        panic!("a miner dies, as the test wants");
    }
}

pub(super) fn task(now: pithead::domain::units::Millis) -> NewTask {
    NewTask {
        id: TaskId(uuid::Uuid::now_v7()),
        owner: "client".to_owned(),
        kind: "tts".to_owned(),
        priority: Priority::Normal,
        slots: 1,
        enough: 1,
        min_responses: 1,
        source_language: "en".to_owned(),
        target_language: None,
        model_id: None,
        voice_name: None,
        input: TaskInput::Text("say something".to_owned()),
        run_millis: 60_000,
        created_at: now,
        deadline: now.plus(600_000),
        retry_of: None,
        start_at: now,
        adaptive: None,
        callback_url: None,
    }
}

#[test]
fn a_dead_miner_is_respawned_with_its_leases() {
    actix_rt::System::new().block_on(async {
        let (deps, actors) = start().await;
        report(&deps, &actors).await;
        let task = task(deps.clock.now());
        let id = task.id;
        let submit = super::submit(task);
        let submitted = actors.distributor.send(submit).await.unwrap().unwrap();
        assert!(matches!(submitted, Submitted::New { slots: 1, .. }), "{submitted:?}");

        let first = deps.directory.by_uid(MinerUid(0)).unwrap();
        let token = loop {
            if let Some(held) = first.addr.send(Find(id)).await.unwrap() {
                break held.token;
            }
            tokio::task::yield_now().await;
        };
        first.addr.send(Die).await.unwrap_err();
        let by_uid = || deps.directory.by_uid(MinerUid(0)).unwrap();
        wait_for("a successor runs", || by_uid().addr.connected()).await;

        let second = by_uid();
        assert_eq!(second.registration, first.registration);
        let polled = second.addr.send(Poll { wait: true }).await.unwrap();
        let leases = polled.leases.await.unwrap().unwrap();
        assert_eq!(leases.len(), 1);
        assert_eq!((leases[0].token, leases[0].fetched), (token, true));
        assert_eq!(actors.dead(), None);
    });
}
