//! One miner's ballot to one verdict, as a pure function.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::field::Field;
use super::number::{Merged, Sample, lower_median, merge_numbers, tolerance};
use super::policy::{ConsensusPolicy, MergeMode};
use super::recent::{Candidate, most_recent};
use super::verdict::{Agreed, Conflict, Verdict, Voice, VoterName};
use super::vote::Tally;
use super::weights::decay;
use crate::domain::ids::{Hotkey, MinerUid};
use crate::domain::report::{MinerStatus, report_confidence};
use crate::domain::units::{Millis, ONE, Score, Stake};

/// One active validator's newest word on the miner.
#[derive(Debug, Clone, Copy)]
pub struct Vote<'a> {
    /// Who speaks.
    pub validator: &'a VoterName,
    /// Its place among all validators by name; votes are shown in this order.
    pub rank: u16,
    /// Its base weight in millionths; those of all active validators sum to 1,000,000.
    pub base: i64,
    /// Constant bias to take off its performance scores, millionths; 0 when none is known.
    pub bias: i64,
    /// Its reputation in this round; `base` holds it already.
    pub reputation: Score,
    /// Its share in its clique, millionths; `reputation` holds it already.
    pub clique_share: i64,
    /// Its report period in milliseconds.
    pub period: i64,
    /// When it signed the report that mentions the miner, nanoseconds.
    pub signed_nanos: i64,
    /// Its newest full report no longer lists the miner.
    pub absent: bool,
    /// What it last said.
    pub status: &'a MinerStatus,
}

/// What the chain says about a registration; it is not put to the vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainFacts {
    /// The registered hotkey.
    pub hotkey: Hotkey,
    /// Its stake.
    pub stake: Stake,
    /// The axon's address, if it announced one.
    pub ip: Option<IpAddr>,
    /// The axon's port.
    pub port: Option<u16>,
}

/// Everything a verdict depends on, besides the policy.
#[derive(Debug, Clone)]
pub struct Ballot<'a> {
    /// The miner.
    pub uid: MinerUid,
    /// The round; ages count from its start.
    pub round: i64,
    /// Each active validator's vote, at most one per validator, in any order.
    pub votes: Vec<Vote<'a>>,
    /// What the previous round ended with.
    pub previous: &'a Agreed,
    /// The metagraph's row, when a snapshot is known.
    pub chain: Option<&'a ChainFacts>,
}

/// Merges a ballot. Equal ballots give equal verdicts, whatever the order of the votes.
#[must_use]
pub fn merge(policy: &ConsensusPolicy, ballot: &Ballot<'_>) -> Verdict {
    Count::new(policy, ballot).verdict(ballot)
}

/// A vote that counts, with its weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard<'a> {
    pub(super) vote: Vote<'a>,
    /// Report confidence, millionths.
    pub(super) confidence: i64,
    /// 2^(-age/period), millionths.
    pub(super) freshness: i64,
    /// Base x confidence x freshness, in 10^-18.
    pub(super) weight: i64,
}

/// A counted ballot: what [`merge`] publishes and [`super::explain`] shows.
pub(super) struct Count<'a> {
    policy: &'a ConsensusPolicy,
    pub(super) heard: Vec<Heard<'a>>,
    pub(super) serving: Tally<bool>,
    pub(super) hotkey: Tally<&'a Hotkey>,
    pub(super) stake: Option<Merged>,
    pub(super) performance: Option<Merged>,
    pub(super) load: Option<Merged>,
    pub(super) capacity: Option<i64>,
}

impl<'a> Count<'a> {
    pub(super) fn new(policy: &'a ConsensusPolicy, ballot: &Ballot<'a>) -> Self {
        let heard = hear(policy, ballot);
        let mut samples = Vec::with_capacity(heard.len());
        let mut merged = |field: Field| {
            fill(&mut samples, &heard, field);
            merge_numbers(&mut samples, field.unit(), policy)
        };
        let stake = if ballot.chain.is_some() { None } else { merged(Field::Stake) };
        let (performance, load) = (merged(Field::Performance), merged(Field::Load));
        let weigh = |h: &Heard<'_>| match policy.mode {
            MergeMode::Seed => h.weight / ONE,
            MergeMode::Robust => h.vote.base,
        };
        let serving =
            Tally::count(heard.iter().filter_map(|h| Some((h.vote.is_serving()?, weigh(h)))));
        let hotkey = Tally::count(heard.iter().filter_map(|h| Some((h.vote.hotkey()?, weigh(h)))));
        let capacity = match policy.mode {
            MergeMode::Seed => recent(policy, &heard, |h| Field::Capacity.number(&h.vote)),
            // A number like the others: the newest of one liar must not set it.
            MergeMode::Robust => {
                fill(&mut samples, &heard, Field::Capacity);
                lower_median(&mut samples)
            }
        };
        Self { policy, heard, serving, hotkey, stake, performance, load, capacity }
    }

    /// The weight of which a vote needs the majority.
    pub(super) fn whole<T: Ord + Copy>(&self, tally: &Tally<T>) -> i64 {
        match self.policy.mode {
            MergeMode::Seed => tally.cast,
            MergeMode::Robust => ONE,
        }
    }

    pub(super) fn winner<T: Ord + Copy>(&self, tally: &Tally<T>) -> Option<T> {
        tally.winner(self.policy.majority, self.whole(tally))
    }

    fn single_source(&self) -> bool {
        self.heard.len() < self.policy.validators_min
    }

    /// What to publish when nothing was ever agreed: a lone voice, marked as such.
    fn lone_word<T: Ord + Copy>(&self, tally: &Tally<T>) -> Option<T> {
        let lone = self.single_source() && !tally.is_split();
        tally.words.first().filter(|_| lone).map(|word| word.0)
    }

    pub(super) fn verdict(&self, ballot: &Ballot<'_>) -> Verdict {
        let (previous, chain) = (ballot.previous, ballot.chain);
        let mut verdict = self.values(ballot);
        let agreed_serving = self.winner(&self.serving);
        let agreed_hotkey = chain.map(|facts| &facts.hotkey).or(self.winner(&self.hotkey));
        verdict.is_serving =
            agreed_serving.or(previous.is_serving).or_else(|| self.lone_word(&self.serving));
        verdict.hotkey = agreed_hotkey
            .or(previous.hotkey.as_ref())
            .or_else(|| self.lone_word(&self.hotkey))
            .cloned();
        verdict.agreed = previous.clone();
        // A lone voice may be shown, but only a quorum of distinct validators agrees.
        if !verdict.single_source && agreed_serving.is_some() {
            verdict.agreed.is_serving = agreed_serving;
        }
        if (chain.is_some() || !verdict.single_source) && agreed_hotkey.is_some() {
            verdict.agreed.hotkey = agreed_hotkey.cloned();
        }
        self.judge(&mut verdict, chain.is_some());
        verdict
    }

    /// The fields that are no votes, with nothing judged yet.
    fn values(&self, ballot: &Ballot<'_>) -> Verdict {
        let (heard, chain) = (self.heard.as_slice(), ballot.chain);
        let recent_ip = || recent(self.policy, heard, |h| h.listed()?.ip);
        let recent_port = || recent(self.policy, heard, |h| h.listed()?.port);
        let mut mentions: Vec<Sample> =
            heard.iter().map(|h| (h.vote.signed_nanos / 1_000_000, h.vote.base)).collect();
        Verdict {
            uid: ballot.uid,
            round: ballot.round,
            hotkey: None,
            stake: chain
                .map(|facts| facts.stake)
                .or(self.stake.map(|merged| Stake::from_rao(merged.value))),
            is_serving: None,
            performance: self.performance.map(|merged| Score::clamped(merged.value)),
            load_millionths: self.load.map(|merged| merged.value),
            capacity: self.capacity.and_then(|capacity| u32::try_from(capacity).ok()),
            specialization: recent(self.policy, heard, |h| h.listed()?.specialization.as_ref())
                .cloned(),
            ip: chain.and_then(|facts| facts.ip).or_else(recent_ip),
            port: chain.and_then(|facts| facts.port).or_else(recent_port),
            other: recent(self.policy, heard, |h| h.listed()?.other.as_ref()).cloned(),
            last_seen: lower_median(&mut mentions).map(Millis),
            confidence: Score::ZERO,
            coverage: Score::ZERO,
            agreement: Score::ZERO,
            freshness: Score::ZERO,
            validators: heard.iter().map(|h| h.vote.validator.clone()).collect(),
            conflicts: Vec::new(),
            contested: false,
            single_source: self.single_source(),
            agreed: Agreed::default(),
        }
    }

    /// Confidence, conflicts and whether the verdict is contested.
    fn judge(&self, verdict: &mut Verdict, on_chain: bool) {
        let mut shares: Vec<i64> = Vec::with_capacity(5);
        let mut conflicts = Vec::new();
        let serving_failed = self.serving.is_split() && self.winner(&self.serving).is_none();
        let hotkey_failed =
            !on_chain && self.hotkey.is_split() && self.winner(&self.hotkey).is_none();
        shares.extend(vote_share(&self.serving, verdict.is_serving));
        shares.extend(vote_share(&self.hotkey, verdict.hotkey.as_ref()));
        for (field, failed) in [(Field::IsServing, serving_failed), (Field::Hotkey, hotkey_failed)]
        {
            if failed {
                conflicts.push(self.conflict(field));
            }
        }
        // A load differs by what the miner can carry, not by what it happens to carry now.
        let capacity = i64::from(verdict.capacity.unwrap_or(1)) * ONE;
        for (field, published, unit) in [
            (Field::Stake, verdict.stake.map(|stake| stake.rao()), Field::Stake.unit()),
            (Field::Performance, verdict.performance.map(|score| score.millionths()), ONE),
            (Field::Load, verdict.load_millionths, capacity),
        ] {
            let share = published.and_then(|value| self.number_share(field, value, unit));
            // Who looked at another moment saw another load: that is no contradiction.
            let is_excused = field == Field::Load || (on_chain && field == Field::Stake);
            if !is_excused && share.is_some_and(|share| share < self.policy.majority) {
                conflicts.push(self.conflict(field));
            }
            shares.extend(share);
        }
        verdict.conflicts = conflicts;
        let agreement =
            shares.iter().sum::<i64>() / i64::try_from(shares.len().max(1)).unwrap_or(1);
        let coverage: i64 = self.heard.iter().map(|h| h.vote.base).sum();
        // Coverage x freshness in one sum: a further voter can only add to it.
        let fresh: i64 = self.heard.iter().map(|h| h.vote.base * h.freshness).sum();
        verdict.coverage = Score::clamped(coverage);
        verdict.agreement = Score::clamped(agreement);
        verdict.freshness = Score::clamped(fresh / coverage.max(1));
        verdict.confidence = Score::clamped(fresh / ONE * agreement / ONE);
        let dissent = if shares.is_empty() { 0 } else { ONE - agreement };
        verdict.contested = serving_failed || hotkey_failed || dissent > self.policy.conflict_max;
    }

    /// Share of the base weight with this number that lies close to the published one.
    fn number_share(&self, field: Field, published: i64, unit: i64) -> Option<i64> {
        let tolerance = tolerance(published, unit, self.policy);
        let (mut near, mut all) = (0, 0);
        for heard in &self.heard {
            if let Some(value) = field.number(&heard.vote) {
                all += heard.vote.base;
                if value.abs_diff(published) <= tolerance {
                    near += heard.vote.base;
                }
            }
        }
        (near * ONE).checked_div(all)
    }

    fn conflict(&self, field: Field) -> Conflict {
        let voices = self.heard.iter().filter_map(|heard| {
            let word = field.word(&heard.vote)?;
            Some(Voice { validator: heard.vote.validator.clone(), word })
        });
        Conflict { field: field.name().to_owned(), voices: voices.collect() }
    }
}

impl<'a> Heard<'a> {
    /// What the validator says of a miner that it still lists.
    fn listed(&self) -> Option<&'a MinerStatus> {
        (!self.vote.absent).then_some(self.vote.status)
    }
}

/// The votes that count, in order of the validators' names.
fn hear<'a>(policy: &ConsensusPolicy, ballot: &Ballot<'a>) -> Vec<Heard<'a>> {
    let start = Millis(ballot.round.saturating_mul(policy.round));
    let mut heard = Vec::with_capacity(ballot.votes.len());
    for &vote in &ballot.votes {
        let age = start.since(Millis(vote.signed_nanos / 1_000_000)).max(0);
        // A miner left out is left out anew by every full report: that word does not age.
        let age = if vote.absent { 0 } else { age };
        if vote.base <= 0 || age >= policy.active_periods.saturating_mul(vote.period) {
            continue;
        }
        let confidence = report_confidence(vote.status, age).millionths();
        let freshness = decay(age, vote.period);
        let weight = vote.base * confidence * freshness;
        heard.push(Heard { vote, confidence, freshness, weight });
    }
    heard.sort_unstable_by_key(|h| h.vote.rank);
    heard
}

fn fill(samples: &mut Vec<Sample>, heard: &[Heard<'_>], field: Field) {
    samples.clear();
    let weighed = |h: &Heard<'_>| Some((field.number(&h.vote)?, h.weight));
    samples.extend(heard.iter().filter_map(weighed).filter(|sample| sample.1 > 0));
}

fn recent<'a, T: Ord + Copy>(
    policy: &ConsensusPolicy,
    heard: &[Heard<'a>],
    word: impl Fn(&Heard<'a>) -> Option<T> + Clone,
) -> Option<T> {
    let candidates = heard.iter().filter_map(move |h| {
        let weight = match policy.mode {
            MergeMode::Seed => h.confidence,
            MergeMode::Robust => h.weight,
        };
        Some(Candidate { word: word(h)?, weight, signed_nanos: h.vote.signed_nanos })
    });
    most_recent(candidates, policy.recent_share)
}

/// Share of the cast weight behind the published word. Nothing published and no contradiction:
/// too few spoke, which coverage tells already.
fn vote_share<T: Ord + Copy>(tally: &Tally<T>, published: Option<T>) -> Option<i64> {
    let weight = match published {
        Some(word) => tally.weight_of(word),
        None if tally.is_split() => 0,
        None => return None,
    };
    let share = i128::from(weight) * i128::from(ONE);
    share.checked_div(i128::from(tally.cast)).and_then(|share| i64::try_from(share).ok())
}
