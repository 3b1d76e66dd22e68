//! The configuration: one struct tree. Defaults, then the file, then `PITHEAD_*` variables, then
//! flags; each later one wins. `config.default.toml` lists every key with its meaning and default.

mod chain;
mod reach;
mod shown;
mod weights;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::{Deserialize, Serialize};

use crate::domain::chain::{Place, Roles};
use crate::domain::consensus::ConsensusPolicy;
use crate::domain::ids::Hotkey;
use crate::domain::kind::{KindRegistry, TaskKind};
use crate::domain::lease::LeasePolicy;
use crate::domain::limits;
use crate::domain::redundancy::HedgePolicy;
use crate::domain::selection::SelectionPolicy;
use crate::domain::units::{DAY, ONE, Stake};

pub use crate::domain::chain::Role;
pub use chain::ChainConfig;
pub use weights::{KindWeight, WeightsConfig};

/// Every key with its meaning, unit and default.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// The whole configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of the database, the blobs and the server's key.
    pub data_dir: PathBuf,
    /// `sqlite:<path>` or `postgres://..`; absent for SQLite in the data folder.
    #[serde(default)]
    pub database: Option<String>,
    /// The subnet.
    pub netuid: u16,
    /// How often overdue things are looked for, in milliseconds.
    pub sweep_millis: u64,
    /// The listener.
    pub server: ServerConfig,
    /// Where files are kept.
    pub blobs: BlobsConfig,
    /// How long what is kept.
    pub retention: RetentionConfig,
    /// Who may speak.
    pub auth: AuthConfig,
    /// Limits that operators tune.
    pub limits: LimitsConfig,
    /// How reports are merged.
    pub consensus: ConsensusPolicy,
    /// How miners are chosen.
    pub selection: SelectionPolicy,
    /// How leases run.
    pub lease: LeasePolicy,
    /// Whose tasks go first.
    pub queue: QueueConfig,
    /// When stragglers get a second miner.
    pub hedge: HedgePolicy,
    /// How answers are judged.
    pub evaluation: EvaluationConfig,
    /// What weights are made of.
    pub weights: WeightsConfig,
    /// What the subnet asks of weights.
    pub chain: ChainConfig,
    /// How clients are told.
    pub webhooks: WebhooksConfig,
    /// Kinds of tasks beside the six built-in ones, or in their place.
    #[serde(default)]
    pub kinds: Vec<TaskKind>,
    /// Logs.
    pub log: LogConfig,
}

/// The listener.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// How the outside reaches this server; absent for `http://<listen>`.
    #[serde(default)]
    pub public_url: Option<String>,
    /// HTTP threads; 0 for one per core.
    pub workers: usize,
    /// Addresses and nets whose `X-Forwarded-For` is believed.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
}

/// Who may speak.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Accept unsigned requests with `X-Dev-Hotkey`, on loopback only.
    pub dev: bool,
    /// Accept API keys bound to one hotkey in place of signatures.
    pub hotkey_api_keys: bool,
    /// Hotkeys and what they are.
    #[serde(default)]
    pub hotkeys: Vec<RoleEntry>,
    /// A TOML file with more `[[hotkeys]]`.
    #[serde(default)]
    pub hotkeys_file: Option<PathBuf>,
}

/// One hotkey of the allow-list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleEntry {
    /// The ss58 address.
    pub hotkey: String,
    /// What it is.
    pub role: Role,
    /// Its uid in the subnet.
    pub uid: u16,
    /// Its stake in whole tokens.
    #[serde(default)]
    pub stake: f64,
}

/// What keeps files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlobStore {
    /// The data folder.
    Folder,
    /// A bucket of S3, or of what speaks like it.
    S3,
}

/// Where files are kept. The keys to a bucket are no part of it: they come from the environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobsConfig {
    /// What keeps them.
    pub store: BlobStore,
    /// Name of the bucket.
    #[serde(default)]
    pub bucket: Option<String>,
    /// Where the bucket is reached; absent for Amazon's own.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Its region.
    pub region: String,
    /// What all names in the bucket begin with.
    pub prefix: String,
    /// Whether the bucket may be reached without TLS.
    pub allow_http: bool,
}

impl BlobsConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let named = self.bucket.as_ref().is_some_and(|bucket| !bucket.is_empty());
        match self.store {
            BlobStore::S3 if !named => {
                return Err(invalid("blobs.bucket", "must be given with `store = \"s3\"`"));
            }
            BlobStore::Folder if named => {
                return Err(invalid("blobs.bucket", "goes with `store = \"s3\"` only"));
            }
            BlobStore::S3 | BlobStore::Folder => {}
        }
        let plain = self.endpoint.as_ref().is_some_and(|url| url.starts_with("http://"));
        if plain && !self.allow_http {
            let problem = "is without TLS: use `https://`, or set `blobs.allow_http`";
            return Err(invalid("blobs.endpoint", problem));
        }
        Ok(())
    }
}

/// How long what is kept.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days after its end that a task stays in lists; then it goes into the archive.
    pub tasks_days: u32,
    /// Days after its end that a task can be read.
    pub archive_days: u32,
    /// Days that a file stays, unless the kind of its task says otherwise.
    pub files_days: u32,
}

impl RetentionConfig {
    /// How long files stay, in milliseconds, when a kind says `days` or nothing.
    #[must_use]
    pub fn files_millis(&self, days: Option<u32>) -> i64 {
        i64::from(days.unwrap_or(self.files_days)) * DAY
    }
}

/// Limits that operators tune.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests in flight, parked polls not counted.
    pub in_flight: usize,
    /// Parked polls of miners and clients.
    pub parked: usize,
    /// Reports per minute and validator.
    pub reports_per_minute: u32,
    /// Tasks per minute and client.
    pub tasks_per_minute: NonZeroU32,
    /// Requests per minute of an API key or a hotkey.
    pub requests_per_minute: NonZeroU32,
    /// Tasks per day of an API key or a hotkey; 0 for any number.
    pub tasks_per_day: u32,
    /// Requests per minute and address that prove nothing.
    pub unproven_per_minute: NonZeroU32,
    /// Connections of one address; trusted proxies have as many as they like.
    pub connections_per_ip: usize,
    /// Seconds that the headers of a request may take.
    pub headers_secs: NonZeroU32,
    /// Seconds that a connection may rest between two requests.
    pub keep_alive_secs: NonZeroU32,
    /// Bytes a second that a body must come with, and an answer must be read with.
    pub bytes_per_sec_min: NonZeroU32,
    /// Seconds that a sender or reader may be behind that pace.
    pub slow_grace_secs: NonZeroU32,
}

/// Whose tasks go first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// Tasks that one client may have open at once.
    pub open_per_client: usize,
    /// Weights of clients (an API key's id, or a hotkey) in sharing the miners; 1 for the others.
    #[serde(default)]
    pub weights: BTreeMap<String, u32>,
}

impl QueueConfig {
    /// Weight of a client.
    #[must_use]
    pub fn weight(&self, owner: &str) -> u32 {
        self.weights.get(owner).copied().unwrap_or(1)
    }
}

/// How answers are judged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Validators that must have judged every response of a task.
    pub quorum: usize,
}

/// How clients are told what happened to their tasks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhooksConfig {
    /// Tell receivers at private addresses too, and over plain HTTP.
    pub private_addresses: bool,
    /// A PEM file of authorities to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How often due deliveries are looked for when no hint came, in milliseconds.
    pub poll_millis: u64,
}

/// Logs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,pithead=debug`.
    pub filter: String,
    /// One JSON object per line.
    pub json: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HotkeysFile {
    #[serde(default)]
    hotkeys: Vec<RoleEntry>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read, or has unknown or wrongly typed keys.
    #[error("the configuration cannot be read: {0}")]
    Unreadable(Box<figment::Error>),
    /// Keys that do not go together.
    #[error("`{key}` {problem}")]
    Invalid {
        /// Which key.
        key: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

fn invalid(key: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { key, problem: problem.into() }
}

/// Days that files may stay: more than an idempotency key does, so that its file is there.
const DAYS: std::ops::RangeInclusive<u32> = 2..=limits::FILES_DAYS_MAX;

/// Variables that are flags of the command line, not keys of the tree.
const FLAGS: [&str; 6] = ["LISTEN", "DATA", "CONFIG", "DATABASE", "DEV", "LOG"];

impl Config {
    /// Defaults, then `file`, then `PITHEAD_SECTION__KEY` variables.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`], naming the key.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        if let Some(file) = file {
            figment = figment.merge(Toml::file_exact(file));
        }
        figment
            .merge(Env::prefixed("PITHEAD_").ignore(&FLAGS).split("__"))
            .extract()
            .map_err(|error| ConfigError::Unreadable(Box::new(error)))
    }

    /// Reads the hotkeys file and checks what single keys cannot say.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn validate(mut self) -> Result<Self, ConfigError> {
        if let Some(file) = self.auth.hotkeys_file.take() {
            let more: HotkeysFile = Figment::from(Toml::file_exact(file))
                .extract()
                .map_err(|error| ConfigError::Unreadable(Box::new(error)))?;
            self.auth.hotkeys.extend(more.hotkeys);
        }
        for entry in &self.auth.hotkeys {
            if Hotkey::parse(&entry.hotkey).is_err() {
                return Err(invalid("auth.hotkeys", format!("`{}` is no hotkey", entry.hotkey)));
            }
            if Stake::from_tokens(entry.stake).is_none() {
                let problem = format!("the stake of `{}` must be 0 to 9.2e9", entry.hotkey);
                return Err(invalid("auth.hotkeys", problem));
            }
        }
        if self.auth.dev && !self.listens_on_loopback() {
            return Err(invalid(
                "auth.dev",
                "works on loopback only: use `--listen 127.0.0.1:<port>`, or leave it out",
            ));
        }
        let shares = &self.selection;
        let sum = shares.performance_millionths
            + shares.load_millionths
            + shares.stake_millionths
            + shares.recency_millionths;
        if sum != ONE {
            return Err(invalid("selection", format!("weights sum to {sum}, not to 1,000,000")));
        }
        if self.lease.offer_millis <= 0
            || self.lease.heartbeat_millis <= 0
            || self.lease.attempts_max == 0
        {
            return Err(invalid("lease", "times and `attempts_max` must be at least 1"));
        }
        if !(0..=ONE).contains(&self.hedge.share_millionths) || self.hedge.after_millis_min < 0 {
            return Err(invalid(
                "hedge.share_millionths",
                "must be 0 to 1,000,000, times 0 or more",
            ));
        }
        if self.sweep_millis == 0 || self.consensus.round <= 0 {
            return Err(invalid("sweep_millis", "and `consensus.round` must be at least 1"));
        }
        if self.webhooks.poll_millis == 0 {
            return Err(invalid("webhooks.poll_millis", "must be at least 1"));
        }
        if self.queue.open_per_client == 0 || self.queue.weights.values().any(|&w| w == 0) {
            let problem = "and every weight in `queue.weights` must be at least 1";
            return Err(invalid("queue.open_per_client", problem));
        }
        self.blobs.check()?;
        self.check_reach()?;
        self.check_weights()?;
        self.chain.check()?;
        if !DAYS.contains(&self.retention.files_days) {
            let problem = format!("must be {} to {}", DAYS.start(), DAYS.end());
            return Err(invalid("retention.files_days", problem));
        }
        for kind in &self.kinds {
            if kind.redundancy == 0 || kind.redundancy > limits::REDUNDANCY_MAX {
                return Err(invalid("kinds", format!("`{}` has a bad redundancy", kind.name)));
            }
            if kind.files_days.is_some_and(|days| !DAYS.contains(&days)) {
                return Err(invalid("kinds", format!("`{}` has bad `files_days`", kind.name)));
            }
        }
        Ok(self)
    }

    fn listens_on_loopback(&self) -> bool {
        let host = self.server.listen.rsplit_once(':').map_or("", |(host, _)| host);
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    }

    /// The kinds: built in and configured.
    #[must_use]
    pub fn kinds(&self) -> KindRegistry {
        KindRegistry::with(self.kinds.clone())
    }

    /// The operator's list of hotkeys, as what the chain says is put beside it.
    #[must_use]
    pub fn roles(&self) -> Roles {
        let listed = self.auth.hotkeys.iter().filter_map(|entry| {
            let stake = Stake::from_tokens(entry.stake)?;
            let place = Place { uid: entry.uid, stake };
            Some((Hotkey::parse(&entry.hotkey).ok()?, entry.role, place))
        });
        Roles::new(listed, self.chain.snapshot_max_age_millis())
    }
}

impl Default for Config {
    /// What `config.default.toml` says, whatever the environment says.
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "compiled in, and tested below")]
        Figment::from(Toml::string(DEFAULTS)).extract().expect("the defaults are complete")
    }
}

#[cfg(test)]
mod tests;
