//! Hours without scores. A quiet subnet and a broken one look alike from here: what is told is that
//! scores came before and come no more, not why.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::domain::audit::{Fact, SYSTEM};
use crate::domain::ids::ValidatorId;
use crate::domain::limits::{GAP_BACK_HOURS, GAP_VOICE_DAYS};
use crate::domain::units::{HOUR, Millis};

/// Hours that are looked at, up to the end of the newest one.
pub const GAP_HOURS: i64 = (GAP_VOICE_DAYS + 1) * 24;

/// A silence. Hours since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The validator that is silent; `None` when everybody is.
    pub voice: Option<ValidatorId>,
    /// The first hour without a score.
    pub since: i64,
}

/// The silences that last at the end of the last full hour. `scores` are voices (`None` for this
/// server) with the hours in which they scored.
///
/// Everybody is silent when the newest hour has no score and one of the [`GAP_BACK_HOURS`] before it
/// has. A validator is silent when it scored on each of [`GAP_VOICE_DAYS`] days in a row, and not in
/// the 24 hours since.
#[must_use]
pub fn gaps(scores: impl IntoIterator<Item = (Option<ValidatorId>, i64)>, to: i64) -> Vec<Gap> {
    let mut voices: BTreeMap<Option<ValidatorId>, BTreeSet<i64>> = BTreeMap::new();
    for (voice, hour) in scores {
        if (to - GAP_HOURS..to).contains(&hour) {
            voices.entry(voice).or_default().insert(hour);
        }
    }
    let newest = voices.values().filter_map(BTreeSet::last).max().copied();
    let everybody = newest
        .filter(|last| (to - 1 - GAP_BACK_HOURS..to - 1).contains(last))
        .map(|last| Gap { voice: None, since: last + 1 });
    let silent = voices.into_iter().filter_map(|(voice, hours)| {
        let day_has = |day: i64| hours.range(to - 24 * (day + 1)..to - 24 * day).next().is_some();
        let is_silent = !day_has(0) && (1..=GAP_VOICE_DAYS).all(day_has);
        let last = *hours.last()?;
        (voice.is_some() && is_silent).then_some(Gap { voice, since: last + 1 })
    });
    everybody.into_iter().chain(silent).collect()
}

impl Gap {
    /// Its event.
    #[must_use]
    pub fn fact(&self) -> Fact {
        let since = Millis(self.since.saturating_mul(HOUR)).rfc3339();
        let subject = match self.voice {
            None => format!("nobody scored since {since}"),
            Some(id) => format!("validator {id} silent since {since}"),
        };
        let detail = json!({ "since": since, "validator": self.voice });
        Fact::new(SYSTEM, "weights.data_gap", &subject, &detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: i64 = 1_000;

    fn validator(n: u128) -> Option<ValidatorId> {
        Some(ValidatorId(uuid::Uuid::from_u128(n)))
    }

    fn found(scores: &[(Option<ValidatorId>, i64)]) -> Vec<(Option<ValidatorId>, i64)> {
        let found = gaps(scores.iter().copied(), TO);
        found.into_iter().map(|gap| (gap.voice, gap.since)).collect()
    }

    #[test]
    fn silence_is_a_gap_only_behind_scores_of_a_day() {
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[(None, TO - 1)]), [], "the newest hour has one");
        assert_eq!(found(&[(None, TO - 2)]), [(None, TO - 1)]);
        assert_eq!(found(&[(None, TO - 5), (None, TO - 9)]), [(None, TO - 4)]);
        assert_eq!(found(&[(None, TO - 25)]), [(None, TO - 24)], "the last of 24 hours");
        assert_eq!(found(&[(None, TO - 26)]), [], "longer ago");
        assert_eq!(found(&[(None, TO)]), [], "of an hour that still runs");
        assert_eq!(found(&[(None, TO - 2), (validator(1), TO - 1)]), [], "another voice");
    }

    #[test]
    fn a_validator_is_missed_after_three_days_and_one() {
        let one = validator(1);
        let here = (None, TO - 1);
        let days = [(one, TO - 25), (one, TO - 49), (one, TO - 73), here];
        assert_eq!(found(&days), [(one, TO - 24)]);
        let first_hours = [(one, TO - 48), (one, TO - 72), (one, TO - 96), here];
        assert_eq!(found(&first_hours), [(one, TO - 47)]);
        for (place, hour) in [(0, TO - 24), (1, TO - 48), (2, TO - 97)] {
            let mut other = days;
            other[place].1 = hour;
            assert_eq!(found(&other), [], "{place} {hour}");
        }
        let ours = days.map(|(_, hour)| (None, hour));
        assert_eq!(found(&ours), [], "this server is no validator");
    }

    #[test]
    fn a_gap_has_one_name_as_long_as_it_lasts() {
        let scores = [(None, TO - 2)];
        let fact = |to| gaps(scores, to).first().map(Gap::fact);
        assert_eq!(fact(TO), fact(TO + 1));
        assert_eq!(fact(TO).unwrap().subject(), "nobody scored since 1970-02-11T15:00:00.000Z");
        assert_eq!(fact(TO - 1), None);
        let one = Gap { voice: validator(1), since: 0 }.fact();
        assert_ne!(one.subject(), Gap { voice: validator(2), since: 0 }.fact().subject());
    }
}
