//! Step 0 on sums by hour: what each voice says of a miner at a kind, and the median of the voices. A
//! voice is who scored: this server, whose scores its validators have merged already, or one validator
//! that scores tasks of its own. One liar among three moves the median no further than the other two
//! lie apart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::input::WeightedKind;
use super::policy::{Averaging, Policy};
use crate::domain::ids::{RegistrationId, ValidatorId};
use crate::domain::units::{HOUR, ONE};

/// The scores of one hour, voice, miner and kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    /// Whose.
    pub registration: RegistrationId,
    /// Kind of the tasks.
    pub kind: String,
    /// Who scored; `None` for this server.
    pub voice: Option<ValidatorId>,
    /// Hours since the Unix epoch.
    pub hour: i64,
    /// How many.
    pub scored: i64,
    /// Their sum, millionths.
    pub score_sum: i64,
}

/// What one miner was given to do at one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Given {
    /// Who.
    pub registration: RegistrationId,
    /// Kind of the tasks.
    pub kind: String,
    /// Leases that it fetched.
    pub attempted: i64,
    /// Of those, how many it answered.
    pub completed: i64,
}

/// What one voice says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Voice {
    /// Who; absent for this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validator: Option<ValidatorId>,
    /// Scores that it gave.
    pub scored: i64,
    /// What they come to, 0..=1.
    pub value: f64,
}

/// What is known of one miner at one kind within a window.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// The task value: the median of the voices; absent where nobody scored.
    pub value: Option<f64>,
    /// The voices, this server first.
    pub voices: Vec<Voice>,
    /// Leases that it fetched.
    pub attempted: i64,
    /// Of those, how many it answered.
    pub completed: i64,
    /// Scores of all voices.
    pub scored: i64,
    /// The best hour, or day: the median of the voices' means in it.
    pub best: Option<f64>,
    /// The newest hour that has scores.
    pub latest: Option<f64>,
}

/// The parts of a window of which the best and the latest are told. Sums of whole days do not know
/// their hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// Hour by hour.
    Hour,
    /// Day by day.
    Day,
}

impl Grain {
    const fn hours(self) -> i64 {
        match self {
            Self::Hour => 1,
            Self::Day => 24,
        }
    }
}

/// Standings by miner and place of the kind.
pub type Standings = BTreeMap<(RegistrationId, usize), Standing>;

/// By voice and hour, how many scores and their sum.
type Hours = BTreeMap<Option<ValidatorId>, BTreeMap<i64, (i64, i64)>>;

/// The standings of a window. What is of no kind listed is passed over; the order of the rows means
/// nothing, and rows of one key are added up.
#[must_use]
pub fn standings(
    policy: &Policy,
    kinds: &[WeightedKind],
    grain: Grain,
    buckets: &[Bucket],
    given: &[Given],
) -> Standings {
    let places: BTreeMap<&str, usize> =
        kinds.iter().enumerate().map(|(place, kind)| (kind.name.as_str(), place)).collect();
    let mut standings = Standings::new();
    for row in given {
        let Some(&kind) = places.get(row.kind.as_str()) else { continue };
        let standing = standings.entry((row.registration, kind)).or_default();
        standing.attempted = standing.attempted.saturating_add(row.attempted.max(0));
        standing.completed = standing.completed.saturating_add(row.completed.max(0));
    }
    let mut scores: BTreeMap<(RegistrationId, usize), Hours> = BTreeMap::new();
    for row in buckets.iter().filter(|row| row.scored > 0) {
        let Some(&kind) = places.get(row.kind.as_str()) else { continue };
        let voices = scores.entry((row.registration, kind)).or_default();
        let (scored, sum) = voices.entry(row.voice).or_default().entry(row.hour).or_default();
        *scored = scored.saturating_add(row.scored);
        *sum = sum.saturating_add(row.score_sum);
    }
    for (key, voices) in scores {
        standings.entry(key).or_default().judge(policy, grain, &voices);
    }
    standings
}

impl Standing {
    fn judge(&mut self, policy: &Policy, grain: Grain, voices: &Hours) {
        let mut parts: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for (&validator, hours) in voices {
            let scored =
                hours.values().fold(0, |all: i64, (scored, _)| all.saturating_add(*scored));
            let mut value = average(policy, hours);
            if validator.is_none() && policy.averaging == Averaging::Decayed {
                value *= completeness(policy, scored, self.attempted);
            }
            let value = value.clamp(0.0, 1.0);
            self.voices.push(Voice { validator, scored, value });
            self.scored = self.scored.saturating_add(scored);
            let mut own: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
            for (hour, (scored, sum)) in hours {
                let part = own.entry(hour.div_euclid(grain.hours())).or_default();
                *part = (part.0.saturating_add(*scored), part.1.saturating_add(*sum));
            }
            for (part, sums) in own {
                parts.entry(part).or_default().push(mean(sums).clamp(0.0, 1.0));
            }
        }
        self.value = median(self.voices.iter().map(|voice| voice.value).collect());
        let parts: Vec<f64> = parts.into_values().filter_map(median).collect();
        self.latest = parts.last().copied();
        self.best = parts.into_iter().reduce(f64::max);
    }
}

fn mean((scored, sum): (i64, i64)) -> f64 {
    sum as f64 / (scored as f64 * ONE as f64)
}

/// All scores of one voice: their mean, or with those that are older counting less. The age of a score
/// is that of its hour's beginning, from the newest on: the quotient is the same as from now on, and
/// does not become 0/0 when all are old.
fn average(policy: &Policy, hours: &BTreeMap<i64, (i64, i64)>) -> f64 {
    match policy.averaging {
        Averaging::Mean => {
            let add = |(n, sum): (i64, i64), (m, more): &(i64, i64)| {
                (n.saturating_add(*m), sum.saturating_add(*more))
            };
            mean(hours.values().fold((0, 0), add))
        }
        Averaging::Decayed => {
            let newest = hours.keys().next_back().copied().unwrap_or_default();
            let half_life = policy.half_life_millis.max(1) as f64;
            let (mut products, mut parts) = (0.0, 0.0);
            for (hour, (scored, sum)) in hours {
                let age = newest.saturating_sub(*hour).saturating_mul(HOUR);
                let part = libm::exp2(-(age as f64) / half_life);
                products += *sum as f64 * part;
                parts += *scored as f64 * part;
            }
            products / (parts * ONE as f64)
        }
    }
}

/// 1 from the full share of scored tasks on, below it the square root of what is reached of it.
/// Validators score tasks of their own, of which we do not know how many were left undone.
fn completeness(policy: &Policy, scored: i64, attempted: i64) -> f64 {
    if attempted <= 0 {
        return 1.0;
    }
    let share = scored as f64 / attempted as f64;
    let full = policy.completeness_full.max(1) as f64 / ONE as f64;
    if share >= full { 1.0 } else { (share / full).sqrt() }
}

/// The middle one; of an even number the mean of the middle two. `None` of nothing.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = values.get(values.len() / 2 - 1).copied().unwrap_or(upper);
    Some(lower + (upper - lower) / 2.0)
}
