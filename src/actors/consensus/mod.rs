//! The ConsensusSupervisor: reports in, verdicts out. It owns the table of reports and the
//! Fleet. A report is durable before it counts; a burst of reports is
//! merged once.

mod observe;
mod quarantine;
mod registrations;
mod round;
mod row;
mod view;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::{Mutex, oneshot};

use super::Deps;
use super::distributor::{MinersChanged, ViewMiners};
use super::fleet::{self, Fleet};
use crate::domain::chain::Snapshot;
use crate::domain::consensus::{Applied, Changed, ReportTable, Standing};
use crate::domain::ids::{Hotkey, MinerUid, RegistrationId, ReportId, ValidatorId};
use crate::domain::limits;
use crate::domain::report::MinerStatus;
use crate::domain::units::{MINUTE, Millis, Score, Stake};
use crate::store::{Loaded, Nonce, StoreResult};

pub use observe::Observed;
pub(in crate::actors) use quarantine::listed;
pub use quarantine::{LetIn, ShutOut};
pub use registrations::FollowChain;
pub use view::{Explain, KnowValidator, Overview, VerdictOf, VerdictsOf, ViewConsensus};

use registrations::Tenants;
use row::{durable, restored, stored_report, unknown, update, validator_row};

/// See the module's docs.
pub struct ConsensusSupervisor {
    deps: Arc<Deps>,
    table: ReportTable,
    fleet: Fleet,
    validators: HashMap<Hotkey, ValidatorId>,
    recent: HashMap<Hotkey, Vec<Millis>>,
    /// Reports to be merged.
    waiting: Vec<Waiting>,
    /// Reports merged, to be answered.
    merged: Vec<Waiting>,
    merge_due: bool,
    /// Uids whose registration is being written.
    registering: HashSet<MinerUid>,
    tenants: Tenants,
    /// Held by whoever changes who is shut out.
    changing_quarantine: Arc<Mutex<()>>,
    /// Whoever waits until registrations are as the chain says.
    followers: Vec<oneshot::Sender<()>>,
    /// Whether one of them could not be written.
    behind: bool,
    swept_at: Millis,
    chronicle: round::Chronicle,
    /// Mean time from a report's receipt to its merge, of late.
    report_to_verdict: Duration,
}

struct Waiting {
    reply: oneshot::Sender<Merged>,
    applied: Applied,
    received: Instant,
}

/// Who reports.
#[derive(Debug, Clone)]
pub struct Reporter {
    /// Its hotkey.
    pub hotkey: Hotkey,
    /// Its uid.
    pub uid: u16,
    /// Its stake, where known.
    pub stake: Option<Stake>,
}

/// A validator's report.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<Reported>")]
pub struct TakeReport {
    /// Who.
    pub reporter: Reporter,
    /// The validator's label.
    pub epoch: i64,
    /// Its own count.
    pub sequence: Option<i64>,
    /// Whether missing miners mean nothing.
    pub partial: bool,
    /// Signed time in nanoseconds, else receipt.
    pub signed_order: i64,
    /// Of the body as received.
    pub body_hash: [u8; 32],
    /// The entries taken.
    pub statuses: Vec<MinerStatus>,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// Answer to [`TakeReport`].
#[derive(Debug)]
pub enum Reported {
    /// Durable; the merge follows.
    Taken(oneshot::Receiver<Merged>),
    /// Too many reports of this validator; again after so many milliseconds.
    TooMany(i64),
}

/// What a report changed.
#[derive(Debug)]
pub struct Merged {
    /// What became of its entries.
    pub applied: Applied,
    /// Miners whose verdict was computed anew.
    pub consensus_updated: usize,
}

#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Merge;

#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Tick;

/// How often the supervisor looks for dead actors, silent validators and the end of a round.
const TICK: Duration = Duration::from_secs(1);

impl ConsensusSupervisor {
    /// A supervisor as the rows say; miners are spawned and announced when it starts.
    #[must_use]
    pub fn new(deps: Arc<Deps>, loaded: Loaded, believed: Option<Arc<Snapshot>>) -> Self {
        let now = deps.clock.now();
        let mut table = ReportTable::new(deps.config.consensus.clone());
        for row in &loaded.validators {
            let (hotkey, uid) = (row.hotkey.clone(), Some(row.uid));
            table.set_standing(Standing { hotkey, uid, stake: None, reputation: Score::ONE });
        }
        observe::restored(&mut table, &deps, &loaded);
        let names: HashMap<_, _> =
            loaded.validators.iter().map(|row| (row.id, row.clone())).collect();
        table.restore_reputations(round::tracks(&loaded.validators));
        table.restore(restored(loaded.verdicts, &loaded.registrations, &loaded.replaced));
        for row in loaded.reports {
            let Some(validator) = names.get(&row.validator) else { continue };
            match stored_report(row, validator) {
                Ok(report) => drop(table.apply(now, report)),
                Err(error) => tracing::error!(%error, "a stored report cannot be read; skipped"),
            }
        }
        let quarantine = Arc::clone(deps.roles.borrow().quarantine());
        let mut tenants = Tenants::new(&deps.config, believed);
        tenants.shut_out(quarantine, now);
        tenants.tell(&mut table, None, now);
        let mut fleet = Fleet::new(deps.clone());
        let mut held: HashMap<RegistrationId, Vec<_>> = HashMap::new();
        for record in &loaded.tasks {
            for row in record.slots.iter().filter(|row| row.state.leased()) {
                if let Some(miner) = row.holder.and_then(|holder| holder.miner()) {
                    held.entry(miner).or_default().push(record.clone());
                }
            }
        }
        for row in loaded.registrations {
            let held = held.remove(&row.id).unwrap_or_default();
            deps.distributor().do_send(MinersChanged(vec![unknown(&row)]));
            fleet.spawn(row, &held);
        }
        Self {
            deps,
            table,
            fleet,
            validators: loaded.validators.into_iter().map(|row| (row.hotkey, row.id)).collect(),
            recent: HashMap::new(),
            waiting: Vec::new(),
            merged: Vec::new(),
            merge_due: false,
            registering: HashSet::new(),
            tenants,
            changing_quarantine: Arc::default(),
            followers: Vec::new(),
            behind: false,
            swept_at: now,
            chronicle: round::Chronicle::default(),
            report_to_verdict: Duration::ZERO,
        }
    }

    /// Whether this validator may report now, or in how many milliseconds.
    fn admit(&mut self, hotkey: &Hotkey, now: Millis) -> Result<(), i64> {
        let recent = self.recent.entry(hotkey.clone()).or_default();
        recent.retain(|at| now.since(*at) < MINUTE);
        if recent.len() >= self.deps.config.limits.reports_per_minute as usize {
            return Err(recent.first().map_or(MINUTE, |oldest| MINUTE - now.since(*oldest)));
        }
        recent.push(now);
        Ok(())
    }

    fn merge_soon(&mut self, ctx: &mut Context<Self>) {
        if !self.merge_due {
            self.merge_due = true;
            ctx.notify(Merge);
        }
    }

    /// Publishes changed verdicts and opens registrations for new hotkeys.
    fn publish(&mut self, changed: Vec<Changed>, ctx: &mut Context<Self>) {
        let (now, mut updates) = (self.deps.clock.now(), Vec::with_capacity(changed.len()));
        for (uid, verdict) in changed {
            let Some(verdict) = verdict else {
                let runs = self.fleet.row(uid).filter(|_| self.fleet.runs(uid));
                updates.extend(runs.map(unknown));
                continue;
            };
            let capacity = verdict.capacity.unwrap_or(limits::CAPACITY);
            let tenant = self.tenants.of(uid, verdict.hotkey.as_ref());
            let row = self.fleet.row(uid).filter(|_| self.fleet.runs(uid));
            let row = row.filter(|row| {
                tenant.is_none_or(|tenant| tenant.is(row)) && row.capacity == capacity
            });
            match row {
                Some(row) => {
                    let mut update = update(row, &verdict, self.table.report_period(uid));
                    update.serving &= !self.tenants.is_shut_out(&row.hotkey, now);
                    updates.push(update);
                }
                None => self.register(uid, ctx),
            }
        }
        if !updates.is_empty() {
            self.deps.distributor().do_send(MinersChanged(updates));
        }
    }

    /// Spawns successors for miner actors that died.
    fn respawn(&mut self, ctx: &mut Context<Self>) {
        for row in self.fleet.dead() {
            tracing::warn!(miner.uid = %row.uid, "a miner's actor died; starting its successor");
            metrics::counter!(crate::telemetry::ACTORS_RESPAWNED).increment(1);
            let read = fleet::held(self.deps.clone(), row.id);
            ctx.spawn(read.into_actor(self).map(move |held, act, _| match held {
                Ok(held) => act.fleet.spawn(row, &held),
                Err(error) => tracing::warn!(%error, "its leases cannot be read yet"),
            }));
        }
    }

    /// Lets miners rest that nobody mentioned for long, not even the chain, and that hold nothing.
    fn sweep(&mut self, now: Millis, ctx: &mut Context<Self>) {
        if now.since(self.swept_at) < limits::MINER_SWEEP_MILLIS {
            return;
        }
        self.swept_at = now;
        let view = self.deps.distributor().send(ViewMiners);
        ctx.spawn(view.into_actor(self).map(|cards, act, _| {
            for card in cards.iter().flat_map(|cards| cards.iter()) {
                let idle = !card.fresh && card.live == 0 && card.parked == 0;
                if idle && !act.tenants.is_on_chain(card.uid) {
                    tracing::info!(miner.uid = %card.uid, "a miner went silent and is retired");
                    act.fleet.rest(card.registration);
                }
            }
        }));
    }
}

impl Actor for ConsensusSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(limits::IN_FLIGHT_MAX);
        self.follow(ctx);
        self.merge_soon(ctx);
        ctx.run_interval(TICK, |_, ctx| ctx.notify(Tick));
    }
}

impl Handler<TakeReport> for ConsensusSupervisor {
    type Result = ResponseActFuture<Self, StoreResult<Reported>>;

    fn handle(&mut self, report: TakeReport, ctx: &mut Self::Context) -> Self::Result {
        let (now, received) = (self.deps.clock.now(), Instant::now());
        if let Err(wait) = self.admit(&report.reporter.hotkey, now) {
            return Box::pin(actix::fut::ready(Ok(Reported::TooMany(wait))));
        }
        self.close_round(now, ctx);
        let id = ReportId(uuid::Uuid::now_v7());
        let known = self.validators.get(&report.reporter.hotkey).copied();
        let (store, reporter) = (self.deps.store.clone(), report.reporter.clone());
        let written = async move {
            let validator = match known {
                Some(validator) => validator,
                None => store.know_validator(validator_row(&reporter, now)).await?,
            };
            let (row, report) = durable(id, validator, report, now);
            store.put_report(row).await.map(|()| (validator, report))
        };
        Box::pin(written.into_actor(self).map(move |outcome, act, ctx| {
            let (validator, (reporter, report)) = outcome?;
            if act.validators.insert(reporter.hotkey.clone(), validator).is_none()
                || known.is_none()
            {
                let Reporter { hotkey, uid, stake } = reporter;
                let stake = act.tenants.stake(&hotkey, act.deps.clock.now()).or(stake);
                let (uid, reputation) = (Some(uid), Score::ONE);
                act.table.set_standing(Standing { hotkey, uid, stake, reputation });
            }
            let now = act.deps.clock.now();
            act.close_round(now, ctx);
            let applied = act.table.apply(now, report);
            act.tell(now);
            metrics::counter!(crate::telemetry::REPORTS).increment(1);
            metrics::counter!(crate::telemetry::STATUSES).increment(applied.accepted as u64);
            let (reply, merged) = oneshot::channel();
            act.waiting.push(Waiting { reply, applied, received });
            act.merge_soon(ctx);
            Ok(Reported::Taken(merged))
        }))
    }
}

impl Handler<Merge> for ConsensusSupervisor {
    type Result = ();

    fn handle(&mut self, _: Merge, ctx: &mut Self::Context) {
        self.merge_due = false;
        let now = self.deps.clock.now();
        self.close_round(now, ctx);
        let changed = self.table.merge_dirty(now);
        self.publish(changed, ctx);
        self.merged.append(&mut self.waiting);
        self.answer();
    }
}

impl ConsensusSupervisor {
    /// Answers merged reports once the registrations that they led to are durable.
    fn answer(&mut self) {
        if !self.registering.is_empty() {
            return;
        }
        for follower in self.followers.drain(..) {
            follower.send(()).ok();
        }
        for waiting in self.merged.drain(..) {
            let took = waiting.received.elapsed();
            metrics::histogram!(crate::telemetry::REPORT_TO_VERDICT_SECONDS).record(took);
            self.report_to_verdict = match self.report_to_verdict {
                Duration::ZERO => took,
                mean => mean * 15 / 16 + took / 16,
            };
            let consensus_updated = waiting.applied.dirty.len();
            waiting.reply.send(Merged { applied: waiting.applied, consensus_updated }).ok();
        }
    }
}

impl Handler<Tick> for ConsensusSupervisor {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        let now = self.deps.clock.now();
        self.close_round(now, ctx);
        let changed = self.table.refresh(now);
        self.publish(changed, ctx);
        self.respawn(ctx);
        self.sweep(now, ctx);
        if self.behind {
            self.follow(ctx);
        }
        if self.tenants.frees(now) {
            self.follow_quarantine(Arc::clone(self.tenants.quarantine()), ctx);
        }
    }
}
