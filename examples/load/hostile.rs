//! What one hostile client does to the others. Ordinary clients submit and follow their tasks at a
//! small fixed rate, calm and then beside a client that sends a hundred times as much: submits,
//! batches, long texts, and requests that are refused.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::Args;
use super::figures::{Spread, ms, nanos};
use super::people::{Failure, Lease, People, RESPOND, joined, report, work_of};
use super::server::Child;
use super::wire::Wire;

/// Ordinary clients, each with a key of its own, and tasks a second of all of them.
pub(crate) const CLIENTS: u32 = 8;
const TASKS_PER_SEC: u32 = 20;
/// What the hostile one sends, in tasks a second, and over how many connections.
const HOSTILE_PER_SEC: u32 = 100 * TASKS_PER_SEC;
const HOSTILE_LINES: u32 = 64;
/// Tasks of one of its batches.
const BATCH: u32 = 100;
/// Calm and hostile in turn.
const ROUNDS: usize = 3;
pub(crate) const SECS: u64 = 10;
/// A miner works on one task at a time, and so long: all of them can do more than is sent.
pub(crate) const CAPACITY: u32 = 1;
const SERVICE_MILLIS: u64 = 10;

/// Times of ordinary clients.
#[derive(Default)]
pub(crate) struct Times {
    pub(crate) requests: Vec<u64>,
    completed: Vec<u64>,
}

/// What the hostile client got.
#[derive(Default)]
struct Got {
    tasks: AtomicUsize,
    taken: AtomicUsize,
    refused: AtomicUsize,
}

pub(crate) async fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let server = Child::start(args).await?;
    report(&server, args.miners, CAPACITY).await?;
    let people = People::of(&server, args.miners, 0).await?;
    let mut keys = Vec::new();
    for _ in 0..CLIENTS {
        keys.push(server.key("client").await?);
    }
    let over = Arc::new(AtomicBool::new(false));
    let mut miners: JoinSet<Result<(), Failure>> = JoinSet::new();
    for (uid, key) in (0_u16..).zip(&people.miners) {
        let wire = Wire::connect(&server.address, key).await?;
        miners.spawn(mine(over.clone(), wire, uid));
    }
    let (mut calm, mut beside) = (Times::default(), Times::default());
    let got = Arc::new(Got::default());
    phase(&server, &keys, &mut Times::default()).await?;
    for _ in 0..ROUNDS {
        phase(&server, &keys, &mut calm).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut flood: JoinSet<Result<(), Failure>> = JoinSet::new();
        for line in 0..HOSTILE_LINES {
            let wire = Wire::connect(&server.address, &people.client).await?;
            flood.spawn(attack(stop.clone(), wire, line, got.clone()));
        }
        phase(&server, &keys, &mut beside).await?;
        stop.store(true, Ordering::Relaxed);
        joined(flood).await?;
        // What the flood left is worked off before it is calm again.
        wait_for_quiet(&server).await?;
    }
    over.store(true, Ordering::Relaxed);
    joined(miners).await?;
    tell(args, calm, beside, &got);
    Ok(())
}

pub(crate) async fn wait_for_quiet(server: &Child) -> Result<(), Box<dyn Error>> {
    while super::scale::gauge(server, "pithead_tasks_open ").await? > 0.0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Ordinary clients for some seconds; each task is followed to its end.
pub(crate) async fn phase(
    server: &Child,
    keys: &[String],
    times: &mut Times,
) -> Result<(), Box<dyn Error>> {
    let mut crew: JoinSet<Result<Times, Failure>> = JoinSet::new();
    let each = Duration::from_secs(1) * CLIENTS / TASKS_PER_SEC;
    for (place, key) in (0_u32..).zip(keys) {
        let address = server.address.clone();
        let key = key.clone();
        crew.spawn(async move {
            tokio::time::sleep(each * place / CLIENTS).await;
            let (mut ticks, until) = (interval(each), Instant::now() + Duration::from_secs(SECS));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut follows: JoinSet<Result<Times, Failure>> = JoinSet::new();
            while Instant::now() < until {
                ticks.tick().await;
                // A connection of its own, opened before the clock starts: no task waits for another.
                let wire = Wire::connect(&address, &key).await?;
                follows.spawn(follow(wire));
            }
            let mut times = Times::default();
            for one in joined(follows).await? {
                times.requests.extend(one.requests);
                times.completed.extend(one.completed);
            }
            Ok(times)
        });
    }
    for one in joined(crew).await? {
        times.requests.extend(one.requests);
        times.completed.extend(one.completed);
    }
    Ok(())
}

/// One task from its submit to its end; the wait for the end is no request that is timed.
async fn follow(mut wire: Wire) -> Result<Times, Failure> {
    let mut times = Times::default();
    let body = "{\"text\":\"an ordinary sentence\",\"redundancy\":1}";
    let began = Instant::now();
    let answer = wire.post("/api/v1/tts", "application/json", "", body.as_bytes()).await?.ok()?;
    times.requests.push(nanos(began.elapsed()));
    let answer: Value = serde_json::from_slice(answer)?;
    let id = answer["task_id"].as_str().ok_or("no id")?.to_owned();
    let target = format!("/api/v1/tasks/{id}?wait=60");
    let view: Value = serde_json::from_slice(wire.get(&target).await?.ok()?)?;
    if view["status"] != "done" {
        return Err(format!("a task was not done within a minute: {view}").into());
    }
    times.completed.push(nanos(began.elapsed()));
    for target in [format!("/api/v1/tasks/{id}"), format!("/api/v1/tts/{id}/result")] {
        let asked = Instant::now();
        wire.get(&target).await?.ok()?;
        times.requests.push(nanos(asked.elapsed()));
    }
    Ok(times)
}

/// Answers whatever comes, after its time.
pub(crate) async fn mine(over: Arc<AtomicBool>, mut wire: Wire, uid: u16) -> Result<(), Failure> {
    let target = work_of(uid);
    while !over.load(Ordering::Relaxed) {
        let body = wire.get(&target).await?.ok()?;
        let leases: Vec<Lease<'_>> = serde_json::from_slice(body)?;
        let answer = |lease: &Lease<'_>| lease.answer(uid, "{\"audio_data\":\"none\"}");
        let answers: Vec<String> = leases.iter().map(answer).collect();
        for body in answers {
            tokio::time::sleep(Duration::from_millis(SERVICE_MILLIS)).await;
            wire.post(RESPOND, "application/json", "", body.as_bytes()).await?.ok()?;
        }
    }
    Ok(())
}

/// One connection of the hostile client.
async fn attack(
    stop: Arc<AtomicBool>,
    mut wire: Wire,
    line: u32,
    got: Arc<Got>,
) -> Result<(), Failure> {
    let mut ticks = interval(Duration::from_secs(1) * HOSTILE_LINES / HOSTILE_PER_SEC);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let task = |text: &str| json!({ "text": text, "redundancy": 1, "task_type": "tts" });
    let batch: Vec<Value> = (0..BATCH).map(|_| task("one of very many sentences")).collect();
    let batch = json!({ "tasks": batch }).to_string();
    let (short, long) = (task("a sentence of many").to_string(), "many words ".repeat(900));
    let long = task(&long).to_string();
    let wrong = json!({ "text": "x", "priority": "soon", "redundancy": -1 }).to_string();
    // Not all of them send their batch at the same time.
    let mut turn = line;
    for _ in 0..line * 12 % (BATCH + 11) {
        ticks.tick().await;
    }
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let (target, body, tasks) = match turn % 12 {
            0 => ("/api/v1/tasks/batch", &batch, BATCH),
            1 | 2 => ("/api/v1/tts", &long, 1),
            3 => ("/api/v1/tts", &wrong, 1),
            _ => ("/api/v1/tts", &short, 1),
        };
        for _ in 0..tasks {
            ticks.tick().await;
        }
        got.tasks.fetch_add(tasks as usize, Ordering::Relaxed);
        let body = if turn % 12 == 4 { "{\"text\":" } else { body };
        let answer = wire.post(target, "application/json", "", body.as_bytes()).await?;
        let count = if answer.status == 200 { &got.taken } else { &got.refused };
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn tell(args: &Args, calm: Times, beside: Times, got: &Got) {
    let count = |n: &AtomicUsize| n.load(Ordering::Relaxed);
    let tasks = calm.completed.len();
    let calm = (Spread::of(calm.requests), Spread::of(calm.completed));
    let beside = (Spread::of(beside.requests), Spread::of(beside.completed));
    println!("\nordinary tasks                  {tasks} calm, {TASKS_PER_SEC} a second");
    println!(
        "hostile: tasks sent             {} ({} requests taken, {} refused)",
        count(&got.tasks),
        count(&got.taken),
        count(&got.refused)
    );
    println!("                                     p50      p95      p99");
    calm.0.print("requests, calm");
    beside.0.print("requests, beside a hostile one");
    calm.1.print("submit to done, calm");
    beside.1.print("submit to done, beside it");
    let ratio = |a: Spread, b: Spread| b.p99 as f64 / a.p99 as f64;
    let (requests, completed) = (ratio(calm.0, beside.0), ratio(calm.1, beside.1));
    println!("p99, hostile to calm            {requests:.2} requests, {completed:.2} completion");
    if args.json {
        println!(
            "{}",
            json!({
                "request_ms_p99_calm": ms(calm.0.p99), "request_ms_p99_hostile": ms(beside.0.p99),
                "request_p99_ratio": requests,
                "completion_ms_p99_calm": ms(calm.1.p99),
                "completion_ms_p99_hostile": ms(beside.1.p99),
                "completion_p99_ratio": completed,
                "hostile_tasks": count(&got.tasks),
            })
        );
    }
}
