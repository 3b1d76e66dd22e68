//! What making the weights does to the task path: cycles as fast as they go, and in the middle of them
//! an hour ends whose weights are made of 30 days of sums by hour, 256 miners at 6 kinds. Cycles
//! completed per second meanwhile, over those before and afterwards.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Args;
use super::cycles;
use super::figures::median;
use super::people::report;
use super::rows::Rows;
use super::server::Child;
use super::wire::Wire;

const MINERS: u16 = 256;
const DAYS: i64 = 30;
const HOUR_SECS: u64 = 3_600;
/// How long cycles run before the hour is summed, and so long afterwards.
const LEAD: Duration = Duration::from_secs(5);
/// The server waits so long for what came late in an hour.
const REST: Duration = Duration::from_secs(60);
/// How often is looked whether the weights are made.
const LOOK: Duration = Duration::from_millis(50);

/// One hour of sums for each of the last 30 days' hours, of every miner at every kind.
async fn fill(server: &Child, args: &Args) -> Result<i64, Box<dyn Error>> {
    let rows = Rows::open(&server.database(args)).await?;
    if !rows.is_sqlite() {
        return Err("`--beside` measures on SQLite only".into());
    }
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let hour = now / HOUR_SECS as i64;
    let first = hour - DAYS * 24;
    let kinds: Vec<String> =
        super::server::KINDS.iter().map(|kind| format!("SELECT '{kind}' AS kind")).collect();
    let fill = format!(
        "WITH RECURSIVE h(hour) AS (SELECT {first} UNION ALL SELECT hour + 1 FROM h WHERE hour < \
         {hour}), k AS ({}) INSERT INTO score_hour (hour, registration_id, kind, voice, scored, \
         score_sum) SELECT hour, registration.id, k.kind, zeroblob(16), 10, \
         abs(random()) % 10000000 FROM h CROSS JOIN registration CROSS JOIN k \
         WHERE registration.closed_at IS NULL",
        kinds.join(" UNION ALL ")
    );
    rows.execute(&fill).await?;
    rows.execute(
        "INSERT INTO score_day (registration_id, kind, day, scored, score_sum) \
         SELECT registration_id, kind, hour / 24, SUM(scored), SUM(score_sum) FROM score_hour \
         GROUP BY registration_id, kind, hour / 24",
    )
    .await?;
    rows.execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    let count = rows.number("SELECT COUNT(*) FROM score_hour").await?;
    rows.close().await?;
    Ok(count)
}

/// Runs of the weights so far, and how many seconds they took together.
async fn runs(wire: &mut Wire) -> Result<(f64, f64), Box<dyn Error + Send + Sync>> {
    let body = wire.get("/metrics").await?.body.to_vec();
    let text = String::from_utf8_lossy(&body);
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse().ok()).unwrap_or(0.0)
    };
    Ok((of("pithead_weights_run_seconds_count"), of("pithead_weights_run_seconds_sum")))
}

/// Puts the clock so that an hour is summed after `LEAD`.
async fn before_the_hour(server: &mut Child) -> Result<(), Box<dyn Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)? + server.ahead() + LEAD;
    let over = now.saturating_sub(REST).as_secs() / HOUR_SECS + 1;
    server.advance(Duration::from_secs(over * HOUR_SECS) + REST - now).await
}

struct Round {
    took: f64,
    meanwhile: f64,
    otherwise: f64,
}

/// One round; the seconds that the weights took, and cycles per second meanwhile and otherwise.
async fn round(args: &Args, server: &mut Child) -> Result<Round, Box<dyn Error>> {
    before_the_hour(server).await?;
    report(server, args.miners, 64).await?;
    let mut wire = Wire::connect(&server.address, &server.admin()).await?;
    let plain = |error: Box<dyn Error + Send + Sync>| error.to_string();
    let (count, sum) = runs(&mut wire).await.map_err(plain)?;
    let began = Instant::now();
    let over = Arc::new(AtomicBool::new(false));
    let stop = over.clone();
    let watch = tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(LOOK).await;
            let (now, seconds) = runs(&mut wire).await?;
            if now > count {
                return Ok(Some((began.elapsed(), seconds - sum)));
            }
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(None)
    });
    let (start, ended) = cycles::ends(args, server).await?;
    over.store(true, Ordering::Relaxed);
    let made = watch.await?.map_err(plain)?;
    let (end, took) = made.ok_or("no hour ended meanwhile: give more `--cycles`")?;
    let end = end.saturating_sub(start - began).as_secs_f64();
    let begin = end - took;
    let last = ended.iter().copied().fold(0.0, f64::max);
    if last < end + 1.0 {
        return Err("the cycles ended before the weights: give more `--cycles`".into());
    }
    // The first second warms up.
    let within = ended.iter().filter(|at| (begin..end).contains(*at)).count();
    let without = ended.iter().filter(|at| **at >= 1.0 && !(begin..end).contains(*at)).count();
    let otherwise = without as f64 / (last - 1.0 - took);
    Ok(Round { took, meanwhile: within as f64 / took, otherwise })
}

pub(crate) async fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let mut server = Child::start(args).await?;
    report(&server, MINERS, 64).await?;
    server.stop().await?;
    let sums = fill(&server, args).await?;
    server.start_again(args).await?;
    println!("{sums} sums by hour of {MINERS} miners at {} kinds", super::server::KINDS.len());
    // The miners that only stand in the ledger are not reported any more.
    server.advance(Duration::from_secs(2 * HOUR_SECS)).await?;
    before_the_hour(&mut server).await?;
    let mut wire = Wire::connect(&server.address, &server.admin()).await?;
    println!("waiting for the records of all past periods ..");
    while runs(&mut wire).await.map_err(|error| error.to_string())?.0 < 1.0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut rounds = Vec::new();
    for number in 1..=args.rounds {
        let round = round(args, &mut server).await?;
        println!(
            "round {number}: {:.2} s of weights; {:.0} cycles per second meanwhile, {:.0} otherwise",
            round.took, round.meanwhile, round.otherwise
        );
        rounds.push(round);
    }
    let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let (took, ratio) = (of(|round| round.took), of(|round| round.meanwhile / round.otherwise));
    let hourly = 1.0 - took * (1.0 - ratio) / HOUR_SECS as f64;
    println!("\nmedians of {} rounds", args.rounds);
    println!("making the weights of an hour      {took:.2} s");
    println!("cycles per second, over otherwise  {ratio:.3} meanwhile, {hourly:.6} over the hour");
    if args.json {
        println!(
            "{}",
            serde_json::json!({ "took_s": took, "ratio": ratio, "over_an_hour": hourly })
        );
    }
    Ok(())
}
