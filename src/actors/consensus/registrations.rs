//! Who has which uid: as the chain says, once a snapshot of it is believed; until then as configured,
//! else as the reports agree. Registrations follow; what a restart finds differing is put right.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::{ConsensusSupervisor, TICK};
use crate::actors::Deps;
use crate::actors::distributor::LeaseLost;
use crate::actors::fleet;
use crate::config::{Config, Role};
use crate::domain::chain::{Change, Known, Quarantine, Roles, Snapshot, changes};
use crate::domain::consensus::{ChainFacts, Changed, ReportTable, Standing};
use crate::domain::ids::{Hotkey, MinerUid, RegistrationId};
use crate::domain::limits;
use crate::domain::units::{Millis, Score, Stake};
use crate::store::{
    Deregister, Register, Registered, RegistrationRow, StoreError, StoreResult, TaskRecord,
};

/// What is known of who has which uid, besides the reports.
pub(super) struct Tenants {
    snapshot: Option<Arc<Snapshot>>,
    /// Hotkeys that it lists.
    listed: HashSet<Hotkey>,
    /// Hotkeys of configured miners, which no report can change.
    facts: HashMap<MinerUid, Hotkey>,
    fact_hotkeys: HashSet<Hotkey>,
    /// Who counts as a validator, with what stake, and who is shut out.
    roles: Roles,
    /// When the next of those is free.
    next_free: Option<Millis>,
}

/// Who has a uid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tenant<'a> {
    hotkey: &'a Hotkey,
    /// Since which block; 0 when not known.
    block: i64,
    coldkey: Option<&'a Hotkey>,
}

impl Tenant<'_> {
    /// Whether this row says so.
    pub(super) fn is(&self, row: &RegistrationRow) -> bool {
        let same_block = self.block == 0 || self.block == row.registered_block;
        let same_owner = self.coldkey.is_none() || self.coldkey == row.coldkey.as_ref();
        *self.hotkey == row.hotkey && same_block && same_owner
    }
}

impl Tenants {
    pub(super) fn new(config: &Config, believed: Option<Arc<Snapshot>>) -> Self {
        let roles = config.roles();
        let miners = roles.all_configured().filter(|(_, role, _)| *role == Role::Miner);
        let facts = miners.map(|(hotkey, _, place)| (MinerUid(place.uid), hotkey.clone()));
        let facts: HashMap<_, _> = facts.collect();
        let fact_hotkeys = facts.values().cloned().collect();
        let mut tenants = Self {
            snapshot: None,
            listed: HashSet::new(),
            facts,
            fact_hotkeys,
            roles,
            next_free: None,
        };
        if let Some(snapshot) = believed {
            tenants.believe(snapshot);
        }
        tenants
    }

    fn believe(&mut self, snapshot: Arc<Snapshot>) {
        // Since when it is believed decides who may speak, not what was said.
        self.roles = self.roles.believing(&snapshot, Millis(0));
        let neurons = snapshot.neurons.values();
        self.listed = neurons.map(|neuron| neuron.hotkey.clone()).collect();
        self.snapshot = Some(snapshot);
    }

    /// Who has a uid. A configured hotkey stands at its own uid only, and only where the chain does not
    /// say otherwise; what is agreed counts while the chain is not known.
    pub(super) fn of<'a>(
        &'a self,
        uid: MinerUid,
        agreed: Option<&'a Hotkey>,
    ) -> Option<Tenant<'a>> {
        let neuron = self.snapshot.as_ref().and_then(|snapshot| snapshot.neurons.get(&uid));
        if let Some(neuron) = neuron {
            let (hotkey, block) = (&neuron.hotkey, neuron.block_at_registration);
            return Some(Tenant { hotkey, block, coldkey: neuron.coldkey.as_ref() });
        }
        let fact = self.facts.get(&uid).filter(|hotkey| !self.listed.contains(*hotkey));
        let agreed =
            agreed.filter(|hotkey| self.snapshot.is_none() && !self.fact_hotkeys.contains(*hotkey));
        fact.or(agreed).map(|hotkey| Tenant { hotkey, block: 0, coldkey: None })
    }

    /// Whether the chain lists a uid.
    pub(super) fn is_on_chain(&self, uid: MinerUid) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.neurons.contains_key(&uid))
    }

    /// Whether somebody who may set weights has the uid: it gets no registration by the chain alone.
    fn is_validator(&self, uid: MinerUid) -> bool {
        let neuron = self.snapshot.as_ref().and_then(|snapshot| snapshot.neurons.get(&uid));
        let named = |hotkey| self.roles.configured(hotkey) == Some(Role::Validator);
        neuron.is_some_and(|n| n.validator_permit || named(&n.hotkey))
    }

    /// The stake with which a validator counts, where that is known.
    pub(super) fn stake(&self, hotkey: &Hotkey, now: Millis) -> Option<Stake> {
        self.roles.stake(hotkey, now)
    }

    /// Takes over who is shut out, as of now.
    pub(super) fn shut_out(&mut self, quarantine: Arc<Quarantine>, now: Millis) {
        self.next_free = quarantine.values().flatten().copied().filter(|until| *until > now).min();
        self.roles = self.roles.shutting_out(quarantine);
    }

    /// Who is shut out; the time of some may be over.
    pub(super) const fn quarantine(&self) -> &Arc<Quarantine> {
        self.roles.quarantine()
    }

    /// Whether it is shut out now.
    pub(super) fn is_shut_out(&self, hotkey: &Hotkey, now: Millis) -> bool {
        self.roles.let_in(hotkey, now).is_err()
    }

    /// Whether the time of somebody ended since they were taken over.
    pub(super) fn frees(&self, now: Millis) -> bool {
        self.next_free.is_some_and(|until| now >= until)
    }

    /// Tells the table what is not put to the vote; `before` was told last.
    pub(super) fn tell(&self, table: &mut ReportTable, before: Option<&Snapshot>, now: Millis) {
        let known: Vec<_> = table.validators().map(|known| (known.hotkey, known.uid)).collect();
        let named = self.roles.all_configured().filter(|(_, role, _)| *role == Role::Validator);
        let named = named.map(|(hotkey, _, place)| (hotkey.clone(), Some(place.uid)));
        for (hotkey, uid) in known.into_iter().chain(named) {
            let (stake, uid) = (self.stake(&hotkey, now), self.roles.uid(&hotkey).or(uid));
            table.set_standing(Standing { hotkey, uid, stake, reputation: Score::ONE });
        }
        for uid in before.iter().flat_map(|before| before.neurons.keys()) {
            if !self.is_on_chain(*uid) {
                table.set_chain(*uid, None);
            }
        }
        let neurons = self.snapshot.iter().flat_map(|snapshot| &snapshot.neurons);
        for (uid, neuron) in neurons {
            let (hotkey, stake) = (neuron.hotkey.clone(), neuron.stake);
            table.set_chain(*uid, Some(ChainFacts { hotkey, stake, ip: None, port: None }));
        }
    }
}

/// Has the registrations follow a snapshot that is believed; answered when they do.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FollowChain(pub Arc<Snapshot>);

impl Handler<FollowChain> for ConsensusSupervisor {
    type Result = ResponseFuture<()>;

    fn handle(
        &mut self,
        FollowChain(snapshot): FollowChain,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        let before = self.tenants.snapshot.clone();
        if before.as_ref().is_some_and(|before| before.block >= snapshot.block) {
            return Box::pin(std::future::ready(()));
        }
        self.tenants.believe(snapshot);
        self.tenants.tell(&mut self.table, before.as_deref(), self.deps.clock.now());
        self.follow(ctx);
        self.merge_soon(ctx);
        if self.registering.is_empty() {
            return Box::pin(std::future::ready(()));
        }
        let (followed, follows) = oneshot::channel();
        self.followers.push(followed);
        Box::pin(async move { drop(follows.await) })
    }
}

impl ConsensusSupervisor {
    /// Brings the registrations to what the chain says. A configured miner that it does not list stays.
    pub(super) fn follow(&mut self, ctx: &mut Context<Self>) {
        self.behind = false;
        let Some(snapshot) = self.tenants.snapshot.clone() else { return };
        let known = |row: &RegistrationRow| Known {
            registration: row.id,
            uid: row.uid,
            hotkey: row.hotkey.clone(),
            registered_block: row.registered_block,
        };
        let open: Vec<_> = self.fleet.rows().map(known).collect();
        // Whoever went silent before the chain was known is there all the same.
        let listed = |uid: &MinerUid| self.tenants.is_on_chain(*uid) && !self.fleet.runs(*uid);
        let resting: Vec<_> = open.iter().map(|known| known.uid).filter(listed).collect();
        for (uid, change) in changes(&open, &snapshot) {
            match change {
                Change::Opened if self.tenants.is_validator(uid) => {}
                Change::Replaced if self.tenants.is_validator(uid) => {
                    if let Some(old) = self.fleet.row(uid).map(|row| row.id) {
                        self.deregister(uid, old, ctx);
                    }
                }
                Change::Opened | Change::Confirmed(_) | Change::Renamed(_) | Change::Replaced => {
                    self.register(uid, ctx);
                }
                Change::Gone(_) if self.tenants.of(uid, None).is_some() => {}
                Change::Gone(registration) => self.deregister(uid, registration, ctx),
            }
        }
        for uid in resting {
            self.register(uid, ctx);
        }
    }

    /// Has the registration of a uid written as it should be.
    pub(super) fn register(&mut self, uid: MinerUid, ctx: &mut Context<Self>) {
        let verdict = self.table.verdict(uid);
        let known = self.fleet.row(uid);
        let tenant = self.tenants.of(uid, verdict.and_then(|verdict| verdict.hotkey.as_ref()));
        let tenant = tenant.or(known.map(|row| Tenant {
            hotkey: &row.hotkey,
            block: row.registered_block,
            coldkey: row.coldkey.as_ref(),
        }));
        let Some(Tenant { hotkey, block, coldkey }) = tenant else { return };
        let capacity = match verdict {
            Some(verdict) => verdict.capacity,
            None => known.map(|row| row.capacity),
        };
        let command = Register {
            id: RegistrationId(uuid::Uuid::now_v7()),
            netuid: self.deps.config.netuid,
            uid,
            hotkey: hotkey.clone(),
            registered_block: block,
            coldkey: coldkey.cloned(),
            capacity: capacity.unwrap_or(limits::CAPACITY),
            policy: self.deps.config.lease,
            now: self.deps.clock.now(),
        };
        if !self.registering.insert(uid) {
            // What is being written may be older than this.
            self.behind = true;
            return;
        }
        let written = write(self.deps.clone(), command);
        ctx.spawn(written.into_actor(self).map(move |outcome, act, ctx| {
            act.registering.remove(&uid);
            match outcome {
                Ok((registered, held)) => {
                    let changed = act.registered(registered, &held);
                    act.publish(changed, ctx);
                    act.publish_again(uid, ctx);
                }
                Err(error) => {
                    tracing::warn!(miner.uid = %uid, %error, "a registration was not written");
                    act.behind = true;
                    ctx.run_later(TICK, move |act, ctx| act.publish_again(uid, ctx));
                }
            }
            act.answer();
        }));
    }

    fn registered(&mut self, mut registered: Registered, held: &[TaskRecord]) -> Vec<Changed> {
        if let Some(known) = self.fleet.row(registered.row.uid) {
            // Ended by a write of which we never heard that it was done.
            let (old, new) = (known.id, registered.row.id);
            if old != new && !registered.closed.contains(&old) {
                registered.closed.push(old);
            }
            let renamed = old == new && known.hotkey != registered.row.hotkey;
            if renamed {
                happened("registration.renamed", 1);
            }
        }
        happened("registration.replaced", registered.closed.len());
        let changed = self.hand_over(&registered);
        let Registered { row, closed, lost } = registered;
        for id in closed {
            self.fleet.retire(id);
        }
        for lost in lost {
            self.deps.distributor().do_send(LeaseLost(lost));
        }
        if self.fleet.runs(row.uid) {
            self.fleet.update(row);
        } else {
            tracing::info!(miner.uid = %row.uid, miner.hotkey = %row.hotkey, "a miner is here");
            self.fleet.spawn(row, held);
        }
        changed
    }

    /// Closes the registration of a uid that nobody has any more.
    fn deregister(&mut self, uid: MinerUid, id: RegistrationId, ctx: &mut Context<Self>) {
        if !self.registering.insert(uid) {
            self.behind = true;
            return;
        }
        let (policy, now) = (self.deps.config.lease, self.deps.clock.now());
        let store = self.deps.store.clone();
        let written = async move { store.deregister(Deregister { id, policy, now }).await };
        ctx.spawn(written.into_actor(self).map(move |outcome, act, ctx| {
            act.registering.remove(&uid);
            match outcome {
                Ok(lost) => {
                    tracing::info!(miner.uid = %uid, "a miner left the subnet");
                    happened("registration.closed", 1);
                    act.fleet.retire(id);
                    for lost in lost.into_iter().flatten() {
                        act.deps.distributor().do_send(LeaseLost(lost));
                    }
                    act.table.ignore_before(uid, now, None);
                    act.merge_soon(ctx);
                }
                Err(error) => {
                    tracing::warn!(miner.uid = %uid, %error, "a registration was not closed");
                    act.behind = true;
                }
            }
            act.answer();
        }));
    }

    /// Forgets what was said about whoever had the uid before. Merges at once: nobody is to find
    /// the newcomer without a verdict.
    fn hand_over(&mut self, registered: &Registered) -> Vec<Changed> {
        let to = &registered.row;
        // The chain may have had nobody there for a while: whoever was there before is forgotten too.
        let is_new = self.tenants.is_on_chain(to.uid) && self.fleet.row(to.uid).is_none();
        if registered.closed.is_empty() && !is_new {
            return Vec::new();
        }
        self.table.ignore_before(to.uid, to.opened_at, Some(to.hotkey.clone()));
        self.table.merge_dirty(self.deps.clock.now())
    }

    pub(super) fn publish_again(&mut self, uid: MinerUid, ctx: &mut Context<Self>) {
        let verdict = self.table.verdict(uid).cloned();
        self.publish(vec![(uid, verdict)], ctx);
    }
}

/// For the graphs of operators; the audit log has it already.
fn happened(event: &'static str, times: usize) {
    if times > 0 {
        metrics::counter!(crate::telemetry::LEDGER_EVENTS, "event" => event)
            .increment(times as u64);
    }
}

/// What is open then, and what it holds; one that was opened just now holds nothing.
async fn write(deps: Arc<Deps>, command: Register) -> StoreResult<(Registered, Vec<TaskRecord>)> {
    let now = command.now;
    let registered = deps.store.register(command).await?;
    let held = match registered.row.opened_at == now {
        true => Vec::new(),
        false => fleet::held(deps, registered.row.id).await?,
    };
    Ok::<_, StoreError>((registered, held))
}
