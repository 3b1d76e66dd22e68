//! The whole run: draw the fleet, report once, work, wait for the judges, stop, count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::identity::keypair::Keypair;
use crate::sim::call::Call;
use crate::sim::client::{Api, ApiError, Credential, Server};
use crate::sim::miner::Miner;
use crate::sim::report::{FleetReport, Published};
use crate::sim::roster::{Member, Roster};
use crate::sim::tally::{Progress, Tally};
use crate::sim::user::{Plan, User};
use crate::sim::validator::Validator;
use crate::sim::wire::Consensus;

/// Longest wait for evaluations after the last task is done.
const JUDGING_MAX: Duration = Duration::from_secs(8);
/// Longest wait for everybody to go home.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// What to simulate.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// Miners, uids from 0.
    pub miners: u16,
    /// Validators, uids after the miners'.
    pub validators: u16,
    /// How many of the validators lie.
    pub liars: u16,
    /// Clients.
    pub clients: u16,
    /// Tasks of all clients together.
    pub tasks: u32,
    /// Tasks that one client keeps open at a time.
    pub parallel: u16,
    /// Answers wanted per task; the server's default when absent.
    pub redundancy: Option<u16>,
    /// Seconds of audio in a transcription.
    pub audio_secs: u32,
    /// Mean time that a miner works on a task.
    pub service_millis: u64,
    /// Largest share of tasks that a miner gives back as failed, 0..=1.
    pub failure_rate_max: f64,
    /// Largest share of tasks that a miner takes and forgets, 0..=1. Each one costs its client the
    /// rest of the lease, so a run with crashes takes longer.
    pub crash_rate_max: f64,
    /// Time between two reports of a validator.
    pub report_every: Duration,
    /// The run stops then, finished or not.
    pub limit: Duration,
    /// Everything drawn at random comes from here.
    pub seed: u64,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            miners: 5,
            validators: 3,
            liars: 0,
            clients: 1,
            tasks: 12,
            parallel: 4,
            redundancy: None,
            audio_secs: 3,
            service_millis: 150,
            failure_rate_max: 0.05,
            crash_rate_max: 0.0,
            report_every: Duration::from_secs(2),
            limit: Duration::from_secs(60),
            seed: 7,
        }
    }
}

impl FleetConfig {
    /// Everybody that the server must know before the run starts.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        Roster::draw(self).members()
    }
}

/// Where the server is and how to be let in.
#[derive(Debug, Clone)]
pub struct Access {
    /// Such as `http://127.0.0.1:8080`.
    pub url: String,
    /// A key that may submit tasks.
    pub api_key: String,
    /// Whether miners and validators name themselves instead of signing (servers in `--dev`).
    pub unsigned: bool,
}

/// Runs the fleet against a server that knows its [`FleetConfig::members`]. Ends by itself, at the
/// latest some seconds after the limit.
///
/// # Errors
/// [`ApiError`] when no server answers; later failures are counted in the report.
pub async fn run(
    config: &FleetConfig,
    access: &Access,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<FleetReport, ApiError> {
    let fleet = Fleet {
        config,
        access,
        server: Server::connect(&access.url).await?,
        roster: Roster::draw(config),
        tally: Arc::new(Tally::new(progress)),
    };
    let (stop, stopped) = watch::channel(false);
    let mut crew = JoinSet::new();
    let validators = fleet.first_reports().await;
    fleet.start_miners(&mut crew, &stopped);
    for validator in validators {
        crew.spawn(validator.run(config.report_every, stopped.clone()));
    }

    let start = Instant::now();
    let finished = timeout(config.limit, fleet.run_users()).await.is_ok();
    let working = start.elapsed();
    if finished {
        fleet.await_judges().await;
    }
    let published = fleet.published().await;
    stop.send_replace(true);
    let all_left = async { while crew.join_next().await.is_some() {} };
    // Who is still in a call after that is dropped with `crew`.
    let _late = timeout(GOODBYE_MAX, all_left).await;
    Ok(FleetReport::new(&fleet.roster, &fleet.tally.counts(), &published, working, finished))
}

/// The parts of one run.
struct Fleet<'a> {
    config: &'a FleetConfig,
    access: &'a Access,
    server: Server,
    roster: Roster,
    tally: Arc<Tally>,
}

impl Fleet<'_> {
    fn caller(&self, keypair: &Arc<Keypair>) -> Api {
        self.server.caller(if self.access.unsigned {
            Credential::Dev(keypair.hotkey().clone())
        } else {
            Credential::Key(Arc::clone(keypair))
        })
    }

    /// Makes the validators and lets each report once, so that miners are known before work comes.
    async fn first_reports(&self) -> Vec<Validator> {
        let miners = self.roster.known_miners();
        let mut reporting = JoinSet::new();
        for (known, keypair) in &self.roster.validators {
            let (api, tally) = (self.caller(keypair), Arc::clone(&self.tally));
            let mut validator =
                Validator::new(api, known.clone(), Arc::clone(&miners), tally, self.config.seed);
            reporting.spawn(async move {
                validator.report().await;
                validator
            });
        }
        reporting.join_all().await
    }

    fn start_miners(&self, crew: &mut JoinSet<()>, stop: &watch::Receiver<bool>) {
        for (known, keypair) in &self.roster.miners {
            let (known, tally) = (Arc::clone(known), Arc::clone(&self.tally));
            let miner = Miner::new(self.caller(keypair), known, tally, self.config.seed);
            crew.spawn(miner.run(stop.clone()));
        }
    }

    async fn run_users(&self) {
        let config = self.config;
        let clients = config.clients.max(1);
        let mut users = JoinSet::new();
        for index in 0..clients {
            let (share, rest) =
                (config.tasks / u32::from(clients), config.tasks % u32::from(clients));
            let plan = Plan {
                index,
                tasks: share + u32::from(u32::from(index) < rest),
                parallel: config.parallel,
                audio_secs: config.audio_secs,
                redundancy: config.redundancy,
                deadline_secs: config.limit.as_secs().max(10),
                seed: config.seed,
            };
            let api = self.server.caller(Credential::ApiKey(self.access.api_key.as_str().into()));
            users.spawn(User::new(api, plan, Arc::clone(&self.tally)).run());
        }
        users.join_all().await;
    }

    async fn await_judges(&self) {
        let judged = async {
            while self.tally.awaiting_approval() > 0 {
                sleep(Duration::from_millis(50)).await;
            }
        };
        // A server that wants more evaluations than there are validators would keep us for ever.
        let _some_unjudged = timeout(JUDGING_MAX, judged).await;
    }

    /// What the server tells a validator about each miner at the end.
    async fn published(&self) -> Vec<Published> {
        let Some((_, keypair)) = self.roster.validators.first() else { return Vec::new() };
        let api = self.caller(keypair);
        let mut published = Vec::with_capacity(self.roster.miners.len());
        for (miner, _) in &self.roster.miners {
            let uid = miner.member.uid;
            let call = Call::get(format!("/api/v1/miners/{uid}/consensus"));
            match api.json::<Consensus>(&call).await {
                Ok(answer) => published
                    .push(Published { uid, score: answer.consensus_status.performance_score }),
                Err(error) => self.tally.error("validator", &error),
            }
        }
        published
    }
}
