//! From a new task to its answers: enqueue, assign, fetch, heartbeat, respond.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::{Made, Tables};
use crate::domain::ids::{LeaseToken, TaskId};
use crate::domain::task::{SlotState, TaskState};
use crate::domain::units::Millis;
use crate::domain::webhook::EventType;
use crate::store::*;

/// A slot, by its key.
pub(super) fn slot_of(
    tasks: &mut BTreeMap<TaskId, TaskRecord>,
    task: TaskId,
    slot: u16,
) -> Option<&mut SlotRow> {
    tasks.get_mut(&task)?.slots.get_mut(usize::from(slot))
}

/// The fence around every command on a lease: its slot, if the lease still lives at that attempt and
/// is this holder's.
pub(super) fn live_lease(
    tasks: &mut BTreeMap<TaskId, TaskRecord>,
    token: LeaseToken,
    holder: Holder,
) -> Option<&mut SlotRow> {
    slot_of(tasks, token.task, token.slot).filter(|slot| {
        slot.state.leased() && slot.attempt == token.attempt && slot.holder == Some(holder)
    })
}

impl Tables {
    /// The first command under an idempotency key decides what the key stands for. A task that is
    /// there already was taken in by an earlier try of the same command.
    pub(super) fn enqueue(&mut self, command: Enqueue) -> Enqueued {
        let Enqueue { task, file, input_units, idempotency, .. } = command;
        if let Some(key) = idempotency {
            match self.remember(&task.owner, key, Made::Task(task.id), task.created_at) {
                Some(Ok(Made::Task(id))) => return Enqueued::Existing(id),
                Some(_) => return Enqueued::Mismatch,
                None => {}
            }
        }
        match self.tasks.entry(task.id) {
            Entry::Occupied(_) => Enqueued::Existing(task.id),
            Entry::Vacant(fresh) => {
                let counts = (task.owner.clone(), task.kind.clone(), task.created_at);
                fresh.insert(queued(task));
                if let Some(file) = file {
                    self.files.entry(file.id).or_insert(file);
                }
                let counts = self.usage_at(&counts.0, &counts.1, counts.2);
                counts.submitted += 1;
                counts.input_units = counts.input_units.saturating_add(input_units);
                Enqueued::New
            }
        }
    }

    /// Opens the leases in the order given, which is their rank: room goes to the first.
    pub(super) fn assign(&mut self, command: &Assign) -> Vec<Granted> {
        command.grants.iter().map(|grant| self.grant(command, grant)).collect()
    }

    fn grant(&mut self, command: &Assign, grant: &Grant) -> Granted {
        let slot = slot_of(&mut self.tasks, command.task, grant.slot);
        let next = |slot: &&mut SlotRow| slot.attempt.checked_add(1) == Some(grant.attempt);
        let Some(slot) = slot.filter(|slot| slot.state == SlotState::Queued).filter(next) else {
            return Granted::Taken;
        };
        if let Some(miner) = grant.holder.miner() {
            let row = self.registrations.get_mut(&miner).map(|known| &mut known.row);
            let room =
                |row: &&mut RegistrationRow| row.closed_at.is_none() && row.live < row.capacity;
            let Some(row) = row.filter(room) else { return Granted::NoRoom };
            row.live += 1;
        }
        slot.state = if grant.fetched { SlotState::Running } else { SlotState::Offered };
        slot.attempt = grant.attempt;
        slot.holder = Some(grant.holder);
        slot.granted_at = Some(command.now);
        slot.fetched_at = grant.fetched.then_some(command.now);
        slot.expires_at = Some(grant.expires_at);
        Granted::Yes
    }

    /// An open task that wants one answer wants more.
    pub(super) fn widen(&mut self, command: &Widen) -> bool {
        let Widen { task, to, now } = *command;
        let task = self.tasks.get_mut(&task).filter(|t| t.state == TaskState::Open);
        let single = |t: &&mut TaskRecord| t.task.slots == 1 && t.slots.len() == 1;
        let Some(task) = task.filter(single).filter(|_| to.slots > 1) else { return false };
        (task.task.slots, task.task.enough) = (to.slots, to.enough);
        task.slots.extend((1..to.slots).map(|slot| queued_slot(slot, now)));
        true
    }

    /// A second lease beside a straggler's, on the next slot.
    pub(super) fn hedge(&mut self, command: &Hedge) -> Granted {
        let Hedge { of, grant, now } = *command;
        let straggler = self.tasks.get(&of.task).filter(|task| {
            task.state == TaskState::Open && task.slots.len() == usize::from(grant.slot)
        });
        let straggler = straggler.and_then(|task| task.slots.get(usize::from(of.slot)));
        let lives = straggler.is_some_and(|slot| {
            slot.state.leased() && slot.attempt == of.attempt && slot.peer().is_none()
        });
        if !lives {
            return Granted::Taken;
        }
        let Some(task) = self.tasks.get_mut(&of.task) else { return Granted::Taken };
        task.slots.push(queued_slot(grant.slot, now));
        let assign = Assign { task: of.task, grants: vec![grant], now };
        let granted = self.grant(&assign, &grant);
        let Some(task) = self.tasks.get_mut(&of.task) else { return Granted::Taken };
        if granted == Granted::Yes {
            if let Some(slot) = task.slots.last_mut() {
                slot.hedge_of = Some(of.slot);
            }
            if let Some(slot) = task.slots.get_mut(usize::from(of.slot)) {
                slot.hedged_by = Some(grant.slot);
            }
        } else {
            task.slots.pop();
        }
        granted
    }

    /// An offer is fetched once.
    pub(super) fn fetch(&mut self, command: &Fetch) -> Vec<bool> {
        let mut fetched = Vec::with_capacity(command.leases.len());
        for &(token, until) in &command.leases {
            let slot = live_lease(&mut self.tasks, token, command.holder);
            let offer = slot.filter(|slot| slot.state == SlotState::Offered);
            fetched.push(offer.is_some());
            if let Some(slot) = offer {
                slot.state = SlotState::Running;
                slot.fetched_at = Some(command.now);
                slot.expires_at = Some(until);
            }
        }
        fetched
    }

    /// A heartbeat extends a lease, and never shortens it.
    pub(super) fn heartbeat(&mut self, command: &Heartbeat) -> Option<Millis> {
        let slot = live_lease(&mut self.tasks, command.token, command.holder)?;
        slot.expires_at = slot.expires_at.max(Some(command.until));
        slot.expires_at
    }

    /// An answer counts if and only if its lease still lives. The time taken is ours: from the fetch
    /// (or the grant, when nobody fetched) to now.
    pub(super) fn respond(&mut self, command: Respond) -> Responded {
        let Respond { token, holder, now, .. } = command;
        let Some(slot) = live_lease(&mut self.tasks, token, holder) else {
            return self.answered_before(&command);
        };
        slot.state = SlotState::Answered;
        slot.expires_at = None;
        let peer = slot.peer();
        let elapsed_millis = now.since(slot.fetched_at.or(slot.granted_at).unwrap_or_default());
        self.lease_ended(holder, None);
        if let Some(task) = self.tasks.get_mut(&token.task) {
            task.answered += 1;
            task.first_response_at.get_or_insert(now);
        }
        let response = ResponseRow {
            token,
            holder,
            registration: command.registration,
            miner_uid: command.miner_uid,
            body: Arc::unwrap_or_clone(command.body),
            body_hash: command.body_hash,
            claims: command.claims,
            elapsed_millis,
            created_at: now,
        };
        self.responses.insert((token.task, token.slot), response);
        let mut standing = self.settle(token.task, now);
        standing.freed.extend(peer.and_then(|peer| self.end_peer(token.task, peer, now)));
        standing.freed.sort_unstable();
        if standing.answered == 1 {
            self.tell(token.task, EventType::FirstResponse, standing.state, now);
        }
        Responded::Accepted { elapsed_millis, standing }
    }

    /// What an answer without a live lease is: the one that was taken, another one for the same
    /// lease, or too late.
    fn answered_before(&self, command: &Respond) -> Responded {
        let key = (command.token.task, command.token.slot);
        match (self.responses.get(&key), self.tasks.get(&key.0)) {
            (Some(known), Some(task))
                if known.token == command.token && known.holder == command.holder =>
            {
                if known.body_hash == command.body_hash {
                    Responded::Same { state: task.state }
                } else {
                    Responded::Conflict
                }
            }
            _ => Responded::Lost,
        }
    }
}

/// A slot that waits.
const fn queued_slot(slot: u16, not_before: Millis) -> SlotRow {
    SlotRow {
        slot,
        state: SlotState::Queued,
        attempt: 0,
        failures: 0,
        not_before,
        holder: None,
        granted_at: None,
        fetched_at: None,
        expires_at: None,
        hedge_of: None,
        hedged_by: None,
    }
}

/// A new task, all of whose slots wait.
fn queued(task: NewTask) -> TaskRecord {
    let slots = (0..task.slots).map(|slot| queued_slot(slot, task.start_at)).collect();
    TaskRecord {
        state: TaskState::Open,
        answered: 0,
        failed: 0,
        first_response_at: None,
        finished_at: None,
        best_slot: None,
        slots,
        attempts: Vec::new(),
        task,
    }
}
