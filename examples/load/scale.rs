//! How large it may get: many open tasks and a restart with them, a full network of miner actors,
//! many parked polls.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Args;
use super::server::{Child, miner_key, validator_key};
use super::wire::Wire;

type Failure = Box<dyn Error + Send + Sync>;

const OPEN_TASKS: usize = 100_000;
const SOME_MINERS: u32 = 256;
const ALL_MINERS: u32 = 65_536;
/// Miners of one report; a report holds 8,192 at most.
const PAGE: u32 = 8_192;
const POLLS: u16 = 10_000;
/// Tasks handed to parked polls.
const SENT: usize = 400;
/// Validators that report on the full network.
const OBSERVERS: u16 = 3;

/// What was measured.
pub(crate) struct Scale {
    open_rss_mb: f64,
    ready_ms: f64,
    actors_rss_mb: f64,
    actors_secs: f64,
    merge_ms: f64,
    parked_rss_mb: f64,
    parked_fetched: (u64, u64),
}

impl Scale {
    pub(crate) fn print(&self, as_json: bool) {
        let ms = |nanos: u64| nanos as f64 / 1e6;
        let (p50, p99) = self.parked_fetched;
        println!("\nmemory with {OPEN_TASKS} open tasks        {:.0} MB", self.open_rss_mb);
        println!("ready after kill -9 with them         {:.0} ms", self.ready_ms);
        println!("memory with {ALL_MINERS} miner actors       {:.0} MB", self.actors_rss_mb);
        println!("until all of them ran                 {:.1} s", self.actors_secs);
        println!("one more report on {PAGE} of them       {:.0} ms", self.merge_ms);
        println!("memory with {POLLS} parked polls         {:.0} MB", self.parked_rss_mb);
        println!("submit to fetched by a parked poll    {:.2} / {:.2} ms", ms(p50), ms(p99));
        if as_json {
            println!(
                "{}",
                json!({
                    "open_tasks": OPEN_TASKS,
                    "open_rss_mb": self.open_rss_mb.round(),
                    "ready_ms": self.ready_ms.round(),
                    "miner_actors": ALL_MINERS,
                    "actors_rss_mb": self.actors_rss_mb.round(),
                    "actors_secs": self.actors_secs,
                    "merge_ms": self.merge_ms.round(),
                    "parked_polls": POLLS,
                    "parked_rss_mb": self.parked_rss_mb.round(),
                    "parked_fetched_ms_p50": ms(p50),
                    "parked_fetched_ms_p99": ms(p99),
                })
            );
        }
    }
}

pub(crate) async fn measure(args: &Args) -> Result<Scale, Box<dyn Error>> {
    let (open_rss_mb, ready_ms) = open_tasks(args).await?;
    let server = Child::start(args).await?;
    let began = Instant::now();
    know(&server, ALL_MINERS).await?;
    let actors_secs = began.elapsed().as_secs_f64();
    let known = gauge(&server, "pithead_miners ").await?;
    if known != f64::from(ALL_MINERS) {
        return Err(format!("{known} miner actors run instead of {ALL_MINERS}").into());
    }
    let actors_rss_mb = server.rss_mb()?;
    let began = Instant::now();
    report(&server, 0, 0, PAGE, 0.8).await?;
    let merge_ms = began.elapsed().as_secs_f64() * 1e3;
    drop(server);
    let (parked_rss_mb, parked_fetched) = parked(args).await?;
    Ok(Scale {
        open_rss_mb,
        ready_ms,
        actors_rss_mb,
        actors_secs,
        merge_ms,
        parked_rss_mb,
        parked_fetched,
    })
}

/// Memory with many open tasks, and the time from a kill to the first `ready`.
async fn open_tasks(args: &Args) -> Result<(f64, f64), Box<dyn Error>> {
    let mut server = Child::start(args).await?;
    know(&server, SOME_MINERS).await?;
    let credentials = server.key("client").await?;
    let mut crew: JoinSet<Result<(), Failure>> = JoinSet::new();
    let clients = 64;
    for _ in 0..clients {
        let mut wire = Wire::connect(&server.address, &credentials).await?;
        crew.spawn(async move {
            for number in 0..OPEN_TASKS.div_ceil(clients) {
                submit(&mut wire, number).await?;
            }
            Ok(())
        });
    }
    while let Some(done) = crew.join_next().await {
        done?.map_err(|error| error.to_string())?;
    }
    let open = gauge(&server, "pithead_tasks_open ").await?;
    let rss_mb = server.rss_mb()?;
    let began = Instant::now();
    server.kill_and_start(args).await?;
    let mut wire = Wire::connect(&server.address, "").await?;
    while wire.get("/readyz").await?.status != 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ready_ms = began.elapsed().as_secs_f64() * 1e3;
    let still = gauge(&server, "pithead_tasks_open ").await?;
    if open < OPEN_TASKS as f64 || still != open {
        return Err(format!("{open} tasks were open before the kill, {still} after it").into());
    }
    Ok((rss_mb, ready_ms))
}

async fn submit(wire: &mut Wire, number: usize) -> Result<(), Failure> {
    let body = format!("{{\"text\":\"task {number} of the many\",\"redundancy\":1}}");
    let answer = wire.post("/api/v1/tts", "application/json", "", body.as_bytes()).await?;
    match answer.status {
        200 => Ok(()),
        _ => Err(String::from_utf8_lossy(answer.body).into_owned().into()),
    }
}

/// Makes the first `miners` known.
async fn know(server: &Child, miners: u32) -> Result<(), Box<dyn Error>> {
    for first in (0..miners).step_by(PAGE as usize) {
        for observer in 0..OBSERVERS {
            report(server, observer, first, PAGE.min(miners - first), 0.7).await?;
        }
    }
    Ok(())
}

/// One validator's word on `count` miners from `first` on; the others stand as they were.
async fn report(
    server: &Child,
    observer: u16,
    first: u32,
    count: u32,
    performance: f64,
) -> Result<(), Box<dyn Error>> {
    let statuses: Vec<Value> = (first..first + count)
        .map(|uid| {
            let key = miner_key(u16::try_from(uid).unwrap_or(u16::MAX));
            json!({
                "uid": uid, "hotkey": key.hotkey(), "stake": 500.0, "is_serving": true,
                "performance_score": performance, "current_load": 0, "max_capacity": 5,
            })
        })
        .collect();
    let body = json!({
        "validator_uid": 10_000 + observer, "epoch": 1, "partial": true, "miner_statuses": statuses,
    })
    .to_string();
    let target = "/api/v1/validators/miner-status";
    let signed = server.sign(&validator_key(observer), "POST", target, body.as_bytes());
    let mut wire = Wire::connect(&server.address, "").await?;
    let answer = wire.post(target, "application/json", &signed, body.as_bytes()).await?;
    match answer.status {
        200 => Ok(()),
        _ => Err(String::from_utf8_lossy(answer.body).into_owned().into()),
    }
}

/// One figure of the server's metrics.
pub(crate) async fn gauge(server: &Child, name: &str) -> Result<f64, Box<dyn Error>> {
    let admin = server.admin();
    let mut wire = Wire::connect(&server.address, &admin).await?;
    let text = String::from_utf8(wire.get("/metrics").await?.body.to_vec())?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(value.ok_or_else(|| format!("no `{name}` in the metrics"))?.parse()?)
}

/// Memory with all polls parked, and how soon one of them has a new task.
async fn parked(args: &Args) -> Result<(f64, (u64, u64)), Box<dyn Error>> {
    let server = Child::start(args).await?;
    know(&server, POLLS.into()).await?;
    let (woken, mut wakes) = mpsc::unbounded_channel();
    let mut crew: JoinSet<Result<(), Failure>> = JoinSet::new();
    let address: Arc<str> = server.address.as_str().into();
    for uid in 0..POLLS {
        let target = format!("/api/v1/miners/{uid}/tasks?status=assigned&wait=60");
        let signed = server.sign(&miner_key(uid), "GET", &target, b"");
        let (woken, address) = (woken.clone(), address.clone());
        crew.spawn(async move {
            let mut wire = Wire::connect(&address, "").await?;
            let answer = wire.get_with(&target, &signed).await?;
            match answer.status {
                200 if answer.body.len() > 2 => woken.send(Instant::now())?,
                200 => {}
                _ => return Err(String::from_utf8_lossy(answer.body).into_owned().into()),
            }
            Ok(())
        });
        // A signature is good for ten seconds: no longer a queue than the server can see.
        if uid % 64 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    while gauge(&server, "pithead_polls_parked ").await? < f64::from(POLLS) {
        if let Some(done) = crew.try_join_next() {
            done?.map_err(|error| error.to_string())?;
            return Err("a poll was answered before there was a task".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rss_mb = server.rss_mb()?;
    let mut wire = Wire::connect(&server.address, &server.key("client").await?).await?;
    let (mut took, mut missed) = (Vec::with_capacity(SENT), 0);
    for number in 0..SENT {
        let began = Instant::now();
        submit(&mut wire, number).await.map_err(|error| error.to_string())?;
        match tokio::time::timeout(Duration::from_secs(1), wakes.recv()).await {
            Ok(woken) => {
                let waited = woken.ok_or("nobody polls any more")?.duration_since(began);
                took.push(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX));
            }
            // It was offered to one of the few whose poll was answered already.
            Err(_) => missed += 1,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if missed > SENT / 50 {
        return Err(format!("{missed} tasks went to miners that do not poll").into());
    }
    Ok((rss_mb, super::p50_p99(took)))
}
