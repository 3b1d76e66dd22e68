//! Clients, miners and validators that do what real ones do, and write down what they were told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::rogue;
use super::site::{Ask, Credentials, Site, now_millis};

/// Somebody with a number and a seeded will of its own.
pub(super) struct Person {
    pub(super) site: Arc<Site>,
    pub(super) who: Credentials,
    pub(super) name: String,
    pub(super) uid: u16,
    pub(super) rng: StdRng,
}

impl Person {
    pub(super) fn new(
        site: &Arc<Site>,
        who: Credentials,
        name: String,
        uid: u16,
        seed: u64,
    ) -> Self {
        // A stream of its own for everybody.
        let seed: [u8; 32] = Sha256::digest(format!("{seed} {name} {uid}")).into();
        Self { site: site.clone(), who, name, uid, rng: StdRng::from_seed(seed) }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Option<(u16, Value, bool)> {
        self.site.ask(&self.who, ask).await
    }

    async fn pause(&mut self, millis: std::ops::Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(millis))).await;
    }
}

/// Tasks that one client has open at most.
const OPEN_MAX: usize = 16;

/// Hands tasks in, asks after them, cancels some.
pub(super) async fn client(mut me: Person) {
    let mut open: Vec<String> = Vec::new();
    for n in 0.. {
        if me.site.closing.load(Ordering::Relaxed) || me.site.is_over() {
            return;
        }
        let Some(id) = submit(&mut me, n).await else { continue };
        if me.chance(15) {
            cancel(&me, &id).await;
        } else {
            open.push(id);
        }
        while open.len() > OPEN_MAX && !me.site.is_over() {
            let oldest = open[0].clone();
            if ended(&me, &oldest).await {
                open.remove(0);
                // What has ended has ended; a cancel that is said to work must not be.
                if me.chance(20) && cancel(&me, &oldest).await {
                    me.site.wrong(format!("task {oldest} was cancelled after its end"));
                }
            }
        }
        me.pause(1..30).await;
    }
}

async fn submit(me: &mut Person, n: u32) -> Option<String> {
    let secs = me.rng.random_range(5..8_i64);
    let completion = ["all", "first", "quorum:2"][me.rng.random_range(0..3)];
    let redundancy = me.rng.random_range(1..4_u16);
    let key = format!("{}-{n}", me.name);
    let fields = [
        ("redundancy", redundancy.to_string()),
        ("completion", if redundancy == 1 { "all" } else { completion }.to_owned()),
        ("deadline_secs", secs.to_string()),
    ];
    let (target, body, content_type) = if me.chance(20) {
        let (body, content_type) = upload(&fields, &key);
        ("/api/v1/transcription", body, content_type)
    } else {
        let mut form = json!({ "text": format!("the words of {key}") });
        for (name, value) in &fields {
            form[*name] = Value::String(value.clone());
        }
        ("/api/v1/summarization", form.to_string().into_bytes(), "application/json".to_owned())
    };
    let ask = Ask {
        method: "POST",
        body: Some(body),
        content_type: &content_type,
        idempotency_key: Some(&key),
        ..Ask::get("submit", target)
    };
    let id = submitted(me, &ask).await?;
    let due = now_millis() + secs * 1_000;
    me.site.ledger(|ledger| ledger.tasks.insert(id.clone(), due));
    // A client that lost its memory sends the same again: the same task, not another.
    if me.chance(10) {
        let again = submitted(me, &ask).await;
        if again.as_ref().is_some_and(|again| *again != id) {
            me.site.wrong(format!("the key {key} made {id} and then {again:?}"));
        }
    }
    Some(id)
}

async fn submitted(me: &Person, ask: &Ask<'_>) -> Option<String> {
    let (status, answer, _) = me.ask(ask).await?;
    let id = answer["task_id"].as_str().map(str::to_owned);
    if status != 200 || id.is_none() {
        me.site.wrong(format!("a submit was answered {status}: {answer}"));
    }
    id
}

/// A small WAV file as multipart.
fn upload(fields: &[(&str, String)], word: &str) -> (Vec<u8>, String) {
    let mut body = Vec::new();
    let mut add = |text: String| body.extend(text.into_bytes());
    for (name, value) in fields {
        add(format!(
            "--BORDER\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    add("--BORDER\r\ncontent-disposition: form-data; name=\"audio_file\"; filename=\"a.wav\"\r\n\
         content-type: audio/wav\r\n\r\nRIFF\u{24}\0\0\0WAVEfmt "
        .to_owned());
    add(format!("{word}\r\n--BORDER--\r\n"));
    (body, "multipart/form-data; boundary=BORDER".to_owned())
}

/// Whether the task was cancelled.
async fn cancel(me: &Person, id: &str) -> bool {
    let ask = Ask { method: "DELETE", ..Ask::get("cancel", format!("/api/v1/tasks/{id}")) };
    let done = matches!(me.ask(&ask).await, Some((200, ..)));
    if done {
        me.site.ledger(|ledger| ledger.cancelled.insert(id.to_owned()));
    }
    done
}

/// Waits a moment for a task to end. An end that was told once must stay.
async fn ended(me: &Person, id: &str) -> bool {
    let Some((status, answer, _)) =
        me.ask(&Ask::get("wait", format!("/api/v1/tasks/{id}?wait=1"))).await
    else {
        return false;
    };
    let state = answer["status"].as_str().unwrap_or_default();
    if status != 200 || !["done", "approved", "failed", "expired", "cancelled"].contains(&state) {
        return false;
    }
    me.site.ledger(|ledger| ledger.ends.insert(id.to_owned(), state.to_owned()));
    true
}

/// Polls and works, one lease after the other.
pub(super) async fn miner(mut me: Person) {
    let mut wait = "";
    while !me.site.is_over() {
        let target = format!("/api/v1/miners/{}/tasks?status=assigned{wait}", me.uid);
        let Some((status, leases, repeated)) = me.ask(&Ask::get("poll", target)).await else {
            return;
        };
        // After a poll without an answer, what it had given out is asked for without `wait`.
        wait = if repeated || status != 200 { "" } else { "&wait=1" };
        for lease in leases.as_array().into_iter().flatten() {
            work(&mut me, lease).await;
        }
    }
}

async fn work(me: &mut Person, lease: &Value) {
    let (Some(task), Some(token)) = (lease["task_id"].as_str(), lease["lease"]["token"].as_str())
    else {
        return me.site.wrong(format!("a lease without its token: {lease}"));
    };
    let beat = format!("/api/v1/miner/tasks/{task}/heartbeat");
    // A poll without `wait` also gives what the miner's other connection works on.
    if me.site.ledger(|ledger| ledger.begun.insert(token.to_owned(), me.uid)).is_some() {
        return;
    }
    if me.chance(15) {
        rogue::lie(me, token).await;
    }
    match me.rng.random_range(0..100) {
        // Silent: the lease expires.
        0..5 => return,
        5..12 => {
            let reason = ["busy", "failed", "unsupported"][me.rng.random_range(0..3)];
            let body = json!({ "lease_token": token, "reason": reason });
            let target = format!("/api/v1/miner/tasks/{task}/release");
            me.ask(&Ask::post("release", target, &body)).await;
            return;
        }
        // Slow, with a sign of life between.
        12..20 => {
            me.pause(100..400).await;
            me.ask(&Ask::post("heartbeat", beat, &json!({ "lease_token": token }))).await;
            me.pause(100..400).await;
        }
        // Too slow: a late answer.
        20..23 => me.pause(1_500..2_000).await,
        _ => {}
    }
    if !lease["input_file"].is_null() && me.chance(30) {
        let target = format!("/api/v1/miner/{}/{task}", lease["task_type"].as_str().unwrap());
        me.ask(&Ask::get("input", target)).await;
    }
    if me.chance(10) {
        return rogue::race(me, token).await;
    }
    respond(me, token).await;
}

async fn respond(me: &mut Person, token: &str) {
    let word = format!("{token} by {} {}", me.name, me.rng.random::<u64>());
    let data = json!({ "summary": word, "transcript": word });
    let ask = rogue::answer(me, "response", token, &data);
    let Some((status, answer, repeated)) = me.ask(&ask).await else { return };
    if status == 409 {
        return me.site.wrong(format!("{token}: the only answer conflicts: {answer}"));
    }
    if status != 200 {
        return;
    }
    if answer["duplicate"] == true && !repeated {
        me.site.wrong(format!("{token}: the first answer is called a duplicate: {answer}"));
    }
    let kept = me.site.ledger(|l| l.answers.insert(token.to_owned(), (me.uid, data.clone())));
    if kept.is_some() {
        me.site.wrong(format!("{token} was answered twice"));
    }
    // The same again, and another for the same lease: neither may count.
    if me.rng.random_range(0..100) < 10 {
        let again = me.ask(&rogue::answer(me, "again", token, &data)).await;
        let other = json!({ "summary": "other", "transcript": "other" });
        let other = me.ask(&rogue::answer(me, "other", token, &other)).await;
        if let Some((status, answer, _)) = again
            && (status != 200 || answer["duplicate"] != true)
        {
            me.site.wrong(format!("{token}: the same again was answered {status}: {answer}"));
        }
        if let Some((status, answer, _)) = other
            && status != 409
        {
            me.site.wrong(format!("{token}: another was answered {status}: {answer}"));
        }
    }
}

/// Reports its miners and judges what is done.
pub(super) async fn validator(mut me: Person, miners: Vec<Value>, hotkey: String) {
    for epoch in 0.. {
        if me.site.is_over() {
            return;
        }
        report(&me, &miners, epoch).await;
        let Some((_, answer, _)) = me.ask(&Ask::get("to judge", "/api/v1/validator/tasks")).await
        else {
            return;
        };
        for task in answer["tasks"].as_array().into_iter().flatten() {
            judge(&me, task, &hotkey).await;
        }
        me.pause(100..400).await;
    }
}

/// Tells of the miners.
pub(super) async fn report(me: &Person, miners: &[Value], epoch: u64) {
    let report = json!({
        "validator_uid": me.uid, "epoch": epoch, "miner_statuses": miners,
    });
    me.ask(&Ask::post("report", "/api/v1/validators/miner-status", &report)).await;
}

async fn judge(me: &Person, task: &Value, hotkey: &str) {
    let id = task["task_id"].as_str().unwrap_or_default();
    let slots: BTreeSet<u16> = task["responses"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|response| u16::try_from(response["slot"].as_u64()?).ok())
        .collect();
    // The same word however often it is said.
    let entries: Vec<_> = slots
        .iter()
        .map(|slot| {
            let hash = Sha256::digest(format!("{id} {slot} {hotkey}"));
            json!({ "slot": slot, "accuracy": f64::from(hash[0]) / 255.0 })
        })
        .collect();
    let body = json!({ "task_id": id, "validator_uid": me.uid,
                       "evaluation_data": { "evaluations": entries } });
    let asked = me.ask(&Ask::post("judgement", "/api/v1/validator/evaluation", &body)).await;
    match asked {
        Some((200, ..)) => {
            let key = (id.to_owned(), hotkey.to_owned());
            me.site.ledger(|ledger| ledger.judged.entry(key).or_default().extend(slots));
        }
        Some((status, answer, _)) => {
            me.site.wrong(format!("the judgement of {id} was answered {status}: {answer}"));
        }
        None => {}
    }
}
