//! The order in which open tasks get miners: by priority and age in one number, so that nothing
//! starves, with a bounded look per turn, so that tasks that nobody can take now do not hold up the
//! ones behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::ids::TaskId;
use super::kind::KindIndex;
use super::task::Priority;
use super::units::Millis;

/// Place of a task in its kind's queue: the smaller goes first.
pub type Place = (i64, TaskId);

/// Place of a task: its submit time less its priority's head start; ids are ordered by time too.
#[must_use]
pub const fn place(priority: Priority, created_at: Millis, id: TaskId) -> Place {
    (created_at.0.saturating_sub(priority.head_start_millis()), id)
}

/// Tasks with slots to give, per kind; and those that wait for a moment.
#[derive(Debug, Default)]
pub struct ReadyQueue {
    ready: BTreeMap<KindIndex, Lane>,
    delayed: BTreeSet<(Millis, TaskId)>,
}

#[derive(Debug, Default)]
struct Lane {
    tasks: BTreeSet<Place>,
    // Where the last turn stopped looking, when it did not see all.
    resume: Option<Place>,
}

impl ReadyQueue {
    /// Adds a task; again is no harm.
    pub fn push(&mut self, kind: KindIndex, place: Place) {
        self.ready.entry(kind).or_default().tasks.insert(place);
    }

    /// Takes a task out.
    pub fn remove(&mut self, kind: KindIndex, place: Place) {
        if let Some(lane) = self.ready.get_mut(&kind) {
            lane.tasks.remove(&place);
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
        self.ready.values().map(|lane| lane.tasks.len()).sum()
    }

    /// Whether nothing is ready.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `most` ready tasks over all kinds, best first.
    #[must_use]
    pub fn peek(&self, most: usize) -> Vec<TaskId> {
        let mut first: Vec<Place> =
            self.ready.values().flat_map(|lane| lane.tasks.iter().take(most)).copied().collect();
        first.sort_unstable();
        first.truncate(most);
        first.into_iter().map(|(_, id)| id).collect()
    }

    /// The tasks that this turn looks at, best first over all kinds: at most `most` per kind. When
    /// a kind has more, its next turn goes on where this one ends, after its first task.
    pub fn turn(&mut self, most: usize) -> Vec<(KindIndex, TaskId)> {
        let mut looked: Vec<(Place, KindIndex)> = Vec::new();
        for (&kind, lane) in &mut self.ready {
            looked.extend(lane.turn(most).into_iter().map(|place| (place, kind)));
        }
        looked.sort_unstable();
        looked.into_iter().map(|((_, id), kind)| (kind, id)).collect()
    }
}

impl Lane {
    fn turn(&mut self, most: usize) -> Vec<Place> {
        let mut looked: Vec<Place> = self.tasks.iter().copied().take(most).collect();
        if looked.len() == self.tasks.len() {
            self.resume = None;
            return looked;
        }
        let half = looked.len().div_ceil(2);
        let end_of_head = looked.get(half.saturating_sub(1)).copied();
        let from = self.resume.max(end_of_head);
        let Some(from) = from else { return looked };
        looked.truncate(half);
        let rest = self.tasks.range((Bound::Excluded(from), Bound::Unbounded));
        looked.extend(rest.copied().take(most - half));
        self.resume = looked.last().copied().filter(|last| self.tasks.last() != Some(last));
        looked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::MINUTE;
    use uuid::Uuid;

    const KIND: KindIndex = KindIndex(0);

    fn id(n: u128) -> TaskId {
        TaskId(Uuid::from_u128(n))
    }

    #[test]
    fn urgent_goes_before_normal_and_old_before_new_and_nothing_starves() {
        let mut queue = ReadyQueue::default();
        let mut push = |n, priority, at| queue.push(KIND, place(priority, Millis(at), id(n)));
        push(1, Priority::Normal, 1);
        push(2, Priority::Normal, 0);
        push(3, Priority::Urgent, 2);
        push(4, Priority::Low, 0);
        push(5, Priority::Urgent, 3 * 60 * MINUTE);
        let order: Vec<_> = queue.turn(10).into_iter().map(|(_, id)| id).collect();
        assert_eq!(order, [id(3), id(2), id(1), id(4), id(5)]);
    }

    #[test]
    fn a_turn_is_bounded_and_turns_reach_every_task() {
        let mut queue = ReadyQueue::default();
        for n in 0..1_000 {
            queue.push(KIND, place(Priority::Normal, Millis(n), id(n as u128)));
        }
        let mut seen = BTreeSet::new();
        for _ in 0..40 {
            let turn = queue.turn(64);
            assert!(turn.len() <= 64);
            assert_eq!(turn[0].1, id(0), "the head is looked at in every turn");
            seen.extend(turn);
        }
        assert_eq!(seen.len(), 1_000);
    }

    #[test]
    fn delayed_tasks_come_due_in_order() {
        let mut queue = ReadyQueue::default();
        queue.delay(Millis(30), id(3));
        queue.delay(Millis(10), id(1));
        assert_eq!(queue.next_due(), Some(Millis(10)));
        assert_eq!(queue.due(Millis(9)), []);
        assert_eq!(queue.due(Millis(30)), [id(1), id(3)]);
        assert_eq!(queue.next_due(), None);
    }
}
