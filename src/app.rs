//! The whole server: what is built in which order, and how it stops.
//!
//! Start: data folder, store (locked and migrated), blobs, keys, listener, actors. Stop: readiness
//! off, no new connections, requests in flight finish, miners' records are handed to the store, which
//! writes what waits; the lock goes. The server has a thread of its own, on which all actors live;
//! HTTP workers have theirs.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use actix_web::HttpServer;
use actix_web::web::Data;
use tokio::sync::{oneshot, watch};

use crate::actors::{Actors, Deps};
use crate::config::{BlobStore, BlobsConfig, Config, ConfigError};
use crate::domain::audit::SYSTEM;
use crate::http::address::Trusted;
use crate::http::openapi::Documents;
use crate::http::peer::Peers;
use crate::http::recent::Recent;
use crate::http::strangers::Strangers;
use crate::http::{Web, application, auth, intake};
use crate::identity::{ApiKey, Keypair};
use crate::outside::blobs::{Bucket, Place};
use crate::outside::{Blobs, Clock};
use crate::store::sql::{Location, SqlStore};
use crate::store::{AuditPage, By, KeyRow, Note, PutKey, Store, StoreError};

/// Why the server did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Keys that do not go together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The listener or the data folder.
    #[error("{what}: {error}")]
    Io {
        /// Doing what.
        what: String,
        /// What went wrong.
        error: io::Error,
    },
    /// The server's key file.
    #[error("the server's key: {0}")]
    Key(#[from] crate::identity::keypair::KeyFileError),
    /// An actor without which the server makes no sense is dead.
    #[error("the {0} died; the log says why")]
    ActorDied(&'static str),
    /// What a command was given to read cannot be used.
    #[error("{0}")]
    BadInput(String),
    /// What `pithead doctor` found.
    #[error("{0} of the checks failed; they are marked above")]
    Unsound(usize),
    /// There is no database where one was expected.
    #[error("there is no database at `{0}`; is `--data` right?")]
    NoDatabase(String),
    /// What was asked for is not there.
    #[error("{0}")]
    Nothing(String),
    /// The server's thread ended without a word.
    #[error("the server's thread ended unexpectedly")]
    Gone,
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> AppError {
    let what = what.into();
    move |error| AppError::Io { what, error }
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    url: String,
    admin_key: Option<String>,
    clock: Clock,
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<Result<(), AppError>>,
}

/// Without its first admin key.
impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What the server's thread says once it listens.
struct Listening {
    address: SocketAddr,
    url: String,
    admin_key: Option<String>,
}

impl Server {
    /// Starts a server with this configuration; it listens when this returns.
    ///
    /// # Errors
    /// [`AppError`] with what is in the way.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        Self::start_at(config, Clock::default()).await
    }

    /// The same, with a clock that the caller may move.
    ///
    /// # Errors
    /// [`AppError`] with what is in the way.
    pub async fn start_at(config: Config, clock: Clock) -> Result<Self, AppError> {
        let config = config.validate()?;
        let location = Location::parse(config.database.as_deref(), &config.data_dir)?;
        let store = Arc::new(SqlStore::open(location).await?);
        Self::start_on(config, clock, store).await
    }

    /// The same, on a store that the caller opened.
    ///
    /// # Errors
    /// [`AppError`] with what is in the way.
    pub async fn start_on(
        config: Config,
        clock: Clock,
        store: Arc<dyn Store>,
    ) -> Result<Self, AppError> {
        let config = config.validate()?;
        let (stop, stopped) = watch::channel(false);
        let (say, listening) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let own_clock = clock.clone();
        let run = move || {
            let system = actix_rt::System::new();
            let outcome = system.block_on(async move {
                match build(config, own_clock, store).await {
                    Ok(built) => {
                        let listening = Listening {
                            address: built.address,
                            url: built.url.clone(),
                            admin_key: built.admin_key.clone(),
                        };
                        say.send(Ok(listening)).ok();
                        built.run_until(stopped).await
                    }
                    Err(error) => {
                        say.send(Err(error)).ok();
                        Ok(())
                    }
                }
            });
            end.send(outcome).ok();
        };
        let thread = thread::Builder::new().name("pithead".to_owned()).spawn(run);
        thread.map_err(io_error("cannot start a thread"))?;
        let Listening { address, url, admin_key } =
            listening.await.map_err(|_| AppError::Gone)??;
        Ok(Self { address, url, admin_key, clock, stop, ended })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it is reached.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The admin key that a new data folder got, shown this once.
    #[must_use]
    pub fn admin_key(&self) -> Option<&str> {
        self.admin_key.as_deref()
    }

    /// Its clock.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Stops it and waits until everything is written.
    pub async fn stop(self) {
        if let Err(error) = self.finish().await {
            tracing::warn!(%error, "the server did not stop cleanly");
        }
    }

    /// Stops it; says how it ended.
    ///
    /// # Errors
    /// [`AppError`] with what went wrong on the way down.
    pub async fn finish(self) -> Result<(), AppError> {
        self.stop.send_replace(true);
        self.ended.await.map_err(|_| AppError::Gone)?
    }

    /// Waits until it ends by itself, or `signal` comes; then stops it.
    ///
    /// # Errors
    /// [`AppError`] when it ended since something died.
    pub async fn run_until(mut self, signal: impl Future<Output = ()>) -> Result<(), AppError> {
        tokio::select! {
            () = signal => self.finish().await,
            ended = &mut self.ended => ended.map_err(|_| AppError::Gone)?,
        }
    }
}

/// A server that listens but does not serve yet.
struct Built {
    address: SocketAddr,
    url: String,
    admin_key: Option<String>,
    listener: TcpListener,
    web: Data<Web>,
    actors: Actors,
    store: Arc<dyn Store>,
}

/// Opens everything, in order.
async fn build(config: Config, clock: Clock, store: Arc<dyn Store>) -> Result<Built, AppError> {
    let replays = auth::Replays::since(clock.now_nanos());
    let folder = config.data_dir.clone();
    let cannot_use = format!("cannot use the data folder `{}`", folder.display());
    std::fs::create_dir_all(&folder).map_err(io_error(cannot_use))?;
    let place = blob_place(&config);
    let blobs = Blobs::open(&folder.join("blobs"), &place).await;
    let blobs = blobs.map_err(io_error("cannot use the place of the files (`[blobs]`)"))?;
    let keypair = Keypair::load_or_create(&folder.join("server.key"))?;
    let mut keys = store.keys().await?;
    let admin_key = first_key(&*store, &mut keys, &clock, config.netuid).await?;
    note_config(&*store, &config, &clock).await?;
    let (config, kinds) = (Arc::new(config.clone()), Arc::new(config.kinds()));
    let deps = Deps::new(store.clone(), clock.clone(), config.clone(), kinds.clone());
    // Bound before actors start: those of a server that cannot listen would wake without a runtime.
    let listen = &config.server.listen;
    let listener = TcpListener::bind(listen)
        .map_err(io_error(format!("cannot listen on `{listen}` (is it taken?)")))?;
    let address = listener.local_addr().map_err(io_error("cannot read the address"))?;
    let url = config.server.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    deps.reached_at(url.trim_end_matches('/'));
    let actors = Actors::start(&deps, &blobs, rand::random()).await?;
    let web = Web {
        failures: auth::Failures::default(),
        roles: deps.roles(),
        overload: deps.overload.clone(),
        gate: intake::Gate::new(
            config.limits.in_flight,
            config.limits.parked,
            deps.overload.clone(),
        ),
        budgets: crate::http::budget::Budgets::new(
            config.limits.requests_per_minute,
            clock.clone(),
        ),
        quotas: crate::http::quota::Quotas::default(),
        trusted: Trusted::new(config.server.proxies()?),
        strangers: Strangers::new(config.limits.unproven_per_minute, clock.clone()),
        rates: crate::http::rates::Rates::new(config.limits.tasks_per_minute, clock.clone()),
        public_url: url.trim_end_matches('/').to_owned(),
        keys: auth::Keys::new(keys),
        replays,
        directory: deps.directory.clone(),
        distributor: actors.distributor.clone(),
        consensus: actors.consensus.clone(),
        stats: actors.stats.clone(),
        chain: actors.chain.clone(),
        wake: deps.wake.clone(),
        draining: Arc::new(AtomicBool::new(false)),
        stopping: watch::channel(false).0,
        answered: crate::http::answered::AnsweredTasks::default(),
        inputs: quick_cache::sync::Cache::new(crate::domain::limits::INPUTS_KEPT),
        left: crate::http::left::LeftToJudge::default(),
        started: Instant::now(),
        ready: Recent::new(clock.clone()),
        metrics: Recent::new(clock.clone()),
        documents: Documents::default(),
        store: store.clone(),
        config,
        kinds,
        clock,
        blobs,
        keypair,
    };
    let url = format!("http://{address}");
    Ok(Built { address, url, admin_key, listener, web: Data::new(web), actors, store })
}

/// Where the configuration wants files to be kept.
#[must_use]
pub fn blob_place(config: &Config) -> Place {
    let BlobsConfig { store, bucket, endpoint, region, prefix, allow_http } = config.blobs.clone();
    match store {
        BlobStore::Folder => Place::Folder,
        BlobStore::S3 => {
            let name = bucket.unwrap_or_default();
            Place::S3(Bucket { name, endpoint, region, prefix, allow_http })
        }
    }
}

/// Tells the audit log of a configuration that is not the one of the start before.
async fn note_config(store: &dyn Store, config: &Config, clock: &Clock) -> Result<(), AppError> {
    let (netuid, now) = (config.netuid, clock.now());
    let newest = AuditPage { netuid, action: "config.".to_owned(), before: None, limit: 1 };
    let last = store.audit(newest).await?.pop();
    if let Some(fact) = config.news(last.as_ref(), now) {
        store.note(Note { netuid, facts: vec![fact], now }).await?;
    }
    Ok(())
}

/// A data folder without any key gets one for its operator.
async fn first_key(
    store: &dyn Store,
    keys: &mut Vec<KeyRow>,
    clock: &Clock,
    netuid: u16,
) -> Result<Option<String>, AppError> {
    if !keys.is_empty() {
        return Ok(None);
    }
    let key = ApiKey::generate();
    let now = clock.now();
    let row = KeyRow {
        name: "first admin key".to_owned(),
        scopes: "admin".to_owned(),
        ..KeyRow::new(key.id(), key.hash(), now)
    };
    let by = By { netuid, actor: SYSTEM.to_owned(), now, nonce: None };
    store.put_key(PutKey { key: row.clone(), by }).await?;
    keys.push(row);
    Ok(Some(key.reveal()))
}

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4_096;
/// How long requests in flight may take once the server stops.
const DRAIN_SECS: u64 = 10;
/// How often the singletons are looked after, and connections whose time is over are cut.
const WATCH_EVERY: Duration = Duration::from_millis(500);

impl Built {
    /// Serves until told to stop, or until something without which it makes no sense died.
    async fn run_until(self, mut stopped: watch::Receiver<bool>) -> Result<(), AppError> {
        let Self { listener, web, actors, store, .. } = self;
        let workers = match web.config.server.workers {
            0 => thread::available_parallelism().map_or(2, usize::from),
            workers => workers,
        };
        let (shared, limits) = (web.clone(), &web.config.limits);
        let secs = |secs: NonZeroU32| Duration::from_secs(secs.get().into());
        let peers = Arc::new(Peers::new(limits, web.trusted.clone()));
        let all = peers.clone();
        let server = HttpServer::new(move || application(shared.clone()))
            .workers(workers)
            .backlog(BACKLOG)
            // The library counts them for each worker.
            .max_connections((limits.in_flight + limits.parked).div_ceil(workers))
            .client_request_timeout(secs(limits.headers_secs))
            .keep_alive(secs(limits.keep_alive_secs))
            .on_connect(move |connection, data| all.welcome(connection, data))
            .shutdown_timeout(DRAIN_SECS)
            .disable_signals()
            .listen(listener)
            .map_err(io_error("cannot listen"))?
            .run();
        let handle = server.handle();
        let serving = actix_rt::spawn(server);
        let outcome = loop {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => break Ok(()),
                () = tokio::time::sleep(WATCH_EVERY) => {
                    peers.cut_late();
                    if let Some(name) = actors.dead() {
                        tracing::error!(actor = name, "an actor died; the server ends");
                        break Err(AppError::ActorDied(name));
                    }
                }
            }
        };
        web.draining.store(true, Ordering::Relaxed);
        web.stopping.send_replace(true);
        handle.stop(outcome.is_ok()).await;
        serving.await.ok();
        actors.flush().await;
        store.close().await;
        outcome
    }
}

/// Opens the store of a data folder for the command line.
///
/// # Errors
/// [`AppError`], also when a server runs there.
pub async fn open_store(config: &Config, folder: &Path) -> Result<SqlStore, AppError> {
    let location = Location::parse(config.database.as_deref(), folder)?;
    Ok(SqlStore::open(location).await?)
}

/// Opens the store of a data folder to read only, beside a server that may run there.
///
/// # Errors
/// [`AppError`], also when there is no database.
pub async fn look_into(config: &Config, folder: &Path) -> Result<SqlStore, AppError> {
    let location = Location::parse(config.database.as_deref(), folder)?;
    match &location {
        Location::Sqlite(path) if !path.exists() => {
            Err(AppError::NoDatabase(path.display().to_string()))
        }
        Location::Sqlite(_) | Location::Postgres(_) => Ok(SqlStore::look(location).await?),
    }
}
