//! A uid changes hands while words about whoever had it before are still on their way.

use pithead::identity::btauth;
use serde_json::{Value, json};

use crate::support::{Call, Peer, TestApp, miner, status, validator};

/// A report that this validator signed with an earlier nonce.
async fn send_late(app: &TestApp, by: &Peer, nonce: u64, statuses: &Value) -> Value {
    let call = Call::post("/api/v1/validators/miner-status")
        .json(&json!({ "validator_uid": by.uid, "epoch": 7, "miner_statuses": statuses }));
    let (target, body) = (&call.target, &call.body);
    let proof = btauth::sign_request(&by.keys, "POST", target, body, app.receiver(), nonce);
    let proof = proof.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    app.send_as(proof, call).await.ok()
}

async fn hotkey(app: &TestApp) -> Value {
    let verdict = app.as_client(Call::get("/api/v1/miners/0/consensus")).await.ok();
    verdict["consensus_status"]["hotkey"].clone()
}

#[tokio::test]
async fn late_reports_about_the_predecessor_do_not_bring_it_back_and_neither_does_a_restart() {
    let mut app = TestApp::start().await;
    let (old, new) = (miner(0), Peer::named("http-newcomer", 0));
    let (of_old, of_new) = (json!([status(&old)]), json!([status(&new)]));
    app.send_report(&validator(0), &of_old).await.ok();
    assert_eq!(hotkey(&app).await, old.hotkey());
    app.advance(2_000);
    // Two validators sign what they see now; the network takes its time.
    let late = [app.nonce(), app.nonce()];
    app.advance(2_000);
    app.send_report(&validator(0), &of_new).await.ok();
    assert_eq!(hotkey(&app).await, new.hotkey());
    // Those who said so first count for it, and it has work at once.
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&new).await;
    assert_eq!(lease["task_id"], task);
    for (n, nonce) in (1..).zip(late) {
        let answer = send_late(&app, &validator(n), nonce, &of_old).await;
        assert_eq!(answer["miners_processed"], 0, "{answer}");
        assert_eq!(answer["ignored"][0]["uid"], 0, "{answer}");
        assert_eq!(hotkey(&app).await, new.hotkey());
    }
    for _ in 0..2 {
        app.restart().await;
        app.advance(1_000);
        assert_eq!(hotkey(&app).await, new.hotkey());
    }
    app.answer(&new, &lease).await.ok();
    // Whoever looks again is heard.
    app.send_report(&validator(1), &of_new).await.ok();
    let verdict = app.as_client(Call::get("/api/v1/miners/0/consensus")).await.ok();
    let heard = &verdict["consensus_status"]["consensus_validators"];
    assert_eq!(*heard, json!([200, 201]), "{verdict}");
    app.finish().await;
}

#[tokio::test]
async fn the_reports_that_made_a_first_registration_count_after_a_restart() {
    let mut app = TestApp::start().await;
    app.advance(1_000);
    app.report(&[&miner(0)]).await;
    app.restart().await;
    let verdict = app.as_client(Call::get("/api/v1/miners/0/consensus")).await.ok();
    let heard = &verdict["consensus_status"]["consensus_validators"];
    assert_eq!(*heard, json!([200, 201, 202]), "{verdict}");
    app.finish().await;
}
