//! The order in which open tasks get miners. Across priorities age decides, with a head start for
//! the more urgent, so that nothing starves; inside a priority clients take turns in proportion to
//! their weights, so that one with a thousand tasks does not hold up one with a single task; of one
//! client the oldest task goes first. What was begun is finished by its age.
//!
//! The age of a task that was not begun counts from the moment at which it became its client's
//! first: a long queue of one client earns it nothing.

mod begun;
mod look;
mod share;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use begun::Begun;
pub use look::Look;
use share::Share;

use super::ids::TaskId;
use super::kind::KindIndex;
use super::task::Priority;
use super::units::Millis;

/// Place of a begun task: the smaller goes first.
type Place = (i64, TaskId);

/// Begun tasks of one kind that one turn looks at.
const BEGUN_LOOKS: usize = 64;

/// What the queue must know of a task.
#[derive(Debug, Clone, Copy)]
pub struct Ticket<'a> {
    /// The task.
    pub id: TaskId,
    /// Its kind.
    pub kind: KindIndex,
    /// Its urgency.
    pub priority: Priority,
    /// Its client.
    pub owner: &'a str,
    /// Since when it waits.
    pub since: Millis,
    /// Answers that it wants.
    pub slots: u16,
}

impl Ticket<'_> {
    const fn place(&self) -> Place {
        (aged(self.priority, self.since), self.id)
    }
}

/// A moment less a priority's head start.
const fn aged(priority: Priority, since: Millis) -> i64 {
    since.0.saturating_sub(priority.head_start_millis())
}

/// Tasks with slots to give; and those that wait for a moment.
#[derive(Debug, Default)]
pub struct ReadyQueue {
    shares: BTreeMap<(KindIndex, Priority), Share>,
    begun: BTreeMap<KindIndex, Begun>,
    delayed: BTreeSet<(Millis, TaskId)>,
}

impl ReadyQueue {
    /// Adds a task of which no slot was given out yet; again is no harm.
    pub fn put(&mut self, ticket: &Ticket<'_>) {
        let share = self.shares.entry((ticket.kind, ticket.priority)).or_default();
        share.insert(ticket.owner, (ticket.since, ticket.id));
    }

    /// Adds a task that some miners have already; again is no harm.
    pub fn put_begun(&mut self, ticket: &Ticket<'_>) {
        self.begun.entry(ticket.kind).or_default().insert(ticket.place());
    }

    /// Slots of a task were given out for the first time: its client, of this weight, has had its
    /// turn. The task is out of the queue then; whether it was in it.
    pub fn begin(&mut self, ticket: &Ticket<'_>, weight: u32, now: Millis) -> bool {
        let cost = u64::from(ticket.slots).saturating_mul(share::SLOT) / u64::from(weight.max(1));
        self.shares
            .get_mut(&(ticket.kind, ticket.priority))
            .is_some_and(|share| share.begin(ticket.owner, (ticket.since, ticket.id), cost, now))
    }

    /// Takes a task out.
    pub fn remove(&mut self, ticket: &Ticket<'_>) {
        if let Some(share) = self.shares.get_mut(&(ticket.kind, ticket.priority)) {
            share.remove(ticket.owner, (ticket.since, ticket.id));
        }
        if let Some(begun) = self.begun.get_mut(&ticket.kind) {
            begun.remove(&ticket.place());
        }
    }

    /// Notes that a task has something to give from `at` on.
    pub fn delay(&mut self, at: Millis, id: TaskId) {
        self.delayed.insert((at, id));
    }

    /// Takes the tasks whose moment has come.
    pub fn due(&mut self, now: Millis) -> Vec<TaskId> {
        let mut due = Vec::new();
        while let Some(&(at, id)) = self.delayed.first().filter(|(at, _)| *at <= now) {
            self.delayed.remove(&(at, id));
            due.push(id);
        }
        due
    }

    /// When the next delayed task is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        self.delayed.first().map(|(at, _)| *at)
    }

    /// Tasks that are ready.
    #[must_use]
    pub fn len(&self) -> usize {
        let fresh: usize = self.shares.values().map(Share::len).sum();
        fresh + self.begun.values().map(Begun::len).sum::<usize>()
    }

    /// Whether nothing is ready.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ready tasks of one kind that go before a new one of this client: all that were begun, and of
    /// the others as many turns of each client as this one must wait for.
    #[must_use]
    pub fn ahead(&self, kind: KindIndex, priority: Priority, owner: &str) -> usize {
        let begun = self.begun.get(&kind).map_or(0, Begun::len);
        let more_urgent: usize = self
            .shares
            .range((kind, priority)..)
            .take_while(|((of, _), _)| *of == kind)
            .filter(|((_, other), _)| *other > priority)
            .map(|(_, share)| share.len())
            .sum();
        let same = self.shares.get(&(kind, priority)).map_or(0, |share| {
            let turns = share.waiting_of(owner) + 1;
            (turns.saturating_mul(share.clients().max(1))).min(share.len())
        });
        begun + more_urgent + same
    }

    /// The first `most` ready tasks over all kinds, best first.
    #[must_use]
    pub fn peek(&self, most: usize) -> Vec<TaskId> {
        let begun = self.begun.iter().map(|(kind, begun)| (*kind, begun.first(most)));
        let mut look = Look::new(begun);
        std::iter::from_fn(|| look.next(self)).take(most).map(|(_, id)| id).collect()
    }

    /// Begins a look along the queue; of what was begun it sees a part, and the next look goes on
    /// from there.
    pub fn look(&mut self) -> Look {
        let begun = self.begun.iter_mut().filter(|(_, begun)| begun.len() > 0);
        Look::new(begun.map(|(kind, begun)| (*kind, begun.turn(BEGUN_LOOKS))))
    }
}
