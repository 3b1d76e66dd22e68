//! `pithead keys`: on the data folder of a server that does not run. A running one has
//! `/api/v1/admin/keys`.

use clap::{Args, Subcommand, value_parser};

use super::Common;
use crate::app::{AppError, open_store};
use crate::domain::limits::{
    KEY_IN_FLIGHT_MAX, KEY_OVERLAP_HOURS, KEY_OVERLAP_HOURS_MAX, NAME_CHARS_MAX,
    REQUESTS_PER_MINUTE_MAX, TASKS_PER_DAY_MAX,
};
use crate::domain::units::{DAY, HOUR, Millis};
use crate::http::auth::keys::Scope;
use crate::identity::ApiKey;
use crate::outside::Clock;
use crate::store::{
    By, ChangeKey, KeyLimits, KeyRow, KeyState, PutKey, RevokeKey, RotateKey, Store, StoreResult,
};

/// Make, list, change and take back API keys.
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
        #[arg(long, default_value = "", value_parser = name)]
        name: String,
        /// `client`, `admin`, `miner:<hotkey>` or `validator:<hotkey>`; may be given several times.
        #[arg(long = "scope", default_value = "client")]
        scopes: Vec<Scope>,
        /// Days until it expires; for ever when absent.
        #[arg(long, value_parser = value_parser!(u16).range(1..=3_650))]
        expires_days: Option<u16>,
        #[command(flatten)]
        limits: Limits,
    },
    /// List all keys, without their secrets.
    List,
    /// Change what is named, and nothing else.
    Set {
        /// Its public part, between the underscores.
        id: String,
        /// What it is for.
        #[arg(long, value_parser = name)]
        name: Option<String>,
        /// As with `create`; in place of all scopes that it has.
        #[arg(long = "scope")]
        scopes: Vec<Scope>,
        /// Days from now until it expires.
        #[arg(long, value_parser = value_parser!(u16).range(1..=3_650), conflicts_with = "forever")]
        expires_days: Option<u16>,
        /// It does not expire.
        #[arg(long)]
        forever: bool,
        /// Give it the server's limits in place of its own, but for those that are named beside this.
        #[arg(long)]
        usual_limits: bool,
        #[command(flatten)]
        limits: Limits,
    },
    /// Give a key another secret and print it, this once.
    Rotate {
        /// Its public part, between the underscores.
        id: String,
        /// Hours that the secret of now is valid too; 0 ends it at once.
        #[arg(long, default_value_t = KEY_OVERLAP_HOURS,
            value_parser = value_parser!(i64).range(0..=KEY_OVERLAP_HOURS_MAX))]
        overlap_hours: i64,
    },
    /// Take a key back.
    Revoke {
        /// Its public part, between the underscores.
        id: String,
    },
}

/// Limits of one key; the server's where absent.
#[derive(Debug, Clone, Copy, Args)]
struct Limits {
    /// Requests per minute.
    #[arg(long, value_parser = value_parser!(u32).range(1..=i64::from(REQUESTS_PER_MINUTE_MAX)))]
    requests_per_minute: Option<u32>,
    /// Requests at once.
    #[arg(long, value_parser = value_parser!(u32).range(1..=i64::from(KEY_IN_FLIGHT_MAX)))]
    in_flight: Option<u32>,
    /// Tasks per day, in UTC; 0 for any number.
    #[arg(long, value_parser = value_parser!(u32).range(0..=i64::from(TASKS_PER_DAY_MAX)))]
    tasks_per_day: Option<u32>,
}

impl From<Limits> for KeyLimits {
    fn from(limits: Limits) -> Self {
        let Limits { requests_per_minute, in_flight, tasks_per_day } = limits;
        Self { requests_per_minute, in_flight, tasks_per_day }
    }
}

/// What a key may be called: as over HTTP.
fn name(text: &str) -> Result<String, String> {
    if text.chars().count() > NAME_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(format!("must have at most {NAME_CHARS_MAX} characters, none of them control"));
    }
    Ok(text.to_owned())
}

fn joined(scopes: &[Scope]) -> String {
    scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

impl Keys {
    pub(super) async fn run(self) -> Result<(), AppError> {
        let config = self.common.load()?;
        let store = open_store(&config, &config.data_dir).await?;
        let now = Clock::default().now();
        let by = By { netuid: config.netuid, actor: "cli".to_owned(), now, nonce: None };
        let done = self.command.run(&store, by).await;
        store.close().await;
        match done? {
            true => Ok(()),
            false => Err(AppError::Nothing("no such key, or it was taken back".to_owned())),
        }
    }
}

impl Command {
    /// Does it; whether there was such a key.
    async fn run(self, store: &dyn Store, by: By) -> StoreResult<bool> {
        let now = by.now;
        let in_days = |days: u16| now.plus(i64::from(days) * DAY);
        match self {
            Self::Create { name, scopes, expires_days, limits } => {
                let key = ApiKey::generate();
                let row = KeyRow {
                    name,
                    scopes: joined(&scopes),
                    expires_at: expires_days.map(in_days),
                    limits: limits.into(),
                    ..KeyRow::new(key.id(), key.hash(), now)
                };
                store.put_key(PutKey { key: row, by }).await?;
                println!("{}", key.reveal());
                Ok(true)
            }
            Self::List => {
                store.keys().await?.iter().for_each(|row| print(row, now));
                Ok(true)
            }
            Self::Set { id, name, scopes, expires_days, forever, usual_limits, limits } => {
                let limit = |own: Option<u32>| own.map(Some).or(usual_limits.then_some(None));
                let end = expires_days.map(|days| Some(in_days(days)));
                let change = ChangeKey {
                    name,
                    scopes: (!scopes.is_empty()).then(|| joined(&scopes)),
                    expires_at: end.or(forever.then_some(None)),
                    requests_per_minute: limit(limits.requests_per_minute),
                    in_flight: limit(limits.in_flight),
                    tasks_per_day: limit(limits.tasks_per_day),
                    ..ChangeKey::none(id, by)
                };
                let changed = store.change_key(change).await?;
                changed.iter().for_each(|row| print(row, now));
                Ok(changed.is_some())
            }
            Self::Rotate { id, overlap_hours } => {
                let Some(key) = ApiKey::again(&id) else { return Ok(false) };
                let old_until = now.plus(overlap_hours * HOUR);
                let rotate = RotateKey { id, secret_hash: key.hash(), old_until, by };
                let rotated = store.rotate_key(rotate).await?;
                if rotated.is_some() {
                    println!("{}", key.reveal());
                }
                Ok(rotated.is_some())
            }
            Self::Revoke { id } => {
                let known = store.revoke_key(RevokeKey { id, by }).await?;
                if known {
                    println!("taken back");
                }
                Ok(known)
            }
        }
    }
}

fn print(row: &KeyRow, now: Millis) {
    let until = |at: Option<Millis>| at.map(Millis::rfc3339).unwrap_or_default();
    let state = match (row.state(now), row.expires_at) {
        (KeyState::Revoked, _) => format!("taken back {}", until(row.revoked_at)),
        (KeyState::Expired, _) => format!("expired {}", until(row.expires_at)),
        (KeyState::Rotating, _) => format!("old secret until {}", until(row.old_secret_until)),
        (KeyState::Active, Some(at)) => format!("until {}", at.rfc3339()),
        (KeyState::Active, None) => "valid".to_owned(),
    };
    let KeyLimits { requests_per_minute, in_flight, tasks_per_day } = row.limits;
    let limits: Vec<_> =
        [("/min", requests_per_minute), (" at once", in_flight), (" tasks/day", tasks_per_day)]
            .into_iter()
            .filter_map(|(unit, limit)| limit.map(|limit| format!("{limit}{unit}")))
            .collect();
    let (scopes, limits) = (&row.scopes, limits.join(", "));
    println!("{}  {scopes:24}  {:24}  {state}  {limits}", row.id, row.name);
}
