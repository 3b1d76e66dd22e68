//! What a long history costs: lives on an empty server and on one whose database holds many ended
//! tasks of the past days, in turn on one machine. The rows are what real use leaves behind; ended
//! tasks that the retention would move are not among them.

use std::error::Error;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use url::Url;

use super::Args;
use super::figures::{Spread, median, ms, nanos};
use super::life::{self, Figures, Site};
use super::rows::Rows;
use super::wire::Wire;

/// The history ends an hour ago and began six days before: a day less than tasks stay.
const ENDS_MILLIS: i64 = 3_600_000;
const LASTS_MILLIS: i64 = 6 * 86_400_000;
/// Times that each list is asked for.
const READS: usize = 100;

/// What differs between the databases: a numbered series, and an id with a moment in its head.
struct Dialect {
    series: &'static str,
    id: &'static str,
    hash: &'static str,
    after: &'static [&'static str],
}

const SQLITE: Dialect = Dialect {
    series: "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $count)",
    id: "unhex(printf('%012x7%03x8000%012x', $at, i % 4096, i))",
    hash: "zeroblob(32)",
    after: &["PRAGMA wal_checkpoint(TRUNCATE)"],
};

const POSTGRES: Dialect = Dialect {
    series: "WITH n(i) AS (SELECT generate_series(0::bigint, $count - 1))",
    id: "(lpad(to_hex($at), 12, '0') || '7' || lpad(to_hex(i % 4096), 3, '0') || '8000' \
         || lpad(to_hex(i), 12, '0'))::uuid",
    hash: "decode(repeat('00', 32), 'hex')",
    // As after days of use: analysed, and its pages marked as visible to all.
    after: &["VACUUM ANALYZE"],
};

/// Who worked, and each ended task with its moment. One task in twenty still waits for its second
/// judge, and one in fifty was given out twice.
const BEFORE: [&str; 4] = [
    "CREATE TEMP TABLE worker AS SELECT ROW_NUMBER() OVER (ORDER BY uid) - 1 AS place, id, uid \
     FROM registration WHERE closed_at IS NULL",
    "CREATE TEMP TABLE judge AS SELECT ROW_NUMBER() OVER (ORDER BY uid) - 1 AS place, id \
     FROM validator",
    "CREATE TEMP TABLE past AS $series SELECT i, $at AS at, $id AS id FROM n",
    "CREATE TEMP TABLE part AS SELECT 0 AS slot UNION ALL SELECT 1 UNION ALL SELECT 2",
];

const ROWS: [&str; 9] = [
    "INSERT INTO task (id, owner, kind, state, priority, slots, enough, min_responses, answered, \
     failed, source_language, input_text, run_millis, created_at, deadline, start_at, \
     first_response_at, finished_at, best_slot) \
     SELECT id, '$owner', 'tts', CASE WHEN i % 20 = 0 THEN 'done' ELSE 'approved' END, 'normal', \
     3, 3, 1, 3, 0, 'en', 'A sentence of the past, read aloud by three.', 120000, at, \
     at + 3600000, at, at + 900, at + 1500, CASE WHEN i % 20 = 0 THEN NULL ELSE 0 END \
     FROM past ORDER BY i",
    "INSERT INTO slot (task_id, slot, state, attempt, failures, not_before, holder_kind, holder, \
     granted_at, fetched_at) \
     SELECT past.id, slot, 'answered', CASE WHEN i % 50 = 1 AND slot = 0 THEN 2 ELSE 1 END, \
     CASE WHEN i % 50 = 1 AND slot = 0 THEN 1 ELSE 0 END, at, 'miner', worker.id, at + 10, at + 20 \
     FROM past CROSS JOIN part JOIN worker ON worker.place = (i + slot) % $workers ORDER BY i, slot",
    "INSERT INTO attempt (task_id, slot, attempt, holder_kind, holder, reason, granted_at, \
     fetched_at, ended_at) \
     SELECT past.id, 0, 1, 'miner', worker.id, 'failed', at + 1, at + 2, at + 3 \
     FROM past JOIN worker ON worker.place = (i + 3) % $workers WHERE i % 50 = 1 ORDER BY i",
    "INSERT INTO response (task_id, slot, attempt, holder, registration_id, miner_uid, body, \
     body_hash, elapsed_millis, created_at) \
     SELECT past.id, slot, CASE WHEN i % 50 = 1 AND slot = 0 THEN 2 ELSE 1 END, worker.id, \
     worker.id, worker.uid, '{\"audio_data\":\"UklGRg==\"}', $hash, 900, at + 900 \
     FROM past CROSS JOIN part JOIN worker ON worker.place = (i + slot) % $workers ORDER BY i, slot",
    "INSERT INTO evaluation (task_id, slot, validator_id, accuracy, whole, score, reward, \
     created_at) SELECT past.id, slot, judge.id, 900000, $false, 930000, 930000, at + 60000 \
     FROM past CROSS JOIN part JOIN judge ON judge.place < CASE WHEN i % 20 = 0 THEN 1 ELSE 2 END \
     ORDER BY i, slot",
    "INSERT INTO score (task_id, slot, registration_id, kind, score, validators, scored_at) \
     SELECT past.id, slot, worker.id, 'tts', 930000, 2, at + 60000 \
     FROM past CROSS JOIN part JOIN worker ON worker.place = (i + slot) % $workers \
     WHERE i % 20 <> 0 ORDER BY i, slot",
    "INSERT INTO score_day (registration_id, kind, day, scored, score_sum) \
     SELECT registration_id, kind, scored_at / 86400000, COUNT(*), CAST(SUM(score) AS bigint) \
     FROM score GROUP BY registration_id, kind, scored_at / 86400000",
    "UPDATE registration SET answered = answered + sum.n FROM \
     (SELECT registration_id, COUNT(*) AS n FROM response GROUP BY registration_id) sum \
     WHERE sum.registration_id = registration.id",
    "UPDATE registration SET scored = scored + sum.n, score_sum = score_sum + sum.score FROM \
     (SELECT registration_id, SUM(scored) AS n, SUM(score_sum) AS score FROM score_day \
     GROUP BY registration_id) sum WHERE sum.registration_id = registration.id",
];

/// Puts so many ended tasks into the database of a stopped server.
async fn fill(site: &Site, count: usize) -> Result<(), Box<dyn Error>> {
    let rows = Rows::open(&site.server.database(&site.args)).await?;
    let dialect = if rows.is_sqlite() { &SQLITE } else { &POSTGRES };
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let began = now - ENDS_MILLIS - LASTS_MILLIS;
    let at = format!("({began} + i * {} / {count})", LASTS_MILLIS);
    // `pit_<id>_<secret>`: tasks belong to the key's id.
    let owner = site.people.client.split('_').nth(1).ok_or("a strange key")?.to_owned();
    let workers = usize::from(site.args.miners);
    let filled = |text: &str| {
        text.replace("$series", dialect.series)
            .replace("$id", dialect.id)
            .replace("$hash", dialect.hash)
            .replace("$at", &at)
            .replace("$count", &count.to_string())
            .replace("$owner", &owner)
            .replace("$workers", &workers.to_string())
            .replace("$false", if rows.is_sqlite() { "0" } else { "false" })
    };
    for text in BEFORE.iter().chain(&["BEGIN"]).chain(&ROWS).chain(&["COMMIT"]) {
        rows.execute(&filled(text)).await?;
    }
    for text in dialect.after {
        rows.execute(text).await?;
    }
    rows.close().await
}

/// The same database server, another database: made now, dropped at the end.
fn beside(url: &str) -> Result<(String, String), Box<dyn Error>> {
    let mut url = Url::parse(url)?;
    let name = format!("{}_history", url.path().trim_start_matches('/'));
    url.set_path(&name);
    Ok((url.into(), name))
}

/// Asks for each list a number of times: what it is, and how long it took.
async fn read(site: &Site) -> Result<Vec<(&'static str, Spread)>, Box<dyn Error>> {
    let people = &site.people;
    let lists = [
        ("own tasks", "/api/v1/tasks?limit=50", &people.client),
        ("tasks to judge, first judge", "/api/v1/validator/tasks", &people.validators[0]),
        ("tasks to judge, second judge", "/api/v1/validator/tasks", &people.validators[1]),
        ("completed tasks", "/api/v1/tasks/completed", &people.validators[0]),
        ("judged tasks", "/api/v1/validator/10000/evaluated_tasks", &people.validators[0]),
        ("leaderboard", "/api/v1/leaderboard", &people.client),
        ("a miner's statistics", "/api/v1/miners/0/stats", &people.client),
    ];
    let mut figures = Vec::new();
    for (what, target, key) in lists {
        let mut wire = Wire::connect(&site.server.address, key).await?;
        let mut took = Vec::with_capacity(READS);
        for _ in 0..READS {
            let began = Instant::now();
            wire.get(target).await?.ok()?;
            took.push(nanos(began.elapsed()));
        }
        figures.push((what, Spread::of(took)));
    }
    Ok(figures)
}

/// Runs without and with a history in turn, and tells the ratios of the medians.
pub(crate) async fn measure(args: &Args, count: usize) -> Result<(), Box<dyn Error>> {
    let empty = Site::start(args).await?;
    let mut own = args.clone();
    let mut made = None;
    if let Some(url) = &args.database {
        let rows = Rows::open(url).await?;
        let (database, name) = beside(url)?;
        rows.execute(&format!("CREATE DATABASE {name}")).await?;
        own.database = Some(database);
        made = Some((rows, name));
    }
    let mut full = Site::start(&own).await?;
    full.server.stop().await?;
    let began = Instant::now();
    fill(&full, count).await?;
    println!("{count} ended tasks put there in {:.0} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    full.server.start_again(&full.args).await?;
    let start_ms = began.elapsed().as_secs_f64() * 1e3;
    // The clock of the miners' reports stood still meanwhile: they are new to the server.
    super::people::report(&full.server, args.miners, life::CAPACITY).await?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for site in [&empty, &full] {
        life::run(site, args.lives / 10).await?;
    }
    for round in 1..=args.rounds {
        without.push(life::run(&empty, args.lives).await?);
        with.push(life::run(&full, args.lives).await?);
        let speed = |runs: &[Figures]| runs.last().map_or(0.0, |run| run.per_second);
        println!(
            "round {round}: {:.0} lives per second without, {:.0} with",
            speed(&without),
            speed(&with)
        );
    }
    let reads = (read(&empty).await?, read(&full).await?);
    full.server.stop().await?;
    if let Some((rows, name)) = made {
        rows.execute(&format!("DROP DATABASE {name}")).await?;
    }
    tell(args, count, start_ms, (&without, &with), reads);
    Ok(())
}

/// One number of a run.
type Figure = fn(&Figures) -> f64;
type Reads = Vec<(&'static str, Spread)>;

fn tell(
    args: &Args,
    count: usize,
    start_ms: f64,
    (without, with): (&[Figures], &[Figures]),
    reads: (Reads, Reads),
) {
    let of =
        |runs: &[Figures], figure: fn(&Figures) -> f64| median(runs.iter().map(figure).collect());
    let mut figures = serde_json::Map::new();
    println!("\nmedians of {} rounds                 without     with    ratio", args.rounds);
    let all: [(&str, Figure); 6] = [
        ("lives_per_second", |run| run.per_second),
        ("submit_ms_p50", |run| ms(run.submit.p50)),
        ("submit_ms_p99", |run| ms(run.submit.p99)),
        ("respond_ms_p50", |run| ms(run.respond.p50)),
        ("evaluate_ms_p50", |run| ms(run.judge.p50)),
        ("life_ms_p50", |run| ms(run.whole.p50)),
    ];
    for (name, figure) in all {
        let (a, b) = (of(without, figure), of(with, figure));
        println!("{name:<34}{a:>10.2}{b:>10.2}{:>9.3}", b / a);
        figures.insert(name.to_owned(), json!({ "without": a, "with": b, "ratio": b / a }));
    }
    println!("\nlists, p50 and p99 in ms                 without            with");
    for ((what, a), (_, b)) in reads.0.iter().zip(&reads.1) {
        let times = [a.p50, a.p99, b.p50, b.p99].map(ms);
        println!(
            "{what:<34}{:>8.2} {:>8.2}{:>8.2} {:>8.2}",
            times[0], times[1], times[2], times[3]
        );
        figures.insert((*what).to_owned(), json!({ "without": a.json(), "with": b.json() }));
    }
    println!("start with the history            {start_ms:.0} ms");
    if args.json {
        figures.insert("history".to_owned(), json!(count));
        figures.insert("start_ms".to_owned(), json!(start_ms.round()));
        println!("{}", Value::Object(figures));
    }
}
