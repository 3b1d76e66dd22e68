//! Whether a miner answers us at all, and what we tell the consensus of it.

use super::kind::KindRecords;
use crate::domain::consensus::Observation;
use crate::domain::units::{MINUTE, Millis, ONE};

/// Within this time something heard or missed says how the miner is now.
const RECENT_MILLIS: i64 = 10 * MINUTE;
/// Offers in a row that expire unfetched before a miner counts as silent.
const UNFETCHED: usize = 3;

/// When a miner was last heard of, and offers that it let expire since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contact {
    heard_at: Option<Millis>,
    /// The last ones, oldest first; none of them before it was heard.
    unfetched: [Option<Millis>; UNFETCHED],
}

impl Contact {
    /// It fetched, or answered.
    pub fn heard(&mut self, now: Millis) {
        *self = Self { heard_at: Some(now), unfetched: [None; UNFETCHED] };
    }

    /// An offer expired unfetched.
    pub fn unfetched(&mut self, now: Millis) {
        self.unfetched.rotate_left(1);
        if let Some(last) = self.unfetched.last_mut() {
            *last = Some(now);
        }
    }

    /// Whether it serves, as far as we can tell: yes when it was heard within ten minutes, no when
    /// it let three offers in a row expire within them, else unknown.
    #[must_use]
    pub fn is_serving(&self, now: Millis) -> Option<bool> {
        let recent = |at: Option<Millis>| at.is_some_and(|at| now.since(at) < RECENT_MILLIS);
        if self.unfetched.iter().all(|&at| recent(at)) {
            return Some(false);
        }
        recent(self.heard_at).then_some(true)
    }
}

/// What we saw of a miner, on the scale of the reports; `None` when nothing. `p50s` are the kinds'
/// medians in milliseconds, by kind.
#[must_use]
pub fn observation(
    records: &KindRecords,
    contact: &Contact,
    p50s: &[Option<i64>],
    now: Millis,
) -> Option<Observation> {
    let (performance, is_serving) = (records.observed(p50s), contact.is_serving(now));
    if performance.is_none() && is_serving.is_none() {
        return None;
    }
    let evidence = performance.map_or(0, |(_, evidence)| evidence / ONE);
    Some(Observation {
        performance: performance.map(|(performance, _)| performance),
        is_serving,
        evidence: u32::try_from(evidence).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::kind::KindIndex;

    const fn at(minutes: i64) -> Millis {
        Millis(minutes * MINUTE)
    }

    #[test]
    fn a_miner_serves_while_it_is_heard_and_not_when_it_lets_offers_expire() {
        let mut contact = Contact::default();
        assert_eq!(contact.is_serving(at(0)), None);
        contact.heard(at(0));
        assert_eq!(contact.is_serving(at(9)), Some(true));
        assert_eq!(contact.is_serving(at(10)), None);
        contact.unfetched(at(1));
        contact.unfetched(at(2));
        assert_eq!(contact.is_serving(at(2)), Some(true));
        contact.unfetched(at(3));
        assert_eq!(contact.is_serving(at(3)), Some(false));
        assert_eq!(contact.is_serving(at(11)), None, "the first of them is long ago");
        contact.unfetched(at(11));
        assert_eq!(contact.is_serving(at(11)), Some(false));
        contact.heard(at(11));
        assert_eq!(contact.is_serving(at(11)), Some(true));
    }

    #[test]
    fn performance_is_weighted_by_evidence_over_all_kinds() {
        let (mut records, silent) = (KindRecords::default(), Contact::default());
        assert_eq!(observation(&records, &silent, &[], at(0)), None);
        (0..3).for_each(|_| records.change(KindIndex(0), |r| r.answered(Some(10))));
        records.change(KindIndex(4), |r| r.failed(at(0)));
        let seen = observation(&records, &silent, &[], at(0)).unwrap();
        let performance = seen.performance.unwrap().millionths();
        assert!((745_000..755_000).contains(&performance), "{performance}");
        assert_eq!((seen.is_serving, seen.evidence), (None, 3));
    }
}
