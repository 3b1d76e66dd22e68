//! A fleet of any size, with liars if you like, against an own server or a running one.
//!
//!     cargo run --release --example fleet -- --miners 20 --validators 9 --liars 3 --tasks 500
//!
//! A running server must know the fleet's hotkeys: put what `--members` prints into its
//! configuration, start it, and pass `--url`, `--api-key` and the same numbers and seed.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pithead::app::Server;
use pithead::config::{Config, Role, RoleEntry};
use pithead::sim::{self, Access, FleetConfig, Member, Progress};

/// Simulates miners, validators and clients of a Pithead server.
#[derive(Parser)]
struct Args {
    /// Miners, uids from 0.
    #[arg(long, default_value_t = 10)]
    miners: u16,
    /// Validators, uids after the miners'.
    #[arg(long, default_value_t = 5)]
    validators: u16,
    /// How many of the validators lie.
    #[arg(long, default_value_t = 1)]
    liars: u16,
    /// Clients.
    #[arg(long, default_value_t = 3)]
    clients: u16,
    /// Tasks of all clients together.
    #[arg(long, default_value_t = 100)]
    tasks: u32,
    /// Tasks that one client keeps open at a time.
    #[arg(long, default_value_t = 8)]
    parallel: u16,
    /// Answers wanted per task; the server's default when absent.
    #[arg(long)]
    redundancy: Option<u16>,
    /// Mean milliseconds that a miner works on a task.
    #[arg(long, default_value_t = 150)]
    service_millis: u64,
    /// Largest share of tasks that a miner takes and forgets.
    #[arg(long, default_value_t = 0.0)]
    crash_rate: f64,
    /// Seconds until the run stops, finished or not.
    #[arg(long, default_value_t = 300)]
    limit_secs: u64,
    /// Everything drawn at random comes from here.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// A running server; without it, an own one in a temporary folder.
    #[arg(long, requires = "api_key")]
    url: Option<String>,
    /// Key of the running server that may submit tasks.
    #[arg(long, env = "PITHEAD_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Send `X-Dev-Hotkey` instead of signatures (servers in --dev only).
    #[arg(long)]
    unsigned: bool,
    /// Print the fleet's hotkeys for a server's configuration, and do nothing else.
    #[arg(long)]
    members: bool,
    /// Print the result as JSON, without progress bars.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let fleet = FleetConfig {
        miners: args.miners,
        validators: args.validators,
        liars: args.liars,
        clients: args.clients,
        tasks: args.tasks,
        parallel: args.parallel,
        redundancy: args.redundancy,
        service_millis: args.service_millis,
        crash_rate_max: args.crash_rate,
        limit: Duration::from_secs(args.limit_secs),
        seed: args.seed,
        ..FleetConfig::default()
    };
    if args.members {
        fleet.members().iter().for_each(print_member);
        return Ok(());
    }

    // The folder and the server live until the end of this run.
    let data = tempfile::tempdir()?;
    let (own, url, api_key) = match (args.url, args.api_key) {
        (Some(url), Some(api_key)) => (None, url, api_key),
        _ => {
            let mut config = Config::default();
            config.server.listen = "127.0.0.1:0".to_owned();
            config.data_dir = data.path().to_owned();
            config.auth.hotkeys = fleet.members().iter().map(role_entry).collect();
            let server = Server::start(config).await?;
            let api_key = server.admin_key().ok_or("a new server has an admin key")?.to_owned();
            let url = server.url();
            (Some(server), url, api_key)
        }
    };

    let access = Access { url, api_key, unsigned: args.unsigned };
    let bars = Bars::new(fleet.tasks, args.json);
    let report = sim::run(&fleet, &access, move |step| bars.step(step)).await;
    if let Some(server) = own {
        server.stop().await;
    }
    let report = report?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{report}");
    }
    if report.finished { Ok(()) } else { Err("the time limit came first".into()) }
}

fn role_entry(member: &Member) -> RoleEntry {
    let role = match member.role {
        sim::Role::Miner => Role::Miner,
        sim::Role::Validator => Role::Validator,
    };
    RoleEntry { hotkey: member.hotkey.to_string(), role, uid: member.uid, stake: member.stake }
}

fn print_member(member: &Member) {
    let role = match member.role {
        sim::Role::Miner => "miner",
        sim::Role::Validator => "validator",
    };
    println!("[[auth.hotkeys]]\nhotkey = \"{}\"", member.hotkey);
    println!("role = \"{role}\"\nuid = {}\nstake = {:.1}\n", member.uid, member.stake);
}

/// One bar per step of a task's life.
struct Bars {
    submitted: ProgressBar,
    answered: ProgressBar,
    done: ProgressBar,
    approved: ProgressBar,
}

impl Bars {
    fn new(tasks: u32, hidden: bool) -> Self {
        let target =
            if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let all = MultiProgress::with_draw_target(target);
        let style = ProgressStyle::with_template("{prefix:>9} [{bar:40}] {pos}/{len} {per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = |name| {
            let bar = ProgressBar::new(u64::from(tasks)).with_prefix(name);
            all.add(bar.with_style(style.clone()))
        };
        Self {
            submitted: bar("submitted"),
            answered: bar("answered"),
            done: bar("done"),
            approved: bar("approved"),
        }
    }

    fn step(&self, step: Progress) {
        match step {
            Progress::Submitted => self.submitted.inc(1),
            Progress::Answered => self.answered.inc(1),
            Progress::Done => self.done.inc(1),
            Progress::Approved => self.approved.inc(1),
            Progress::Reported | Progress::Failed => {}
        }
    }
}
