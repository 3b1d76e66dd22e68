//! How a weight comes about and what the chain makes of it: a subnet over several tempos, with
//! validators that seal their weights and open them later, a miner that changes its hotkey, and one
//! that loses its place to a newcomer. The chain is simulated; Pithead is the real server, and all
//! speak to it over HTTP with signed requests. Time is made to pass, so that it takes seconds.
//!
//!     cargo run --example epoch -- --svg pathways.svg
#![allow(clippy::print_stdout)]

mod chain;
mod draw;
mod peer;
mod play;

use std::path::PathBuf;

use clap::Parser;
use pithead::app::Server;
use pithead::config::{Config, KindWeight, Role, RoleEntry};
use pithead::domain::ids::Hotkey;
use pithead::outside::clock::Clock;

use peer::{Api, Outcome, Peer};

/// Validators and their stakes; the last one lies.
const VALIDATORS: [(u16, f64); 3] = [(100, 500.0), (101, 400.0), (102, 300.0)];
/// Kinds that are scored and their weights, in millionths. Errors of geomagnetic forecasts lie close
/// together, so that their scores are spread by a sigmoid.
const KINDS: [(&str, i64, bool); 3] = [
    ("weather", 700_000, false),
    ("geomagnetic", 150_000, true),
    ("soil_moisture", 150_000, false),
];

/// Plays a subnet over several tempos and prints its ledger.
#[derive(Parser, Debug)]
struct Args {
    /// Epochs to play, at least 6 for everything to happen.
    #[arg(long, default_value_t = 8)]
    tempos: u32,
    /// Where to draw the pathways.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// One JSON object on the last line.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".to_owned();
    config.data_dir = folder.path().to_owned();
    config.netuid = chain::NETUID;
    config.sweep_millis = 20;
    let validators: Vec<Peer> = VALIDATORS.iter().map(|(uid, _)| Peer::new(*uid)).collect();
    for (peer, (uid, stake)) in validators.iter().zip(VALIDATORS) {
        let hotkey = peer.hotkey();
        config.auth.hotkeys.push(RoleEntry { hotkey, role: Role::Validator, uid, stake });
    }
    for (name, weight_millionths, sigmoid) in KINDS {
        config.weights.kinds.push(KindWeight { name: name.to_owned(), weight_millionths, sigmoid });
    }
    let clock = Clock::default();
    let server = Server::start_at(config, clock.clone()).await?;
    let http = reqwest::Client::new();
    let url = server.url();
    let identity: serde_json::Value =
        http.get(format!("{url}/api/v1/identity")).send().await?.json().await?;
    let hotkey = Hotkey::parse(identity["hotkey"].as_str().unwrap_or_default())?;
    let api = Api { http, url, server: hotkey, clock };
    println!("Pithead listens at {}, the chain is at block {}\n", api.url, play::FIRST_BLOCK);

    let mut subnet = play::Subnet::new(api, validators).await?;
    for tempo in 1..=args.tempos {
        subnet.tempo(tempo).await?;
    }
    let ledger = subnet.ledger().await?;
    println!("\n{}", draw::table(&ledger));
    println!("{}", draw::plot(&ledger));
    println!("{}", subnet.explained().await?);
    server.stop().await;
    if let Some(path) = &args.svg {
        std::fs::write(path, draw::svg(&ledger))?;
        println!("the pathways are drawn in {}", path.display());
    }
    if args.json {
        println!("{}", subnet.told(&ledger));
    }
    Ok(())
}
