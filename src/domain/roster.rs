//! All miners that could get work, kept so that choosing costs the same in a network of ten and of
//! ten thousand: a dense list, an index by registration, and the places that may have room.

use std::collections::HashMap;

use super::ids::RegistrationId;
use super::selection::Candidate;

/// See the module's docs.
#[derive(Debug, Default)]
pub struct Roster {
    all: Vec<Candidate>,
    places: HashMap<RegistrationId, usize>,
    free: Vec<usize>,
    // For each place its position in `free`.
    free_at: Vec<Option<usize>>,
}

impl Roster {
    /// All candidates.
    #[must_use]
    pub fn all(&self) -> &[Candidate] {
        &self.all
    }

    /// Places of those that serve and hold less than their capacity.
    #[must_use]
    pub fn free(&self) -> &[usize] {
        &self.free
    }

    /// One candidate.
    #[must_use]
    pub fn get(&self, id: RegistrationId) -> Option<&Candidate> {
        self.all.get(*self.places.get(&id)?)
    }

    /// Adds a candidate, or replaces it, keeping nothing of the old one.
    pub fn put(&mut self, candidate: Candidate) {
        let id = candidate.registration;
        let place = match self.places.get(&id) {
            Some(&place) => place,
            None => {
                self.all.push(candidate.clone());
                self.free_at.push(None);
                self.all.len() - 1
            }
        };
        self.places.insert(id, place);
        if let Some(slot) = self.all.get_mut(place) {
            *slot = candidate;
        }
        self.refresh(place);
    }

    /// Changes a candidate; `None` when it is not known.
    pub fn change<T>(
        &mut self,
        id: RegistrationId,
        change: impl FnOnce(&mut Candidate) -> T,
    ) -> Option<T> {
        let place = *self.places.get(&id)?;
        let changed = change(self.all.get_mut(place)?);
        self.refresh(place);
        Some(changed)
    }

    /// Takes a candidate out.
    pub fn remove(&mut self, id: RegistrationId) -> Option<Candidate> {
        let place = self.places.remove(&id)?;
        self.set_free(place, false);
        let last = self.all.len().checked_sub(1)?;
        let last_was_free = self.free_at.get(last).copied().flatten().is_some();
        self.set_free(last, false);
        let removed = self.all.swap_remove(place);
        self.free_at.pop();
        if let Some(moved) = self.all.get(place) {
            self.places.insert(moved.registration, place);
            self.set_free(place, last_was_free);
        }
        Some(removed)
    }

    fn refresh(&mut self, place: usize) {
        let free = self.all.get(place).is_some_and(|c| c.serving && c.live < c.capacity);
        self.set_free(place, free);
    }

    fn set_free(&mut self, place: usize, free: bool) {
        let Some(&at) = self.free_at.get(place) else { return };
        match (at, free) {
            (None, true) => {
                self.free.push(place);
                self.mark(place, Some(self.free.len() - 1));
            }
            (Some(at), false) => {
                self.free.swap_remove(at);
                self.mark(place, None);
                if let Some(&moved) = self.free.get(at) {
                    self.mark(moved, Some(at));
                }
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    fn mark(&mut self, place: usize, at: Option<usize>) {
        if let Some(mark) = self.free_at.get_mut(place) {
            *mark = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{Hotkey, MinerUid};
    use crate::domain::units::{Millis, Score, Stake};

    fn candidate(id: u128, live: u32) -> Candidate {
        Candidate {
            registration: RegistrationId(Uuid::from_u128(id)),
            uid: MinerUid(0),
            hotkey: Hotkey::parse("hk").unwrap(),
            coldkey: None,
            serving: true,
            performance: Score::ZERO,
            confidence: Score::ZERO,
            contested: false,
            stake: Stake::ZERO,
            capacity: 2,
            reported_load_millionths: 0,
            live,
            last_seen: Millis(0),
            kinds: Vec::new(),
            parked: 0,
            report_period_millis: 0,
            record: crate::domain::miner::Record::default(),
            records: crate::domain::miner::KindRecords::default(),
            contact: crate::domain::miner::Contact::default(),
        }
    }

    proptest! {
        #[test]
        fn free_places_are_exactly_those_with_room(
            steps in proptest::collection::vec((0_u128..12, 0_u32..4, 0_u8..3), 0..200),
        ) {
            let mut roster = Roster::default();
            for (id, live, what) in steps {
                let key = RegistrationId(Uuid::from_u128(id));
                match what {
                    0 => roster.put(candidate(id, live)),
                    1 => { roster.remove(key); }
                    _ => { roster.change(key, |c| c.live = live); }
                }
                let free: BTreeSet<_> =
                    roster.free().iter().map(|&p| roster.all()[p].registration).collect();
                let room: BTreeSet<_> = roster
                    .all()
                    .iter()
                    .filter(|c| c.live < c.capacity)
                    .map(|c| c.registration)
                    .collect();
                prop_assert_eq!(roster.free().len(), free.len());
                prop_assert_eq!(free, room);
                let found = roster.all().iter().all(|c| {
                    roster.get(c.registration).is_some_and(|g| g.registration == c.registration)
                });
                prop_assert!(found);
            }
        }
    }
}
