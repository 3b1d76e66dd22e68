//! Tasks that some miners have and others do not: in the order of their age, with a bounded look per
//! turn, since the miners that are free now may all be on the first ones already.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::Place;

/// The begun tasks of one kind.
#[derive(Debug, Default)]
pub(super) struct Begun {
    tasks: BTreeSet<Place>,
    // Where the last turn stopped looking, when it did not see all.
    resume: Option<Place>,
}

impl Begun {
    pub(super) fn insert(&mut self, place: Place) {
        self.tasks.insert(place);
    }

    pub(super) fn remove(&mut self, place: &Place) {
        self.tasks.remove(place);
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// The first tasks.
    pub(super) fn first(&self, most: usize) -> Vec<Place> {
        self.tasks.iter().take(most).copied().collect()
    }

    /// At most `most` tasks: half from the head, half from where the last turn ended.
    pub(super) fn turn(&mut self, most: usize) -> Vec<Place> {
        let mut looked = self.first(most);
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
