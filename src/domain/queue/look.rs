//! One look along the queue, first come first: what was begun by age, what was not by the turns of
//! the clients, both by priority with ageing. Lazy, since a turn ends when no miner has room, which
//! is mostly after a task or two.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::vec::IntoIter;

use super::share::{Age, Share, Turn};
use super::{Place, ReadyQueue, aged};
use crate::domain::ids::TaskId;
use crate::domain::kind::KindIndex;
use crate::domain::task::Priority;
use crate::domain::units::Millis;

/// How far along the queue somebody has looked. The queue may change between two steps: a task that
/// was seen is not seen again, a task that came since may be missed until the next look.
#[derive(Debug, Default)]
pub struct Look {
    begun: BTreeMap<KindIndex, std::iter::Peekable<IntoIter<Place>>>,
    shares: BTreeMap<(KindIndex, Priority), Walk>,
    blocked: Vec<KindIndex>,
}

/// How far one share was walked along.
#[derive(Debug, Default)]
struct Walk {
    /// The last client whose first task was put into the heap.
    reached: Option<Turn>,
    known: Vec<Arc<str>>,
    next: BinaryHeap<Reverse<Step>>,
}

/// A task, by its client's virtual time when it comes to it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    virtual_time: u64,
    since: Millis,
    client: Arc<str>,
    age: Age,
}

impl Walk {
    /// The next task of this share, left in place.
    fn peek(&mut self, share: &Share) -> Option<&Step> {
        while let Some(turn) = share.next_client(self.reached.as_ref()) {
            let ahead = self.next.peek().is_some_and(|Reverse(step)| {
                (step.virtual_time, step.since, &step.client) < (turn.0, turn.1, &turn.2)
            });
            if ahead {
                break;
            }
            let (virtual_time, since, client) = turn.clone();
            self.reached = Some(turn.clone());
            // A client that was charged since stands further back in the order, too.
            if self.known.contains(&client) {
                continue;
            }
            self.known.push(client.clone());
            if let Some(age) = share.next_task(&client, None) {
                self.next.push(Reverse(Step { virtual_time, since, client, age }));
            }
        }
        self.next.peek().map(|Reverse(step)| step)
    }

    /// Takes the next task. Its client's following one is put behind by `cost`, whatever it really
    /// costs: what is given out is charged in the share itself, which the next look reads.
    fn pop(&mut self, share: &Share, cost: u64) -> Option<TaskId> {
        let Reverse(step) = self.next.pop()?;
        if let Some(age) = share.next_task(&step.client, Some(step.age)) {
            let virtual_time = step.virtual_time.saturating_add(cost);
            let (since, client) = (age.0.max(step.since), step.client);
            self.next.push(Reverse(Step { virtual_time, since, client, age }));
        }
        Some(step.age.1)
    }
}

enum Source {
    Begun(KindIndex),
    Share(KindIndex, Priority),
}

impl Look {
    pub(super) fn new(begun: impl Iterator<Item = (KindIndex, Vec<Place>)>) -> Self {
        let begun = begun.map(|(kind, places)| (kind, places.into_iter().peekable())).collect();
        Self { begun, ..Self::default() }
    }

    /// Looks at no more tasks of this kind: nobody who is free can do such work.
    pub fn block(&mut self, kind: KindIndex) {
        self.blocked.push(kind);
    }

    /// The next task, with its kind.
    pub fn next(&mut self, queue: &ReadyQueue) -> Option<(KindIndex, TaskId)> {
        let mut best: Option<(i64, Source)> = None;
        let mut offer = |aged: i64, source: Source| {
            if best.as_ref().is_none_or(|(known, _)| aged < *known) {
                best = Some((aged, source));
            }
        };
        for (&kind, places) in &mut self.begun {
            if let Some((aged, _)) = places.peek().filter(|_| !self.blocked.contains(&kind)) {
                offer(*aged, Source::Begun(kind));
            }
        }
        for (&(kind, priority), share) in &queue.shares {
            if share.len() == 0 || self.blocked.contains(&kind) {
                continue;
            }
            let walk = self.shares.entry((kind, priority)).or_default();
            if let Some(step) = walk.peek(share) {
                offer(aged(priority, step.since), Source::Share(kind, priority));
            }
        }
        match best?.1 {
            Source::Begun(kind) => self.begun.get_mut(&kind)?.next().map(|(_, id)| (kind, id)),
            Source::Share(kind, priority) => {
                let share = queue.shares.get(&(kind, priority))?;
                let walk = self.shares.get_mut(&(kind, priority))?;
                walk.pop(share, super::share::SLOT).map(|id| (kind, id))
            }
        }
    }
}
