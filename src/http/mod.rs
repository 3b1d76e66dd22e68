//! HTTP: the contract with clients, miners, validators and operators.
//!
//! A request passes, from the outside in: its connection's time, the gate (a permit, or 503), what
//! its address may still ask without a proof, the credentials, the caller's budget and its own share
//! of the gate, and then its route. Nothing is read from a body before the gate let it in, and no
//! handler runs for a caller that its signature does not name.

pub mod address;
pub mod answered;
pub mod auth;
pub mod budget;
mod csv;
mod download;
pub mod error;
mod fields;
mod filename;
pub mod intake;
pub mod left;
mod openai;
pub mod openapi;
mod pace;
pub mod peer;
pub mod quota;
pub mod rates;
pub mod recent;
mod room;
mod routes;
mod story;
pub mod strangers;
mod upload;
mod view;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use actix::Addr;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::Bytes;
use actix_web::{App, Error, web};
use quick_cache::sync::Cache;
use tokio::sync::watch;

use crate::actors::Overload;
use crate::actors::chain_sync::ChainSync;
use crate::actors::consensus::ConsensusSupervisor;
use crate::actors::directory::Directory;
use crate::actors::distributor::Distributor;
use crate::actors::stats::Stats;
use crate::config::Config;
use crate::domain::chain::Roles;
use crate::domain::ids::{FileId, Hotkey};
use crate::domain::kind::KindRegistry;
use crate::domain::limits;
use crate::domain::webhook::receiver;
use crate::identity::Keypair;
use crate::outside::{Blobs, Clock, Wake};
use crate::store::{FileRow, Nonce, Store, StoreResult};

/// Largest JSON or form body of a route that names no other.
pub(in crate::http) const BODY_MAX: usize = limits::BODY_BYTES_MAX + limits::RESPONSE_BYTES_MAX;

/// What handlers work with; one for all workers.
pub struct Web {
    /// How the operator wants it.
    pub config: Arc<Config>,
    /// Which kinds there are.
    pub kinds: Arc<KindRegistry>,
    /// What time it is.
    pub clock: Clock,
    /// What was.
    pub store: Arc<dyn Store>,
    /// Bytes of files.
    pub blobs: Blobs,
    /// Who the server is.
    pub keypair: Keypair,
    /// Where the outside reaches it.
    pub public_url: String,
    /// API keys.
    pub keys: auth::Keys,
    /// Nonces of late.
    pub replays: auth::Replays,
    /// Credentials that were refused of late.
    pub failures: auth::Failures,
    /// Who may speak as what.
    pub roles: watch::Receiver<Arc<Roles>>,
    /// When callers could not be served for reasons of ours.
    pub overload: Overload,
    /// Permits.
    pub gate: intake::Gate,
    /// Requests per minute of keys and hotkeys.
    pub budgets: budget::Budgets,
    /// Tasks per day of clients.
    pub quotas: quota::Quotas,
    /// Proxies whose word about addresses is believed.
    pub trusted: address::Trusted,
    /// What addresses asked without a proof.
    pub strangers: strangers::Strangers,
    /// Tasks per minute of clients.
    pub rates: rates::Rates,
    /// Miner actors.
    pub directory: Directory,
    /// Open tasks to leases.
    pub distributor: Addr<Distributor>,
    /// Reports to verdicts.
    pub consensus: Addr<ConsensusSupervisor>,
    /// Evaluations to scores.
    pub stats: Addr<Stats>,
    /// What the chain says.
    pub chain: Addr<ChainSync>,
    /// Who is to be woken by what.
    pub wake: Wake,
    /// Whether new tasks are refused.
    pub draining: Arc<AtomicBool>,
    /// Whether the server goes down, so that streams end.
    pub stopping: watch::Sender<bool>,
    /// Who answered what of tasks that are judged.
    pub answered: answered::AnsweredTasks,
    /// What is left for whom to judge.
    pub left: left::LeftToJudge,
    /// Since when it runs.
    pub started: Instant,
    /// Rows of files that came with tasks of late: their miners ask at once.
    pub inputs: Cache<FileId, Arc<FileRow>>,
    /// Whether the database answered, of late.
    pub ready: recent::Recent<StoreResult<()>>,
    /// The metrics, of late.
    pub metrics: recent::Recent<Option<Bytes>>,
    /// The contract, as it is shown.
    pub documents: openapi::Documents,
}

impl Web {
    /// The server's hotkey: the receiver of signed requests.
    #[must_use]
    pub fn hotkey(&self) -> &Hotkey {
        self.keypair.hotkey()
    }

    /// Uses up the nonce of a signed request whose effect is more or less than one command of the
    /// store, before it: here or at another instance, a replay gets no further.
    ///
    /// # Errors
    /// 401 for a replay, 503 when the database refuses.
    async fn spend(&self, nonce: Option<Nonce>) -> error::ApiResult<()> {
        match nonce {
            Some(nonce) => Ok(self.store.spend(nonce).await?),
            None => Ok(()),
        }
    }

    /// Whether a file stays long enough for a new task, which keeps it once it is taken in.
    ///
    /// # Errors
    /// 409 when it may be forgotten first.
    fn lasts(&self, file: &FileRow) -> Result<(), error::ApiError> {
        let by_age = || file.created_at.plus(self.config.retention.files_millis(None));
        let until = file.expires_at.unwrap_or_else(by_age);
        match until.since(self.clock.now()) > limits::FILE_GRACE_MILLIS {
            true => Ok(()),
            false => Err(error::ApiError::gone("the file")),
        }
    }

    /// Whether something may be told to this URL.
    ///
    /// # Errors
    /// What is wrong with it, to be said after its field's name.
    pub fn may_tell(&self, url: &str) -> Result<(), String> {
        receiver(url, self.config.webhooks.private_addresses).map(|_| ())
    }
}

/// Builds the application of one worker.
pub fn application(
    web: web::Data<Web>,
) -> App<
    impl actix_web::dev::ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(web)
        .app_data(web::QueryConfig::default().error_handler(error::bad_query))
        .app_data(web::PathConfig::default().error_handler(error::bad_path))
        .configure(routes::table)
        .default_service(web::to(routes::no_such_route))
        // The last one wrapped is the outermost.
        .wrap(from_fn(intake::take_share))
        .wrap(from_fn(budget::charge))
        .wrap(from_fn(auth::identify))
        .wrap(from_fn(auth::watch))
        .wrap(from_fn(strangers::watch))
        .wrap(from_fn(intake::take_permit))
        .wrap(from_fn(openai::speak_openai))
        .wrap(from_fn(budget::tell))
        .wrap(from_fn(measure))
        .wrap(from_fn(peer::watch))
}

/// Middleware: counts and times requests by class of status.
async fn measure(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let began = Instant::now();
    let answer = next.call(request).await;
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let class = match status.as_u16() {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    metrics::counter!(crate::telemetry::HTTP_REQUESTS, "class" => class).increment(1);
    metrics::histogram!(crate::telemetry::HTTP_SECONDS).record(began.elapsed());
    answer
}
