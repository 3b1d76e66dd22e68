//! What a rogue miner says beside its honest work: of leases that are another's, of attempts that are
//! past or still to come, and two answers at once. None of it may be taken.

use pithead::domain::ids::LeaseToken;
use rand::RngExt;
use serde_json::{Value, json};

use super::crowd::Person;
use super::site::Ask;

/// How far back a thief looks: mostly leases that still live.
const NEWEST: usize = 24;

/// Speaks of leases that it does not hold while it holds this one. Must be told that they are lost,
/// and what it says must leave its own lease as it is.
pub(super) async fn lie(me: &mut Person, token: &str) {
    let own: LeaseToken = token.parse().unwrap();
    // A miner that fails a slot does not get it again, but a busy one does, and so may well remember
    // a past attempt of the slot that it holds. The next one could only be guessed.
    for attempt in [own.attempt - 1, own.attempt + 1] {
        refused(me, LeaseToken { attempt, ..own }).await;
    }
    let uid = me.uid;
    let others: Vec<String> = me.site.ledger(|ledger| {
        let newest = ledger.begun.iter().rev().filter(|(_, holder)| **holder != uid);
        newest.take(NEWEST).map(|(token, _)| token.clone()).collect()
    });
    if !others.is_empty() {
        let stolen = &others[me.rng.random_range(0..others.len())];
        refused(me, stolen.parse().unwrap()).await;
    }
}

async fn refused(me: &Person, token: LeaseToken) {
    let task = token.task;
    let beat = format!("/api/v1/miner/tasks/{task}/heartbeat");
    let lease = json!({ "lease_token": token });
    let back = json!({ "lease_token": token, "reason": "failed", "permanent": true });
    let release = format!("/api/v1/miner/tasks/{task}/release");
    for ask in [
        Ask::post("rogue heartbeat", beat, &lease),
        Ask::post("rogue release", release, &back),
        answer(me, "rogue answer", &token.to_string(), &json!({ "summary": "", "transcript": "" })),
    ] {
        if let Some((status, said, _)) = me.ask(&ask).await
            && (status == 200 || status == 409)
        {
            let (what, uid) = (ask.what, me.uid);
            me.site.wrong(format!("{what} of miner {uid} for {token}: {status} {said}"));
        }
    }
}

/// Two answers to one lease at the same time: at most one counts, and its sender knows which.
pub(super) async fn race(me: &mut Person, token: &str) {
    let words = [0, 1].map(|_| format!("{token} in a race {}", me.rng.random::<u64>()));
    let bodies = words.map(|word| json!({ "summary": word, "transcript": word }));
    let asks = bodies.each_ref().map(|body| answer(me, "race", token, body));
    let told = tokio::join!(me.ask(&asks[0]), me.ask(&asks[1]));
    let taken: Vec<&Value> = [told.0, told.1]
        .iter()
        .zip(&bodies)
        .filter(|(told, _)| matches!(told, Some((200, ..))))
        .map(|(_, body)| body)
        .collect();
    match taken[..] {
        [] => {}
        [body] => {
            me.site.ledger(|l| l.answers.insert(token.to_owned(), (me.uid, body.clone())));
        }
        _ => me.site.wrong(format!("{token}: both answers of a race were taken")),
    }
}

pub(super) fn answer<'a>(me: &Person, what: &'static str, token: &str, data: &Value) -> Ask<'a> {
    let task = token.split('.').next().unwrap_or_default();
    let body = json!({ "task_id": task, "miner_uid": me.uid, "lease_token": token,
                       "response_data": data, "processing_time": 0.1 });
    Ask::post(what, "/api/v1/miner/response", &body)
}
