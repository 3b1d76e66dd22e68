//! The command line.
#![expect(clippy::print_stdout, reason = "this is where people are spoken to")]

mod audit;
mod config;
mod consensus;
mod doctor;
mod inspect;
mod keys;
mod migrate;
mod offline;
mod serve;
mod weights;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::app::AppError;
use crate::config::{Config, ConfigError};

/// Pithead: the orchestrator in front of a subnet's miners.
#[derive(Debug, Parser)]
#[command(name = "pithead", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(serve::Serve),
    /// Bring the database's schema up to date, and end.
    Migrate(migrate::Migrate),
    /// Check a data folder: rows against rows, files against rows.
    Doctor(doctor::Doctor),
    /// Show what was decided, and why.
    Inspect(inspect::Inspect),
    /// Make, list, change and take back API keys.
    Keys(keys::Keys),
    /// Show the configuration that is in force.
    Config(config::ShowConfig),
    /// Merge reports of a file, without a server.
    Consensus(consensus::Consensus),
    /// Compute weights from a file, without a server.
    Weights(weights::Weights),
}

/// Flags that several commands share. Each is also a variable.
#[derive(Debug, Args)]
struct Common {
    /// Folder of the database, the files and the server's key.
    #[arg(long, global = true, env = "PITHEAD_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Configuration file (TOML).
    #[arg(long, global = true, env = "PITHEAD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// `postgres://..` or `sqlite:<path>`; SQLite in the data folder when absent.
    #[arg(long, global = true, env = "PITHEAD_DATABASE", value_name = "URL")]
    database: Option<String>,
    /// Log filter, such as `info` or `warn,pithead=debug`.
    #[arg(long, global = true, env = "PITHEAD_LOG", value_name = "FILTER")]
    log: Option<String>,
}

impl Common {
    fn load(&self) -> Result<Config, ConfigError> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(data) = &self.data {
            config.data_dir.clone_from(data);
        }
        if self.database.is_some() {
            config.database.clone_from(&self.database);
        }
        if let Some(filter) = &self.log {
            config.log.filter.clone_from(filter);
        }
        Ok(config)
    }
}

/// Runs the command that the arguments name.
///
/// # Errors
/// [`AppError`] with what is in the way.
pub async fn run() -> Result<(), AppError> {
    match Cli::parse().command {
        Command::Serve(serve) => serve.run().await,
        Command::Migrate(migrate) => migrate.run().await,
        Command::Doctor(doctor) => doctor.run().await,
        Command::Inspect(inspect) => inspect.run().await,
        Command::Keys(keys) => keys.run().await,
        Command::Config(config) => config.run(),
        Command::Consensus(consensus) => consensus.run(),
        Command::Weights(weights) => weights.run(),
    }
}
