//! A whole life of a task, which three miners answer and two validators judge: one submit, three
//! fetches by parked polls, three answers and six judgements, each request answered after its
//! commit. What the driver counts is compared with the rows at the end.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::Args;
use super::figures::{Spread, nanos};
use super::people::{Failure, Lease, People, RESPOND, report, work_of};
use super::rows::Rows;
use super::server::Child;
use super::wire::Wire;

/// Answers that a task wants.
pub(crate) const ANSWERS: usize = 3;
/// Validators that judge each answer.
pub(crate) const JUDGES: u16 = 2;
/// Connections of each validator.
const LINES: usize = 16;
/// Leases that a miner holds at once: with one, each fetch is a request of its own.
pub(crate) const CAPACITY: u32 = 1;

/// What one run measured.
pub(crate) struct Figures {
    pub(crate) lives: usize,
    pub(crate) lost: i64,
    pub(crate) per_second: f64,
    pub(crate) requests: usize,
    pub(crate) submit: Spread,
    pub(crate) fetched: Spread,
    pub(crate) respond: Spread,
    pub(crate) judge: Spread,
    pub(crate) whole: Spread,
}

/// A server that knows its miners, and everybody's keys.
pub(crate) struct Site {
    pub(crate) server: Child,
    pub(crate) people: People,
    pub(crate) args: Args,
}

impl Site {
    /// A new one.
    pub(crate) async fn start(args: &Args) -> Result<Self, Box<dyn Error>> {
        let args = Args { quorum: JUDGES.into(), ..args.clone() };
        let server = Child::start(&args).await?;
        report(&server, args.miners, CAPACITY).await?;
        let people = People::of(&server, args.miners, JUDGES).await?;
        Ok(Self { server, people, args })
    }
}

/// Times of one connection's requests.
#[derive(Default)]
struct Times {
    submit: Vec<u64>,
    respond: Vec<u64>,
    judge: Vec<u64>,
    /// Polls that brought work.
    fetches: usize,
}

/// Shared by all connections.
struct Run {
    start: Instant,
    lives: usize,
    next: AtomicUsize,
    /// When each task was sent, first fetched and approved, after the start.
    sent: Vec<AtomicU64>,
    fetched: Vec<AtomicU64>,
    approved: Vec<AtomicU64>,
    answered: Vec<AtomicU8>,
    ended: AtomicUsize,
    window: Semaphore,
}

/// A task that is done, on its way to a validator's connection.
type Done = (usize, String);

impl Run {
    fn new(lives: usize, window: usize) -> Arc<Self> {
        let zeros = || (0..lives).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            start: Instant::now(),
            lives,
            next: AtomicUsize::new(0),
            sent: zeros(),
            fetched: zeros(),
            approved: zeros(),
            answered: (0..lives).map(|_| AtomicU8::new(0)).collect(),
            ended: AtomicUsize::new(0),
            window: Semaphore::new(window),
        })
    }

    fn nanos(&self) -> u64 {
        nanos(self.start.elapsed())
    }

    fn is_over(&self) -> bool {
        self.ended.load(Ordering::Relaxed) >= self.lives
    }

    /// Times from the one moment to the other.
    fn spread(from: &[AtomicU64], to: &[AtomicU64]) -> Spread {
        let at = |moment: &AtomicU64| moment.load(Ordering::Relaxed);
        Spread::of(from.iter().zip(to).map(|(from, to)| at(to).saturating_sub(at(from))).collect())
    }
}

/// Lives so many tasks, from the submit to the approval.
pub(crate) async fn run(site: &Site, lives: usize) -> Result<Figures, Box<dyn Error>> {
    let (args, people, address) = (&site.args, &site.people, &site.server.address);
    let began = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let run = Run::new(lives, args.window);
    let mut crew: JoinSet<Result<Times, Failure>> = JoinSet::new();
    let mut judges = Vec::new();
    for (number, key) in people.validators.iter().enumerate() {
        let mut lines = Vec::new();
        for _ in 0..LINES {
            let (line, done) = mpsc::channel(args.window + 1);
            lines.push(line);
            let wire = Wire::connect(address, key).await?;
            crew.spawn(judge(run.clone(), wire, 10_000 + number, done));
        }
        judges.push(lines);
    }
    for (uid, key) in (0_u16..).zip(&people.miners) {
        let wire = Wire::connect(address, key).await?;
        crew.spawn(mine(run.clone(), wire, uid, judges.clone()));
    }
    drop(judges);
    for _ in 0..args.clients {
        let wire = Wire::connect(address, &people.client).await?;
        crew.spawn(submit(run.clone(), wire));
    }
    let mut all = Times::default();
    while let Some(done) = crew.join_next().await {
        let times = done?.map_err(|error| error.to_string())?;
        all.submit.extend(times.submit);
        all.respond.extend(times.respond);
        all.judge.extend(times.judge);
        all.fetches += times.fetches;
    }
    let last = run.approved.iter().map(|at| at.load(Ordering::Relaxed)).max().unwrap_or_default();
    Ok(Figures {
        lives,
        lost: lost(site, lives, began).await?,
        per_second: lives as f64 / (last as f64 / 1e9),
        requests: all.submit.len() + all.fetches + all.respond.len() + all.judge.len(),
        submit: Spread::of(all.submit),
        fetched: Run::spread(&run.sent, &run.fetched),
        respond: Spread::of(all.respond),
        judge: Spread::of(all.judge),
        whole: Run::spread(&run.sent, &run.approved),
    })
}

/// Tasks of a run that are not what they should be: approved, with every answer and judgement.
async fn lost(site: &Site, lives: usize, began: i64) -> Result<i64, Box<dyn Error>> {
    let rows = Rows::open(&site.server.database(&site.args)).await?;
    let text = format!(
        "SELECT COUNT(*) FROM task WHERE created_at >= {began} AND state = 'approved' \
         AND (SELECT COUNT(*) FROM response r WHERE r.task_id = task.id) = {ANSWERS} \
         AND (SELECT COUNT(*) FROM evaluation x WHERE x.task_id = task.id) = {} \
         AND (SELECT COUNT(*) FROM score s WHERE s.task_id = task.id) = {ANSWERS}",
        ANSWERS * usize::from(JUDGES)
    );
    let whole = rows.number(&text).await?;
    let all =
        rows.number(&format!("SELECT COUNT(*) FROM task WHERE created_at >= {began}")).await?;
    rows.close().await?;
    let lost = i64::try_from(lives)? - whole;
    if lost != 0 || all != whole {
        return Err(format!("of {lives} tasks {all} are there and {whole} are whole").into());
    }
    Ok(lost)
}

async fn submit(run: Arc<Run>, mut wire: Wire) -> Result<Times, Failure> {
    let mut times = Times::default();
    loop {
        run.window.acquire().await?.forget();
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        if number >= run.lives {
            run.window.add_permits(1);
            return Ok(times);
        }
        let body = format!(
            "{{\"text\":\"life {number} of the load\",\"redundancy\":{ANSWERS},\
             \"completion\":\"all\"}}"
        );
        let began = run.nanos();
        run.sent[number].store(began, Ordering::Relaxed);
        wire.post("/api/v1/tts", "application/json", "", body.as_bytes()).await?.ok()?;
        times.submit.push(run.nanos() - began);
    }
}

async fn mine(
    run: Arc<Run>,
    mut wire: Wire,
    uid: u16,
    judges: Vec<Vec<mpsc::Sender<Done>>>,
) -> Result<Times, Failure> {
    let mut times = Times::default();
    let target = work_of(uid);
    while !run.is_over() {
        let body = wire.get(&target).await?.ok()?;
        let now = run.nanos();
        let mut answers = Vec::new();
        for lease in serde_json::from_slice::<Vec<Lease<'_>>>(body)? {
            let number = lease.number()?;
            let first = &run.fetched[number];
            first.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).ok();
            let body = lease.answer(uid, "{\"audio_data\":\"none\"}");
            answers.push((number, lease.task_id.to_owned(), body));
        }
        times.fetches += usize::from(!answers.is_empty());
        for (number, task, body) in answers {
            let began = run.nanos();
            wire.post(RESPOND, "application/json", "", body.as_bytes()).await?.ok()?;
            times.respond.push(run.nanos() - began);
            let answered = run.answered[number].fetch_add(1, Ordering::Relaxed) + 1;
            if usize::from(answered) == ANSWERS {
                for lines in &judges {
                    lines[number % LINES].send((number, task.clone())).await?;
                }
            }
        }
    }
    Ok(times)
}

async fn judge(
    run: Arc<Run>,
    mut wire: Wire,
    uid: usize,
    mut done: mpsc::Receiver<Done>,
) -> Result<Times, Failure> {
    let mut times = Times::default();
    while let Some((number, task)) = done.recv().await {
        for slot in 0..ANSWERS {
            let body = json!({
                "task_id": task, "validator_uid": uid,
                "evaluation_data": { "evaluations": [{ "slot": slot, "accuracy": 0.9 }] },
            })
            .to_string();
            let target = "/api/v1/validator/evaluation";
            let began = run.nanos();
            let answer = wire.post(target, "application/json", "", body.as_bytes()).await?.ok()?;
            times.judge.push(run.nanos() - began);
            let answer: Value = serde_json::from_slice(answer)?;
            let first = &run.approved[number];
            if answer["task_status"] == "approved"
                && first
                    .compare_exchange(0, run.nanos(), Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
            {
                run.ended.fetch_add(1, Ordering::Relaxed);
                run.window.add_permits(1);
            }
        }
    }
    Ok(times)
}

impl Figures {
    pub(crate) fn print(&self) {
        println!("lives per second                {:.0}", self.per_second);
        println!("lives, lost                     {}, {}", self.lives, self.lost);
        println!("requests per life               {:.2}", self.requests as f64 / self.lives as f64);
        println!("                                     p50      p95      p99");
        self.submit.print("submit");
        self.fetched.print("submit to first fetched");
        self.respond.print("response");
        self.judge.print("evaluation");
        self.whole.print("submit to approved");
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "lives_per_second": self.per_second.round(),
            "lives": self.lives,
            "lost": self.lost,
            "requests_per_life": self.requests as f64 / self.lives as f64,
            "submit_ms": self.submit.json(),
            "fetched_ms": self.fetched.json(),
            "respond_ms": self.respond.json(),
            "evaluate_ms": self.judge.json(),
            "life_ms": self.whole.json(),
        })
    }
}

/// One warm-up, then the run.
pub(crate) async fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let site = Site::start(args).await?;
    run(&site, args.lives / 10).await?;
    let figures = run(&site, args.lives).await?;
    println!();
    figures.print();
    if args.json {
        println!("{}", figures.json());
    }
    Ok(())
}
