//! `pithead serve`.

use clap::Args;

use super::Common;
use crate::app::{AppError, Server};
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
