//! Leases that end without an answer, and tasks that end: release, cancel, sweep, and the closing of
//! a registration.

use std::collections::{BTreeMap, BTreeSet};

use super::lease::{live_lease, slot_of};
use super::{Registration, Tables};
use crate::domain::ids::{LeaseToken, RegistrationId, TaskId};
use crate::domain::lease::{AfterLoss, LeasePolicy, LossReason};
use crate::domain::miner::Record;
use crate::domain::task::{self, SlotState, Tally, TaskState};
use crate::domain::units::Millis;
use crate::domain::webhook::EventType;
use crate::store::*;

impl Tables {
    /// Gives a live lease back.
    pub(super) fn release(&mut self, command: &Release) -> Released {
        if live_lease(&mut self.tasks, command.token, command.holder).is_none() {
            return Released::Lost;
        }
        let mut lost = self.lose(&[(command.token, command.reason)], command.policy, command.now);
        lost.pop().map_or(Released::Lost, Released::Done)
    }

    /// An open task of that owner ends; cancelling it again says the same.
    pub(super) fn cancel(&mut self, command: &Cancel) -> Cancelled {
        let own = self.tasks.get(&command.task).filter(|t| t.task.owner == command.owner);
        match own {
            None => Cancelled::NotFound,
            Some(task) if task.state == TaskState::Open => {
                Cancelled::Done(self.end(command.task, TaskState::Cancelled, command.now))
            }
            Some(task) if task.state == TaskState::Cancelled => Cancelled::Done(standing(task)),
            Some(task) => Cancelled::Ended(task.state),
        }
    }

    /// First the leases that are due, earliest first, then the tasks.
    pub(super) fn sweep(&mut self, command: &Sweep) -> Swept {
        let Sweep { now, policy, rows_max } = *command;
        let rows_max = usize::try_from(rows_max).unwrap_or(usize::MAX);
        let mut due: Vec<_> = self
            .leases()
            .filter_map(|(token, slot)| Some((slot.expires_at?, token, slot.state)))
            .filter(|&(expires_at, ..)| expires_at <= now)
            .collect();
        due.sort_unstable();
        due.truncate(rows_max);
        let reason = |state| match state {
            SlotState::Offered => LossReason::OfferExpired,
            _ => LossReason::RunExpired,
        };
        let due: Vec<_> = due.into_iter().map(|(_, token, state)| (token, reason(state))).collect();
        let mut lost = self.lose(&due, policy, now);
        lost.sort_by_key(|lost| lost.token);

        let late = self.tasks.values().filter(|t| t.state == TaskState::Open);
        let mut late: Vec<_> = late
            .filter(|t| t.task.deadline <= now)
            .map(|t| {
                let state = task::settle_late(t.answered, t.task.min_responses);
                (t.task.deadline, t.task.id, state)
            })
            .collect();
        late.sort_unstable();
        late.truncate(rows_max);
        let ended = |(_, task, state)| Overdue { task, standing: self.end(task, state, now) };
        let mut overdue: Vec<_> = late.into_iter().map(ended).collect();
        overdue.sort_by_key(|overdue| overdue.task);
        Swept { lost, overdue }
    }

    /// The uid's open registration is brought up to date when it is the same miner's; else it closes
    /// and the new one opens, or an old one of the same identity opens again with its record.
    pub(super) fn register(&mut self, command: Register) -> Registered {
        let at_uid =
            |known: &&Registration| known.netuid == command.netuid && known.row.uid == command.uid;
        let at_uid = || self.registrations.values().filter(at_uid).map(|known| &known.row);
        let Some(open) = at_uid().find(|row| row.closed_at.is_none()).cloned() else {
            return Registered { row: self.open(command), closed: Vec::new(), lost: Vec::new() };
        };
        let block = registration::same(open.hotkey.as_str(), open.registered_block, &command);
        let block = block.filter(|block| {
            let mut others = at_uid().filter(|row| row.id != open.id);
            !others.any(|row| (&row.hotkey, row.registered_block) == (&command.hotkey, *block))
        });
        let (netuid, now) = (command.netuid, command.now);
        let Some(block) = block else {
            let lost = self.close(open.id, command.policy, now);
            let row = self.open(command);
            self.append(netuid, &[registration::ended(whose(&open), Some(&row))], now);
            return Registered { row, closed: vec![open.id], lost };
        };
        if open.hotkey != command.hotkey {
            self.append(netuid, &[registration::renamed(whose(&open), &command.hotkey)], now);
        }
        let row = RegistrationRow {
            registered_block: block,
            capacity: command.capacity,
            coldkey: command.coldkey.or_else(|| open.coldkey.clone()),
            hotkey: command.hotkey,
            ..open
        };
        self.registrations.insert(row.id, Registration { netuid, row: row.clone() });
        Registered { row, closed: Vec::new(), lost: Vec::new() }
    }

    /// An open registration closes.
    pub(super) fn deregister(&mut self, command: Deregister) -> Option<Vec<Lost>> {
        let Deregister { id, policy, now } = command;
        let open = self.registrations.get(&id).filter(|known| known.row.closed_at.is_none())?;
        let (netuid, fact) = (open.netuid, registration::ended(whose(&open.row), None));
        let lost = self.close(id, policy, now);
        self.append(netuid, &[fact], now);
        Some(lost)
    }

    fn close(&mut self, id: RegistrationId, policy: LeasePolicy, now: Millis) -> Vec<Lost> {
        if let Some(known) = self.registrations.get_mut(&id) {
            known.row.closed_at = Some(now);
        }
        self.lose_all(id, policy, now)
    }

    fn open(&mut self, command: Register) -> RegistrationRow {
        let Register { netuid, uid, hotkey, registered_block, coldkey, capacity, now, .. } =
            command;
        let same = |known: &&mut Registration| {
            let row = &known.row;
            known.netuid == netuid
                && (row.uid, &row.hotkey, row.registered_block) == (uid, &hotkey, registered_block)
        };
        if let Some(known) = self.registrations.values_mut().find(same) {
            let row = &mut known.row;
            (row.coldkey, row.capacity) = (coldkey.or(row.coldkey.take()), capacity);
            (row.opened_at, row.closed_at) = (now, None);
            return row.clone();
        }
        let row = RegistrationRow {
            id: command.id,
            uid,
            hotkey,
            registered_block,
            coldkey,
            capacity,
            live: 0,
            record: Record::default(),
            opened_at: now,
            closed_at: None,
        };
        self.registrations.insert(row.id, Registration { netuid, row: row.clone() });
        row
    }

    fn lose_all(&mut self, miner: RegistrationId, policy: LeasePolicy, now: Millis) -> Vec<Lost> {
        let own = |slot: &SlotRow| slot.holder == Some(Holder::Miner(miner));
        let held: Vec<_> = self
            .leases()
            .filter(|(_, slot)| own(slot))
            .map(|(token, _)| (token, LossReason::Retired))
            .collect();
        self.lose(&held, policy, now)
    }

    /// Live leases, by task and slot.
    fn leases(&self) -> impl Iterator<Item = (LeaseToken, &SlotRow)> {
        let slots = self.tasks.values().flat_map(|t| t.slots.iter().map(|slot| (t.task.id, slot)));
        slots
            .filter(|(_, slot)| slot.state.leased())
            .map(|(task, slot)| (LeaseToken { task, slot: slot.slot, attempt: slot.attempt }, slot))
    }

    /// Ends these live leases: each slot waits again or is given up, as the policy says. Then the
    /// tasks settle, and all losses of one task tell how it stands after the last of them.
    fn lose(
        &mut self,
        leases: &[(LeaseToken, LossReason)],
        policy: LeasePolicy,
        now: Millis,
    ) -> Vec<Lost> {
        let mut lost = Vec::with_capacity(leases.len());
        for &(token, reason) in leases {
            let Some(holder) = self.write_attempt(token, reason, now) else { continue };
            self.lease_ended(holder, Some(reason));
            let Some(slot) = slot_of(&mut self.tasks, token.task, token.slot) else { continue };
            slot.failures = slot.failures.saturating_add(reason.is_failure().into());
            let (failures, peer) = (slot.failures, slot.peer());
            let peer = peer.and_then(|peer| slot_of(&mut self.tasks, token.task, peer));
            let alone = peer.is_some_and(|peer| peer.state.leased());
            let after = policy.after_loss(token, reason, failures, now);
            let (state, not_before, retry_at) = match after {
                _ if alone => (SlotState::Superseded, now, None),
                AfterLoss::Retry(at) => (SlotState::Queued, at, Some(at)),
                AfterLoss::GiveUp => (SlotState::Failed, now, None),
            };
            let Some(slot) = slot_of(&mut self.tasks, token.task, token.slot) else { continue };
            (slot.state, slot.not_before, slot.holder) = (state, not_before, None);
            (slot.granted_at, slot.fetched_at, slot.expires_at) = (None, None, None);
            if let (SlotState::Failed, Some(task)) = (state, self.tasks.get_mut(&token.task)) {
                task.failed += 1;
            }
            lost.push((token, holder, reason, retry_at));
        }
        let tasks: BTreeSet<_> = lost.iter().map(|(token, ..)| token.task).collect();
        let standings: BTreeMap<_, _> =
            tasks.into_iter().map(|task| (task, self.settle(task, now))).collect();
        let told = |(token, holder, reason, retry_at): (LeaseToken, _, _, _)| {
            let standing = standings.get(&token.task)?.clone();
            Some(Lost { token, holder, reason, retry_at, standing })
        };
        lost.into_iter().filter_map(told).collect()
    }

    /// How the task stands after slots of it ended; it ends with them when its time has come.
    pub(super) fn settle(&mut self, id: TaskId, now: Millis) -> Standing {
        let Some(task) = self.tasks.get(&id) else { return nothing() };
        let tally = Tally { slots: task.task.slots, answered: task.answered, failed: task.failed };
        match task::settle(tally, task.task.enough, task.task.min_responses) {
            Some(state) => self.end(id, state, now),
            None => standing(task),
        }
    }

    /// Ends a task, and with it the slots that still waited or were leased.
    fn end(&mut self, id: TaskId, state: TaskState, now: Millis) -> Standing {
        let Some(task) = self.tasks.get_mut(&id) else { return nothing() };
        task.state = state;
        task.finished_at = Some(now);
        self.done_order.insert(id, self.commands);
        let (owner, kind) = (task.task.owner.clone(), task.task.kind.clone());
        let pending: Vec<_> = task.slots.iter().filter(|s| s.state.pending()).cloned().collect();
        let mut freed = Vec::new();
        for SlotRow { slot, attempt, state, .. } in pending {
            let token = LeaseToken { task: id, slot, attempt };
            if state.leased()
                && let Some(holder) = self.write_attempt(token, LossReason::Superseded, now)
            {
                self.lease_ended(holder, Some(LossReason::Superseded));
                freed.push(Freed { token, holder });
            }
            if let Some(slot) = slot_of(&mut self.tasks, id, slot) {
                (slot.state, slot.expires_at) = (SlotState::Superseded, None);
            }
        }
        if let Some(event) = EventType::of(state) {
            self.tell(id, event, state, now);
        }
        let counts = self.usage_at(&owner, &kind, now);
        if state == TaskState::Done {
            counts.done += 1;
        } else {
            counts.failed += 1;
        }
        let standing = self.tasks.get(&id).map_or_else(nothing, standing);
        Standing { freed, ..standing }
    }

    /// Ends the lease on the other slot of a hedge that was answered.
    pub(super) fn end_peer(&mut self, task: TaskId, peer: u16, now: Millis) -> Option<Freed> {
        let slot = slot_of(&mut self.tasks, task, peer).filter(|slot| slot.state.leased())?;
        (slot.state, slot.expires_at) = (SlotState::Superseded, None);
        let token = LeaseToken { task, slot: peer, attempt: slot.attempt };
        let holder = self.write_attempt(token, LossReason::Superseded, now)?;
        self.lease_ended(holder, Some(LossReason::Superseded));
        Some(Freed { token, holder })
    }

    /// Writes down a lease that ends without an answer; who held it.
    fn write_attempt(
        &mut self,
        token: LeaseToken,
        reason: LossReason,
        now: Millis,
    ) -> Option<Holder> {
        let task = self.tasks.get_mut(&token.task)?;
        let slot = task.slots.get(usize::from(token.slot))?;
        let holder = slot.holder?;
        task.attempts.push(AttemptRow {
            token,
            holder,
            reason,
            granted_at: slot.granted_at.unwrap_or(now),
            fetched_at: slot.fetched_at,
            ended_at: now,
        });
        task.attempts.sort_by_key(|attempt| attempt.token);
        Some(holder)
    }

    /// Counts the end of a lease for the miner that held it: answered when there is no reason.
    pub(super) fn lease_ended(&mut self, holder: Holder, reason: Option<LossReason>) {
        let Some(miner) = holder.miner() else { return };
        let Some(known) = self.registrations.get_mut(&miner) else { return };
        known.row.live = known.row.live.saturating_sub(1);
        match reason {
            None => known.row.record.answered += 1,
            Some(reason) => known.row.record.lost += i64::from(reason.is_failure()),
        }
    }
}

fn standing(task: &TaskRecord) -> Standing {
    let (state, answered, failed) = (task.state, task.answered, task.failed);
    Standing { state, answered, failed, freed: Vec::new() }
}

/// Of a task that is not there; no live lease leads to one.
fn nothing() -> Standing {
    Standing { state: TaskState::Failed, answered: 0, failed: 0, freed: Vec::new() }
}

fn whose(row: &RegistrationRow) -> registration::Whose<'_> {
    let (id, uid, block) = (row.id, row.uid.0, row.registered_block);
    registration::Whose { id, uid, hotkey: row.hotkey.as_str(), block }
}
