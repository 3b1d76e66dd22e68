//! `POST /api/v1/miner/tasks/{id}/heartbeat` and `/release`; miners' files.

use serde_json::json;

use crate::support::{Call, Part, TestApp, miner, token};
use crate::walks::task::audio;

const NO_TASK: &str = "0197a0d0-0000-7000-8000-000000000000";

#[tokio::test]
async fn heartbeats_and_releases_of_no_lease_are_refused() {
    let app = TestApp::start().await;
    let (m, other) = (miner(0), miner(1));
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    app.report(&[&m, &other]).await;
    let post = |task: &str, verb: &str, body: &serde_json::Value| {
        Call::post(format!("/api/v1/miner/tasks/{task}/{verb}")).json(body)
    };
    for verb in ["heartbeat", "release"] {
        let sent = async |task: &str, body: &serde_json::Value| {
            let mut body = body.clone();
            if body.get("reason").is_none() {
                body["reason"] = json!("busy");
            }
            app.send(m.who(), post(task, verb, &body)).await
        };
        sent("x", &json!({})).await.problem(404, "not_found");
        sent(NO_TASK, &json!({})).await.problem(410, "lease_lost");
        sent(&task, &json!({ "lease_token": "x" })).await.names("lease_token");
        sent(&task, &json!({ "lease_token": 1 })).await.names("lease_token");
        let foreign = json!({ "lease_token": format!("{NO_TASK}.0.1") });
        sent(&task, &foreign).await.names("lease_token");
        let old = json!({ "lease_token": format!("{task}.0.2") });
        sent(&task, &old).await.problem(410, "lease_lost");
        let body = json!({ "lease_token": token(&lease), "reason": "busy" });
        app.send(other.who(), post(&task, verb, &body)).await.problem(410, "lease_lost");
    }
    for reason in [json!("tired"), json!(5), json!(null), json!("")] {
        app.send(m.who(), post(&task, "release", &json!({ "reason": reason })))
            .await
            .names("reason");
    }
    let odd = json!({ "reason": "failed", "permanent": "perhaps" });
    app.send(m.who(), post(&task, "release", &odd)).await.names("permanent");
    // After all that the lease lives.
    app.heartbeat(&m, &lease).await.ok();
    app.answer(&m, &lease).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn busy_and_unsupported_and_failed_give_the_work_to_another() {
    for reason in ["busy", "unsupported", "failed"] {
        let app = TestApp::start().await;
        let (m0, m1) = (miner(0), miner(1));
        app.report(&[&m0]).await;
        let task = app.submit_tts(&[("redundancy", "1")]).await;
        let lease = app.one_lease(&m0).await;
        if reason != "busy" {
            app.report(&[&m0, &m1]).await;
        }
        let given = app.release(&m0, &lease, reason).await.ok();
        assert_eq!((&given["task_id"], &given["status"]), (&json!(task), &json!("pending")));
        // Who was busy may get it again; who failed may not.
        let next = if reason == "busy" { &m0 } else { &m1 };
        let lease = app.one_lease(next).await;
        assert_eq!((&lease["task_id"], &lease["lease"]["attempt"]), (&json!(task), &json!(2)));
        let lost = app.view(&m0).await["leases_lost"].as_i64();
        assert_eq!(lost, Some((reason != "busy").into()), "an honest `busy` is no failure");
        app.answer(next, &lease).await.ok();
        app.finish().await;
    }
}

#[tokio::test]
async fn what_cannot_be_done_by_anybody_is_not_tried_again() {
    let app = TestApp::start().await;
    let (m0, m1) = (miner(0), miner(1));
    app.report(&[&m0, &m1]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let (holder, lease) = app.holder(&[&m0, &m1], &task).await;
    let body = json!({ "lease_token": token(&lease), "reason": "failed", "permanent": true });
    let call = Call::post(format!("/api/v1/miner/tasks/{task}/release")).json(&body);
    assert_eq!(app.send(holder.who(), call).await.ok()["status"], "failed");
    assert_eq!(app.task(&task).await["timeline"][0]["outcome"], "impossible");
    app.finish().await;
}

#[tokio::test]
async fn files_of_miners_are_refused_like_their_answers() {
    let app = TestApp::start().await;
    let (m, other) = (miner(0), miner(1));
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    app.report(&[&m, &other]).await;
    let audio = audio();
    for (path, field, status) in
        [("miner/files", "file", 201), ("miner/tts/upload-audio", "audio_file", 200)]
    {
        let post = |parts: &[Part<'_>]| Call::post(format!("/api/v1/{path}")).multipart(parts);
        let wav = || Part::file(field, "a.wav", "audio/wav", &audio);
        let of = |task: &'static str| Part::text("task_id", task);
        app.send(m.who(), post(&[of(NO_TASK), wav()])).await.problem(404, "not_found");
        app.send(m.who(), post(&[of("x"), wav()])).await.names("task_id");
        app.send(m.who(), post(&[Part::text("task_id", &task)])).await.names(field);
        let empty = Part::file(field, "a.wav", "audio/wav", b"");
        app.send(m.who(), post(&[empty])).await.names(field);
        let png = Part::file(field, "a.wav", "audio/wav", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
        app.send(m.who(), post(&[Part::text("task_id", &task), png]))
            .await
            .problem(415, "unsupported_media");
        let uid = |uid| Part::text("miner_uid", uid);
        app.send(m.who(), post(&[uid("-1"), wav()])).await.names("miner_uid");
        app.send(m.who(), post(&[uid("1"), Part::text("task_id", &task), wav()]))
            .await
            .problem(403, "uid_mismatch");
        let foreign = post(&[Part::text("task_id", &task), wav()]);
        app.send(other.who(), foreign.clone()).await.problem(404, "not_found");
        // Signed, and then changed on the way.
        let mut changed = foreign.clone();
        let proof = app.proof(m.who(), &changed);
        let last = changed.body.len() / 2;
        changed.body[last] ^= 1;
        app.send_as(proof, changed).await.problem(401, "unauthenticated");
        app.send(m.who(), foreign).await.is(status);
    }
    app.answer(&m, &lease).await.ok();
    app.finish().await;
}
