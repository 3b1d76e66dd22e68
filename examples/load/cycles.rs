//! Submit, fetch, respond.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Args;
use super::people::{Lease, report};
use super::server::{Child, miner_key};
use super::wire::Wire;

type Failure = Box<dyn Error + Send + Sync>;

/// Figures of one run, in nanoseconds.
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) request: (u64, u64),
    pub(crate) fetched: (u64, u64),
}

/// Shared by all connections.
struct Run {
    start: Instant,
    next: AtomicUsize,
    cycles: usize,
    /// When each task was sent, fetched and answered, after the start; how often it was completed.
    sent: Vec<AtomicU64>,
    fetched: Vec<AtomicU64>,
    completed: Vec<AtomicU8>,
    ended: Vec<AtomicU64>,
    done: AtomicUsize,
    window: Semaphore,
    pace: Option<Duration>,
}

impl Run {
    fn new(cycles: usize, window: usize, pace: Option<Duration>) -> Arc<Self> {
        let zeros = || (0..cycles).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            start: Instant::now(),
            next: AtomicUsize::new(0),
            cycles,
            sent: zeros(),
            fetched: zeros(),
            ended: zeros(),
            completed: (0..cycles).map(|_| AtomicU8::new(0)).collect(),
            done: AtomicUsize::new(0),
            window: Semaphore::new(window),
            pace,
        })
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn is_over(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= self.cycles
    }
}

/// One client alone, some tasks a second: how soon a waiting miner has the task.
pub(crate) async fn idle(args: &Args, server: &Child) -> Result<(u64, u64), Box<dyn Error>> {
    report(server, args.miners, 64).await?;
    let run = Run::new(400, 1, Some(Duration::from_millis(10)));
    Ok(drive(args, server, run, 1).await?.fetched)
}

/// All clients as fast as they can.
pub(crate) async fn busy(args: &Args, server: &Child) -> Result<Figures, Box<dyn Error>> {
    let run = Run::new(args.cycles, args.window, None);
    drive(args, server, run, args.clients).await
}

/// The same: when it began, and when each cycle ended, in seconds after that.
pub(crate) async fn ends(
    args: &Args,
    server: &Child,
) -> Result<(Instant, Vec<f64>), Box<dyn Error>> {
    let run = Run::new(args.cycles, args.window, None);
    drive(args, server, run.clone(), args.clients).await?;
    let ended = run.ended.iter().map(|at| at.load(Ordering::Relaxed) as f64 / 1e9);
    Ok((run.start, ended.collect()))
}

async fn drive(
    args: &Args,
    server: &Child,
    run: Arc<Run>,
    clients: usize,
) -> Result<Figures, Box<dyn Error>> {
    let mut crew: JoinSet<Result<Vec<u64>, Failure>> = JoinSet::new();
    let shared = Arc::new(Signer::new(server));
    for uid in 0..args.miners {
        let key = miner_key(uid);
        let credentials = if args.signed {
            String::new()
        } else {
            server.key(&format!("miner:{}", key.hotkey())).await?
        };
        let wire = Wire::connect(&server.address, &credentials).await?;
        let signer = args.signed.then(|| (shared.clone(), key));
        crew.spawn(mine(run.clone(), wire, uid, signer));
    }
    let credentials = server.key("client").await?;
    for _ in 0..clients {
        let wire = Wire::connect(&server.address, &credentials).await?;
        crew.spawn(submit(run.clone(), wire));
    }
    let began = Instant::now();
    let mut requests = Vec::with_capacity(run.cycles * 2);
    while let Some(done) = crew.join_next().await {
        requests.extend(done?.map_err(|error| error.to_string())?);
    }
    let took = began.elapsed();
    let once = run.completed.iter().all(|count| count.load(Ordering::Relaxed) == 1);
    if !once {
        return Err("a task was not completed exactly once".into());
    }
    let waits = run.sent.iter().zip(&run.fetched).map(|(sent, fetched)| {
        fetched.load(Ordering::Relaxed).saturating_sub(sent.load(Ordering::Relaxed))
    });
    Ok(Figures {
        per_second: run.cycles as f64 / took.as_secs_f64(),
        request: super::p50_p99(requests),
        fetched: super::p50_p99(waits.collect()),
    })
}

/// Signs for miners; clients have API keys in any case.
struct Signer {
    hotkey: pithead::domain::ids::Hotkey,
    nonces: pithead::identity::btauth::Nonces,
}

impl Signer {
    fn new(server: &Child) -> Self {
        Self { hotkey: server.hotkey(), nonces: pithead::identity::btauth::Nonces::default() }
    }

    fn lines(
        &self,
        key: &pithead::identity::Keypair,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let nanos = now.unwrap_or_default().as_nanos();
        let nonce = self.nonces.next(u64::try_from(nanos).unwrap_or_default());
        let headers =
            pithead::identity::btauth::sign_request(key, method, target, body, &self.hotkey, nonce);
        headers.into_iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    }
}

async fn submit(run: Arc<Run>, mut wire: Wire) -> Result<Vec<u64>, Failure> {
    let mut took = Vec::new();
    loop {
        run.window.acquire().await?.forget();
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        if number >= run.cycles {
            run.window.add_permits(1);
            return Ok(took);
        }
        if let Some(pace) = run.pace {
            tokio::time::sleep(pace).await;
        }
        let body = format!("{{\"text\":\"cycle {number} of the load\",\"redundancy\":1}}");
        let began = run.nanos();
        run.sent[number].store(began, Ordering::Relaxed);
        let answer = wire.post("/api/v1/tts", "application/json", "", body.as_bytes()).await?;
        took.push(run.nanos() - began);
        if answer.status != 200 {
            return Err(String::from_utf8_lossy(answer.body).into_owned().into());
        }
    }
}

async fn mine(
    run: Arc<Run>,
    mut wire: Wire,
    uid: u16,
    signer: Option<(Arc<Signer>, pithead::identity::Keypair)>,
) -> Result<Vec<u64>, Failure> {
    let target = format!("/api/v1/miners/{uid}/tasks?status=assigned&wait=1");
    let respond = "/api/v1/miner/response";
    let mut took = Vec::new();
    while !run.is_over() {
        let answer = match &signer {
            None => wire.get(&target).await?,
            Some((signer, key)) => {
                wire.get_with(&target, &signer.lines(key, "GET", &target, b"")).await?
            }
        };
        if answer.status != 200 {
            return Err(String::from_utf8_lossy(answer.body).into_owned().into());
        }
        let now = run.nanos();
        let mut answers = Vec::new();
        for lease in serde_json::from_slice::<Vec<Lease<'_>>>(answer.body)? {
            let number = lease.number()?;
            run.fetched[number].store(now, Ordering::Relaxed);
            let body = format!(
                "{{\"task_id\":\"{}\",\"miner_uid\":{uid},\"lease_token\":\"{}\",\
                 \"response_data\":{{\"audio_data\":\"none\"}}}}",
                lease.task_id, lease.lease.token
            );
            answers.push((number, body));
        }
        for (number, body) in answers {
            let signed = signer.as_ref().map_or_else(String::new, |(signer, key)| {
                signer.lines(key, "POST", respond, body.as_bytes())
            });
            let began = run.nanos();
            let answer = wire.post(respond, "application/json", &signed, body.as_bytes()).await?;
            took.push(run.nanos() - began);
            if answer.status != 200 {
                return Err(String::from_utf8_lossy(answer.body).into_owned().into());
            }
            run.ended[number].store(run.nanos(), Ordering::Relaxed);
            run.completed[number].fetch_add(1, Ordering::Relaxed);
            run.done.fetch_add(1, Ordering::Relaxed);
            run.window.add_permits(1);
        }
    }
    Ok(took)
}
