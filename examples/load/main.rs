//! How fast the main job is. A *cycle* is one client's submit, one fetch by a long-polling miner and
//! one response: three HTTP requests, each answered after its commit.
//!
//!     cargo run --release --example load -- --json
//!
//! Other runs, each alone: `--life` (a task from its submit to its approval), `--history 1000000`
//! (the same beside so many ended tasks), `--hostile` (one client against the others), `--siege`
//! (attacks), `--balance`, `--audio`, `--weights`, `--beside`, `--dead` (of miners), `--scale` (sizes).
//!
//! The server runs in a process of its own (this program, started again); the load generator shares
//! its cores. Every task is checked to have been completed exactly once.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod audio;
mod balance;
mod beside;
mod cycles;
mod dead;
mod figures;
mod history;
mod hostile;
mod life;
mod people;
mod rows;
mod scale;
mod server;
mod siege;
mod statuses;
mod weights;
mod wire;

use std::error::Error;

use clap::Parser;
use serde_json::json;

/// As the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures cycles, reports, memory and idle writes of a Pithead server.
#[derive(Parser, Debug, Clone)]
pub(crate) struct Args {
    /// Cycles to run.
    #[arg(long, default_value_t = 60_000)]
    cycles: usize,
    /// Keep-alive connections of clients.
    #[arg(long, default_value_t = 24)]
    clients: usize,
    /// Miners, each with one keep-alive connection.
    #[arg(long, default_value_t = 40)]
    miners: u16,
    /// Tasks that may be open at once.
    #[arg(long, default_value_t = 256)]
    window: usize,
    /// Sign every request instead of using API keys.
    #[arg(long)]
    signed: bool,
    /// Seconds of reports from 64 validators on 256 miners; 0 to leave them out.
    #[arg(long, default_value_t = 5)]
    report_secs: u64,
    /// Seconds of idleness to watch for writes; 0 to leave them out.
    #[arg(long, default_value_t = 20)]
    idle_secs: u64,
    /// Measure whole lives instead: three answers and six judgements for each task.
    #[arg(long)]
    life: bool,
    /// Lives to run.
    #[arg(long, default_value_t = 10_000)]
    lives: usize,
    /// The same with so many ended tasks in the database, in turn with an empty one.
    #[arg(long)]
    history: Option<usize>,
    /// Rounds of that.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measure what one hostile client does to the others instead.
    #[arg(long)]
    hostile: bool,
    /// Measure instead what signatures cost, and what five attacks do to the others.
    #[arg(long)]
    siege: bool,
    /// Measure how evenly equal miners are worked instead: 10,000 tasks, reports of 20 minutes ago.
    #[arg(long)]
    balance: bool,
    /// Measure instead what `POST /v1/audio/transcriptions` adds to the miner's own time.
    #[arg(long)]
    audio: bool,
    /// Measure instead what the weights cost to compute.
    #[arg(long)]
    weights: bool,
    /// Measure instead what making the weights of an hour does to the cycles beside it.
    #[arg(long)]
    beside: bool,
    /// Measure instead how soon the tasks of dead miners are back in the queue.
    #[arg(long)]
    dead: bool,
    /// Measure sizes instead: 100,000 open tasks, 65,536 miners, 10,000 parked polls.
    #[arg(long)]
    scale: bool,
    /// `postgres://..`; SQLite in a temporary folder when absent.
    #[arg(long)]
    database: Option<String>,
    /// One JSON object on the last line.
    #[arg(long)]
    json: bool,
    /// Validators that must judge each answer (set by the kind of run).
    #[arg(long, hide = true, default_value_t = 1)]
    quorum: usize,
    /// Seconds that a miner has for a task (set by the kind of run).
    #[arg(long, hide = true)]
    run_secs: Option<i64>,
    /// Be the server (used by the program itself).
    #[arg(long, hide = true)]
    serve: Option<std::path::PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if let Some(folder) = args.serve.clone() {
        return server::be(&args, &folder);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(args))
}

async fn measure(args: Args) -> Result<(), Box<dyn Error>> {
    if args.scale {
        scale::measure(&args).await?.print(args.json);
        return Ok(());
    }
    if let Some(count) = args.history {
        return history::measure(&args, count).await;
    }
    if args.balance {
        return balance::measure(&args).await;
    }
    if args.audio {
        return audio::measure(&args).await;
    }
    if args.weights {
        return weights::measure(&args).await;
    }
    if args.beside {
        return beside::measure(&args).await;
    }
    if args.dead {
        return dead::measure(&args).await;
    }
    if args.hostile || args.siege {
        return attacked(&args).await;
    }
    if args.life {
        return life::measure(&args).await;
    }
    let server = server::Child::start(&args).await?;
    let idle = cycles::idle(&args, &server).await?;
    let busy = cycles::busy(&args, &server).await?;
    let rss_mb = server.rss_mb()?;
    let idle_writes = server.idle_writes_per_minute(args.idle_secs).await?;
    let statuses = statuses::run(&args, &server).await?;
    let database = if args.database.is_some() { "postgresql" } else { "sqlite" };
    let ms = |nanos: u64| nanos as f64 / 1e6;
    println!("\ndatabase                        {database}, durable before each answer");
    println!("requests                        {}", if args.signed { "signed" } else { "API keys" });
    println!("cycles                          {}", args.cycles);
    println!("cycles per second               {:.0}", busy.per_second);
    println!(
        "request p50 / p99               {:.2} / {:.2} ms",
        ms(busy.request.0),
        ms(busy.request.1)
    );
    println!(
        "submit to fetched, loaded       {:.2} / {:.2} ms",
        ms(busy.fetched.0),
        ms(busy.fetched.1)
    );
    println!("submit to fetched, idle         {:.2} / {:.2} ms", ms(idle.0), ms(idle.1));
    println!("statuses per second             {statuses:.0}");
    println!("memory of the server            {rss_mb:.0} MB");
    println!("writes per idle minute          {idle_writes:.0}");
    if args.json {
        let object = json!({
            "cycles_per_second": busy.per_second.round(),
            "request_ms_p99": ms(busy.request.1),
            "submit_to_fetched_ms_p50": ms(idle.0),
            "submit_to_fetched_ms_p99": ms(idle.1),
            "statuses_per_second": statuses.round(),
            "rss_mb": rss_mb.round(),
            "idle_writes_per_minute": idle_writes,
            "database": database,
        });
        println!("{object}");
    }
    Ok(())
}

async fn attacked(args: &Args) -> Result<(), Box<dyn Error>> {
    if args.siege { siege::measure(args).await } else { hostile::measure(args).await }
}

/// Median and 99th percentile.
pub(crate) fn p50_p99(mut nanos: Vec<u64>) -> (u64, u64) {
    nanos.sort_unstable();
    let at = |share: usize| nanos.get(nanos.len() * share / 100).copied().unwrap_or_default();
    (at(50), at(99))
}
