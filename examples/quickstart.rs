//! A whole subnet in one process: a server, five miners, three validators and a client.
//!
//! Everything goes over real HTTP with real signatures; the data is in a temporary folder and
//! gone afterwards. Ends by itself within 20 seconds.
//!
//!     cargo run --example quickstart
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Duration;

use pithead::app::Server;
use pithead::config::{Config, Role, RoleEntry};
use pithead::sim::{self, Access, FleetConfig, Member};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Who takes part. All keys come from the seed, so the server can be told beforehand.
    let fleet = FleetConfig { limit: Duration::from_secs(10), ..FleetConfig::default() };

    let data = tempfile::tempdir()?;
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".to_owned();
    config.data_dir = data.path().to_owned();
    config.auth.hotkeys = fleet.members().iter().map(role_entry).collect();

    let server = Server::start(config).await?;
    println!("Pithead listens at {}", server.url());
    println!(
        "{} miners wait for work, {} validators report on them, {} tasks come in ..\n",
        fleet.miners, fleet.validators, fleet.tasks
    );

    // The admin key of a new data folder may do everything, submit tasks too.
    let api_key = server.admin_key().ok_or("a new server has an admin key")?.to_owned();
    let access = Access { url: server.url(), api_key, unsigned: false };
    let report = sim::run(&fleet, &access, |_step| {}).await;
    server.stop().await;
    let report = report?;

    println!("{report}");
    println!("The third column is what Pithead makes of the validators' reports.");
    println!("Next, with liars among the validators:");
    println!("    cargo run --release --example fleet -- --validators 9 --liars 3 --tasks 300");
    if report.is_clean() { Ok(()) } else { Err("not everything went well, see above".into()) }
}

fn role_entry(member: &Member) -> RoleEntry {
    let role = match member.role {
        sim::Role::Miner => Role::Miner,
        sim::Role::Validator => Role::Validator,
    };
    RoleEntry { hotkey: member.hotkey.to_string(), role, uid: member.uid, stake: member.stake }
}
