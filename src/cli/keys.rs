//! `pithead keys`: on the data folder of a server that does not run. A running one has
//! `/api/v1/admin/keys`.

use clap::{Args, Subcommand};

use super::Common;
use crate::app::{AppError, open_store};
use crate::domain::units::DAY;
use crate::http::auth::keys::Scope;
use crate::identity::ApiKey;
use crate::outside::Clock;
use crate::store::{KeyRow, Store};

/// Make, list and take back API keys.
#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key and print it, this once.
    Create {
        /// What it is for.
        #[arg(long, default_value = "")]
        name: String,
        /// `client`, `admin`, `miner:<hotkey>` or `validator:<hotkey>`; may be given several times.
        #[arg(long = "scope", default_value = "client")]
        scopes: Vec<Scope>,
        /// Days until it expires; for ever when absent.
        #[arg(long)]
        expires_days: Option<u16>,
    },
    /// List all keys, without their secrets.
    List,
    /// Take a key back.
    Revoke {
        /// Its public part, between the underscores.
        id: String,
    },
}

impl Keys {
    pub(super) async fn run(self) -> Result<(), AppError> {
        let config = self.common.load()?;
        let store = open_store(&config, &config.data_dir).await?;
        let now = Clock::default().now();
        let done = match self.command {
            Command::Create { name, scopes, expires_days } => {
                let key = ApiKey::generate();
                let scopes: Vec<_> = scopes.iter().map(ToString::to_string).collect();
                let row = KeyRow {
                    id: key.id().to_owned(),
                    secret_hash: key.hash(),
                    name,
                    scopes: scopes.join(" "),
                    created_at: now,
                    expires_at: expires_days.map(|days| now.plus(i64::from(days) * DAY)),
                    revoked_at: None,
                };
                store.put_key(row).await.map(|()| println!("{}", key.reveal()))
            }
            Command::List => store.keys().await.map(|rows| rows.iter().for_each(print)),
            Command::Revoke { id } => store.revoke_key(id, now).await.map(|known| {
                println!("{}", if known { "taken back" } else { "no such valid key" });
            }),
        };
        store.close().await;
        Ok(done?)
    }
}

fn print(row: &KeyRow) {
    let state = match (row.revoked_at, row.expires_at) {
        (Some(at), _) => format!("taken back {}", at.rfc3339()),
        (None, Some(at)) => format!("until {}", at.rfc3339()),
        (None, None) => "valid".to_owned(),
    };
    println!("{}  {:24}  {:24}  {state}", row.id, row.scopes, row.name);
}
