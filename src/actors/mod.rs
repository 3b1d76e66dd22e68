//! Who and when: the actors. They hold caches of rows, take `now` from the clock, ask the domain what
//! to do, have the store write it, and only then apply it and answer.
//!
//! ```text
//! ConsensusSupervisor ── owns ──▶ Fleet ── spawns ──▶ Miner (one per registration)
//!        │ verdicts                                     ▲  │ answered, lost, polling
//!        ▼                                      leases  │  ▼
//!     Distributor ──────────────────────────────────────┘ (open tasks, roster, queue)
//!        ▲ ended        ▲ scored
//!     Janitor         Stats              Courier (what the outbox holds, to clients)
//!                                        ChainSync (what the chain says)
//! ```
//! They start in this order: Distributor, ConsensusSupervisor (which spawns miners), Stats, Janitor,
//! Courier, ChainSync; and stop in the reverse one. A dead miner is re-spawned from its rows. A dead singleton ends the
//! process, since its part would silently be missing.

pub mod audit;
pub mod chain_sync;
pub mod consensus;
pub mod courier;
pub mod directory;
pub mod distributor;
mod fleet;
pub mod janitor;
pub mod lease;
pub mod miner;
pub mod stats;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use actix::prelude::*;
use tokio::sync::watch;

use crate::config::Config;
use crate::domain::chain::{Quarantine, Roles};
use crate::domain::ids::TaskId;
use crate::domain::kind::KindRegistry;
use crate::domain::units::{HOUR, Millis};
use crate::outside::{Blobs, Clock, Wake};
use crate::store::{Loaded, SnapshotRow, Store, StoreResult};
use chain_sync::ChainSync;
use consensus::ConsensusSupervisor;
use courier::Courier;
use directory::Directory;
use distributor::{Distributor, Flush};
use janitor::Janitor;
use stats::Stats;

/// What every actor works with.
pub struct Deps {
    /// What was.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Clock,
    /// How the operator wants it.
    pub config: Arc<Config>,
    /// Which kinds there are.
    pub kinds: Arc<KindRegistry>,
    /// Who is reachable.
    pub directory: Directory,
    /// When this server itself was too busy to listen.
    pub overload: Overload,
    /// Who is to be woken by what.
    pub wake: Wake,
    roles: watch::Sender<Arc<Roles>>,
    public_url: OnceLock<String>,
    distributor: OnceLock<Addr<Distributor>>,
    consensus: OnceLock<Addr<ConsensusSupervisor>>,
}

impl Deps {
    /// Everything but the Distributor, which is known once it runs.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        config: Arc<Config>,
        kinds: Arc<KindRegistry>,
    ) -> Arc<Self> {
        let (directory, overload) = (Directory::default(), Overload::default());
        let roles = Arc::new(config.roles());
        Arc::new(Self {
            store,
            clock,
            config,
            kinds,
            directory,
            overload,
            wake: Wake::default(),
            roles: watch::Sender::new(roles),
            public_url: OnceLock::new(),
            distributor: OnceLock::new(),
            consensus: OnceLock::new(),
        })
    }

    /// Who may speak as what, now and as it changes.
    #[must_use]
    pub fn roles(&self) -> watch::Receiver<Arc<Roles>> {
        self.roles.subscribe()
    }

    /// A snapshot is believed: who may speak as what changes with the next request.
    fn believe(&self, row: &SnapshotRow) {
        self.roles.send_modify(|roles| {
            *roles = Arc::new(roles.believing(&row.snapshot, row.adopted_at));
        });
    }

    /// These are shut out, and nobody else: with the next request.
    fn shut_out(&self, quarantine: Arc<Quarantine>) {
        self.roles.send_modify(|roles| *roles = Arc::new(roles.shutting_out(quarantine)));
    }

    /// Says where the outside reaches this server, without a slash at the end.
    pub fn reached_at(&self, url: &str) {
        self.public_url.get_or_init(|| url.to_owned());
    }

    /// What links begin with; nothing, so that they are relative, while that was not said.
    fn public_url(&self) -> &str {
        self.public_url.get().map_or("", String::as_str)
    }

    /// A task's rows changed: wakes who follows it, and who delivers what was written for it.
    fn changed(&self, task: TaskId) {
        self.wake.task(task);
        self.wake.outbox(self.store.deliveries_written());
    }

    /// The ConsensusSupervisor, once it runs.
    fn consensus(&self) -> Option<&Addr<ConsensusSupervisor>> {
        self.consensus.get()
    }

    /// The Distributor, which starts before all others.
    ///
    /// # Panics
    /// When called before the actors were started.
    fn distributor(&self) -> &Addr<Distributor> {
        #[expect(clippy::expect_used, reason = "start order, fixed in `Actors::start`")]
        self.distributor.get().expect("the Distributor starts first")
    }
}

/// The last time that a request was refused since too many were in flight. A miner that was silent
/// then may have been refused, and is not to blame.
#[derive(Debug, Clone, Default)]
pub struct Overload(Arc<AtomicI64>);

impl Overload {
    /// A request was refused.
    pub fn note(&self, now: Millis) {
        self.0.fetch_max(now.0, Ordering::Relaxed);
    }

    /// Whether any was refused at this moment or later.
    #[must_use]
    pub fn since(&self, moment: Millis) -> bool {
        self.0.load(Ordering::Relaxed) >= moment.0
    }
}

/// The addresses of the singletons.
pub struct Actors {
    /// Open tasks to leases.
    pub distributor: Addr<Distributor>,
    /// Reports to verdicts.
    pub consensus: Addr<ConsensusSupervisor>,
    /// Evaluations to scores.
    pub stats: Addr<Stats>,
    /// Overdue things.
    pub janitor: Addr<Janitor>,
    /// What clients are told.
    pub courier: Addr<Courier>,
    /// What the chain says.
    pub chain: Addr<ChainSync>,
}

/// For how long back reports are read at start: validators older than this are silent anyway.
pub const REPORTS_BACK_MILLIS: i64 = 3 * HOUR;

impl Actors {
    /// Starts all actors on the current arbiter from what the store holds.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(deps: &Arc<Deps>, blobs: &Blobs, seed: u64) -> StoreResult<Self> {
        let since = deps.clock.now().plus(-REPORTS_BACK_MILLIS);
        let loaded: Loaded = deps.store.load(since).await?;
        let (tasks, records) = (loaded.tasks.clone(), &loaded.kind_records);
        let distributor = Distributor::new(deps.clone(), tasks, records, seed).start();
        let distributor = deps.distributor.get_or_init(|| distributor).clone();
        let believed = match deps.config.weights.enable_chain_integration {
            true => deps.store.metagraph(deps.config.netuid).await?,
            false => None,
        };
        believed.iter().for_each(|row| deps.believe(row));
        deps.shut_out(consensus::listed(deps.store.quarantine().await?));
        let snapshot = believed.as_ref().map(|row| row.snapshot.clone());
        let consensus = ConsensusSupervisor::new(deps.clone(), loaded, snapshot).start();
        let consensus = deps.consensus.get_or_init(|| consensus).clone();
        let stats = Stats::new(deps.clone()).start();
        let janitor = Janitor::new(deps.clone(), blobs.clone()).start();
        let courier = Courier::new(deps.clone()).start();
        let chain = ChainSync::new(deps.clone(), believed).start();
        Ok(Self { distributor, consensus, stats, janitor, courier, chain })
    }

    /// Has what is only in memory written, before a stop.
    pub async fn flush(&self) {
        match self.distributor.send(Flush).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "miners' records were not written"),
            Err(error) => tracing::warn!(%error, "the Distributor does not answer"),
        }
    }

    /// The name of a singleton that is dead, if one is.
    #[must_use]
    pub fn dead(&self) -> Option<&'static str> {
        let alive = [
            ("Distributor", self.distributor.connected()),
            ("ConsensusSupervisor", self.consensus.connected()),
            ("Stats", self.stats.connected()),
            ("Janitor", self.janitor.connected()),
            ("Courier", self.courier.connected()),
            ("ChainSync", self.chain.connected()),
        ];
        alive.into_iter().find(|(_, alive)| !alive).map(|(name, _)| name)
    }
}
