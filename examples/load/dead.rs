//! How soon the task of a dead miner is back in the queue, and with another miner: counted from the
//! end of the lease that the dead one fetched.

use std::error::Error;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Args;
use super::figures::{Spread, ms, nanos};
use super::people::{Failure, Lease, People, RESPOND, joined, report, report_some, work_of};
use super::server::Child;
use super::wire::Wire;

/// Miners that die, each with a task, and as many that live on.
const DEAD: u16 = 20;
/// A miner that is silent for so long is taken for dead.
const LEASE_SECS: i64 = 5;
/// Until a task must be done.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a task.
const LOOK: Duration = Duration::from_millis(10);
/// The tasks begin at different moments of a sweep.
const APART: Duration = Duration::from_millis(137);

pub(crate) async fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let args = Args { run_secs: Some(LEASE_SECS), ..args.clone() };
    let server = Child::start(&args).await?;
    report(&server, DEAD, 1).await?;
    let people = People::of(&server, 2 * DEAD, 0).await?;
    let mut client = Wire::connect(&server.address, &people.client).await?;
    let mut crew: JoinSet<Result<(u64, u64), Failure>> = JoinSet::new();
    for _ in 0..DEAD {
        let body = "{\"text\":\"a task for a dead miner\",\"redundancy\":1}";
        client.post("/api/v1/tts", "application/json", "", body.as_bytes()).await?.ok()?;
    }
    for (uid, key) in (0..DEAD).zip(&people.miners) {
        tokio::time::sleep(APART).await;
        let mut miner = Wire::connect(&server.address, key).await?;
        let leases: Value = serde_json::from_slice(miner.get(&work_of(uid)).await?.ok()?)?;
        // Nobody hears of it again: the connection closes here.
        drop(miner);
        let lease = &leases[0];
        let id = lease["task_id"].as_str().ok_or("no lease")?.to_owned();
        let ends = millis(&lease["lease"]["expires_at"]).map_err(|error| error.to_string())?;
        let wire = Wire::connect(&server.address, &people.client).await?;
        crew.spawn(follow(wire, id, ends));
    }
    // Those that live come only now; validators list only miners that they reach.
    report_some(&server, DEAD..2 * DEAD, 1).await?;
    let mut others: JoinSet<Result<(), Failure>> = JoinSet::new();
    for (uid, key) in (0_u16..).zip(&people.miners).skip(DEAD.into()) {
        others.spawn(live(Wire::connect(&server.address, key).await?, uid));
    }
    let all = joined(crew).await?;
    others.shutdown().await;
    let (queued, given): (Vec<u64>, Vec<u64>) = all.into_iter().unzip();
    let most = |times: &[u64]| times.iter().max().copied().unwrap_or_default();
    let (queued_most, given_most) = (most(&queued), most(&given));
    println!("\ndead miners                     {DEAD}, leases of {LEASE_SECS} s");
    println!("                                     p50      p95      p99");
    Spread::of(queued).print("lease's end to queued");
    Spread::of(given).print("lease's end to fetched again");
    println!("longest                         {:.0} / {:.0} ms", ms(queued_most), ms(given_most));
    if args.json {
        let longest = (ms(queued_most), ms(given_most));
        println!("{}", json!({ "queued_ms_most": longest.0, "fetched_ms_most": longest.1 }));
    }
    Ok(())
}

/// A miner that answers whatever comes.
async fn live(mut wire: Wire, uid: u16) -> Result<(), Failure> {
    let target = work_of(uid);
    loop {
        let body = wire.get(&target).await?.ok()?.to_vec();
        for lease in serde_json::from_slice::<Vec<Lease<'_>>>(&body)? {
            let body = lease.answer(uid, "{\"audio_data\":\"none\"}");
            wire.post(RESPOND, "application/json", "", body.as_bytes()).await?.ok()?;
        }
    }
}

/// Unix milliseconds of a moment as it is told.
fn millis(told: &Value) -> Result<u64, Failure> {
    let told = told.as_str().ok_or("no moment")?;
    Ok(u64::try_from(DateTime::parse_from_rfc3339(told)?.timestamp_millis())?)
}

/// When the task was seen in the queue again, and when another miner had it: nanoseconds after the
/// lease's end.
async fn follow(mut wire: Wire, id: String, ends: u64) -> Result<(u64, u64), Failure> {
    let (target, began) = (format!("/api/v1/tasks/{id}"), Instant::now());
    let mut queued = None;
    while began.elapsed() < PATIENCE {
        let view: Value = serde_json::from_slice(wire.get(&target).await?.ok()?)?;
        let attempts = view["timeline"].as_array().ok_or("no timeline")?;
        if queued.is_none() && (view["status"] == "pending" || attempts.len() > 1) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
            queued = Some(nanos(now.saturating_sub(Duration::from_millis(ends))));
        }
        if let (Some(queued), true, Some(last)) =
            (queued, view["status"] == "done", attempts.last())
        {
            let given = millis(&last["fetched_at"])?.saturating_sub(ends);
            return Ok((queued, given * 1_000_000));
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("task {id} was not done by another miner").into())
}
