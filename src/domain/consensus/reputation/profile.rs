//! Every validator's words beside what all others say of the same miners.

use std::collections::BTreeMap;

use super::super::field::unbiased;
use super::super::input::Observation;
use super::super::policy::ConsensusPolicy;
use super::super::row::{Mention, Row};
use super::super::validator::Validator;
use crate::domain::ids::MinerUid;
use crate::domain::units::ONE;

/// What one validator says, compared.
#[derive(Debug, Default)]
pub(super) struct Profile {
    /// Its performance scores, by uid.
    pub(super) numbers: Vec<Compared>,
    /// Whether the miner serves, against the majority of the others.
    pub(super) votes: Share,
    /// The same against what we saw.
    pub(super) observed_votes: Share,
}

/// One performance score, compared; millionths.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) uid: MinerUid,
    /// Its distance from the others' weighted median, where they agree enough to have one.
    pub(super) residual: Option<i64>,
    /// The others agree clearly enough to judge it by that distance.
    pub(super) judges: bool,
    /// Its distance from our observation, and how unsure that is.
    pub(super) to_observation: Option<(i64, i64)>,
}

/// A weighed share of words that agree.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Share {
    agreeing: i64,
    all: i64,
    /// Words in it.
    pub(super) words: i64,
}

impl Share {
    pub(super) fn add(&mut self, agrees: bool, weight: i64) {
        self.agreeing += if agrees { weight } else { 0 };
        self.all += weight;
        self.words += 1;
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self {
            agreeing: self.agreeing + other.agreeing,
            all: self.all + other.all,
            words: self.words + other.words,
        }
    }

    /// All of it when there are no words: nothing speaks against.
    pub(super) fn millionths(self) -> i64 {
        (self.agreeing * ONE).checked_div(self.all).unwrap_or(ONE)
    }
}

/// One profile per validator, in their order. A validator without weight (quarantined) is compared
/// like the others but moves nobody's middle.
pub(super) fn profiles(
    policy: &ConsensusPolicy,
    validators: &[Validator],
    rows: &BTreeMap<MinerUid, Row>,
) -> Vec<Profile> {
    let mut profiles: Vec<Profile> = Vec::new();
    profiles.resize_with(validators.len(), Profile::default);
    for (&uid, row) in rows {
        let words: Vec<Spoken<'_>> =
            row.mentions.iter().filter_map(|mention| Spoken::of(mention, validators)).collect();
        let observation =
            row.observation.filter(|seen| seen.evidence >= policy.reputation.observation_min);
        let numbers = Numbers::gather(policy, &words);
        let votes = Votes::count(policy, &words);
        for word in &words {
            let Some(profile) = profiles.get_mut(word.place) else { continue };
            if let Some(raw) = word.raw {
                let middle = numbers.middle_without(word);
                profile.numbers.push(Compared {
                    uid,
                    residual: middle.map(|(middle, _)| raw - middle),
                    judges: middle.is_some_and(|(_, judges)| judges),
                    to_observation: observation.and_then(|seen| distance(raw, seen)),
                });
            }
            let Some(serving) = word.serving() else { continue };
            if let Some(others) = votes.majority_without(word, serving) {
                profile.votes.add(others == serving, 1);
            }
            if let Some(seen) = observation.and_then(|seen| seen.is_serving) {
                profile.observed_votes.add(seen == serving, policy.reputation.observation_factor);
            }
        }
    }
    profiles
}

/// The score's distance from the observed one, and two standard errors of that (a share of
/// `evidence` trials has the variance p(1-p)/n).
fn distance(raw: i64, seen: Observation) -> Option<(i64, i64)> {
    let observed = seen.performance?.millionths();
    let variance = observed * (ONE - observed) / i64::from(seen.evidence.max(1));
    Some((raw - observed, 2 * variance.isqrt()))
}

/// A counted mention.
struct Spoken<'a> {
    place: usize,
    base: i64,
    absent: bool,
    mention: &'a Mention,
    raw: Option<i64>,
    /// What it counts as in the merge: without the bias known at the round's start.
    counted: Option<i64>,
}

impl<'a> Spoken<'a> {
    fn of(mention: &'a Mention, validators: &[Validator]) -> Option<Self> {
        let place = usize::from(mention.validator);
        let validator = validators.get(place).filter(|validator| validator.is_active)?;
        if validator.is_void(mention.order, mention.epoch) {
            return None;
        }
        let absent = validator.leaves_out(mention.order);
        let score = mention.status.performance.filter(|_| !absent);
        let counted = score.and_then(|score| unbiased(score.millionths(), validator.bias));
        // A score cut off at the end of the scale has no distance either.
        let raw = score.filter(|_| counted.is_some()).map(|score| score.millionths());
        Some(Self { place, base: validator.base, absent, mention, raw, counted })
    }

    fn serving(&self) -> Option<bool> {
        if self.absent { Some(false) } else { self.mention.status.is_serving }
    }
}

/// One miner's scores, sorted, with the weight up to each.
struct Numbers<'p> {
    policy: &'p ConsensusPolicy,
    /// Value, place of the validator, weight, weight of all up to here.
    sorted: Vec<(i64, usize, i64, i64)>,
    total: i64,
}

impl<'p> Numbers<'p> {
    fn gather(policy: &'p ConsensusPolicy, words: &[Spoken<'_>]) -> Self {
        let counts = |w: &&Spoken<'_>| w.base > 0;
        let numbers = words.iter().filter(counts);
        let mut sorted: Vec<_> =
            numbers.filter_map(|word| Some((word.counted?, word.place, word.base, 0))).collect();
        sorted.sort_unstable();
        let mut total = 0;
        for entry in &mut sorted {
            total += entry.2;
            entry.3 = total;
        }
        Self { policy, sorted, total }
    }

    /// The weighted lower median of all others, and whether it may judge. `None` when they are too
    /// few, or when less than a third of them stands near it: who are at odds with each other have
    /// no middle. It judges when those near it are the majority even with the judged one's own
    /// weight on the other side: of two against one, the two are not judged by the one.
    fn middle_without(&self, word: &Spoken<'_>) -> Option<(i64, bool)> {
        let own = word.counted.filter(|_| word.base > 0);
        let weight = if own.is_some() { word.base } else { 0 };
        if self.sorted.len() < self.policy.validators_min + usize::from(own.is_some()) {
            return None;
        }
        let key = (own.unwrap_or(i64::MAX), word.place);
        let (total, without) = (self.total - weight, |entry: &(i64, usize, i64, i64)| {
            entry.3 - if (entry.0, entry.1) >= key { weight } else { 0 }
        });
        let place = self.sorted.partition_point(|entry| without(entry) * 2 < total);
        let middle = self.sorted.get(place)?.0;
        let up_to = |limit: i64| {
            let end = self.sorted.partition_point(|entry| entry.0 <= limit);
            end.checked_sub(1).and_then(|last| self.sorted.get(last)).map_or(0, without)
        };
        let tolerance = self.policy.tolerance;
        let near = up_to(middle + tolerance) - up_to(middle - tolerance - 1);
        (near * 3 >= total).then_some((middle, near * 2 > self.total))
    }
}

/// One miner's votes on whether it serves.
struct Votes {
    majority: i64,
    voters_min: usize,
    /// Weight and number of those who say so.
    yes: (i64, usize),
    no: (i64, usize),
}

impl Votes {
    fn count(policy: &ConsensusPolicy, words: &[Spoken<'_>]) -> Self {
        let (mut yes, mut no) = ((0, 0), (0, 0));
        for word in words.iter().filter(|word| word.base > 0) {
            let side = match word.serving() {
                Some(true) => &mut yes,
                Some(false) => &mut no,
                None => continue,
            };
            side.0 += word.base;
            side.1 += 1;
        }
        Self { majority: policy.majority, voters_min: policy.validators_min, yes, no }
    }

    /// What the others' majority says, when it is one.
    fn majority_without(&self, word: &Spoken<'_>, own: bool) -> Option<bool> {
        let (yes, no) = if own {
            (self.yes.0 - word.base, self.no.0)
        } else {
            (self.yes.0, self.no.0 - word.base)
        };
        let voters = self.yes.1 + self.no.1 - usize::from(word.base > 0);
        let most = yes.max(no);
        let is_clear = voters >= self.voters_min && most * ONE >= (yes + no) * self.majority;
        (is_clear && most > 0).then_some(yes >= no)
    }
}
