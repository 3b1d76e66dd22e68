//! `pithead serve`.

use clap::Args;

use super::Common;
use crate::app::{AppError, Server};
use crate::config::Config;
use crate::{shutdown, telemetry};

/// Run the server.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    common: Common,
    /// Address and port; port 0 takes a free one.
    #[arg(long, env = "PITHEAD_LISTEN", value_name = "ADDR")]
    listen: Option<String>,
    /// Accept unsigned requests with `X-Dev-Hotkey`. Loopback only, for development.
    #[arg(long, env = "PITHEAD_DEV")]
    dev: bool,
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), AppError> {
        let mut config = self.common.load()?;
        if let Some(listen) = self.listen {
            config.server.listen = listen;
        }
        config.auth.dev |= self.dev;
        telemetry::logs(&config.log);
        telemetry::metrics();
        raise_descriptors(&config);
        let (data, dev) = (config.data_dir.display().to_string(), config.auth.dev);
        let server = Server::start(config).await?;
        println!("Pithead listens on {}", server.url());
        println!("data folder: {data}");
        if let Some(key) = server.admin_key() {
            println!("admin key, shown this once: {key}");
        }
        if dev {
            println!(
                "DEVELOPMENT MODE: unsigned requests are accepted, and anybody on this machine may \
                 do everything"
            );
            tracing::warn!("development mode: unsigned requests are accepted on loopback");
        }
        server.run_until(shutdown::requested()).await?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Descriptors beside the connections: database, files, listener.
const OTHER_DESCRIPTORS: u64 = 256;

/// A connection takes a descriptor, and what it asks for may take another: a file, a spool.
fn raise_descriptors(config: &Config) {
    let connections = config.limits.in_flight + config.limits.parked;
    let wanted = 2 * connections as u64 + OTHER_DESCRIPTORS;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(limit) if limit >= wanted => {}
        Ok(limit) => tracing::warn!(
            limit,
            wanted,
            "too few file descriptors for `limits.in_flight` + `limits.parked`: raise `ulimit -n`"
        ),
        Err(error) => tracing::warn!(%error, "the limit of file descriptors cannot be read"),
    }
}
