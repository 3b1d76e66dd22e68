//! A merge once more, with every step shown: for people, and for checking us.

use std::cmp::Ordering;

use serde::Serialize;

use super::field::Field;
use super::merge::{Ballot, Count, Heard};
use super::number::Merged;
use super::policy::{ConsensusPolicy, MergeMode};
use super::verdict::{Verdict, VoterName, Word};
use super::vote::Tally;
use crate::domain::units::ONE;

/// A verdict with what led to it. Weights and shares are in millionths.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// Which merge.
    pub mode: MergeMode,
    /// Everybody on the ballot, counted or not.
    pub votes: Vec<VoteExplanation>,
    /// Each field with its words, steps and reason.
    pub fields: Vec<FieldExplanation>,
    /// The result, byte for byte what the merge publishes.
    pub verdict: Verdict,
}

/// One validator's part in a verdict.
#[derive(Debug, Clone, Serialize)]
pub struct VoteExplanation {
    /// The validator.
    pub validator: VoterName,
    /// With the validator, this names the stored report.
    pub signed_nanos: i64,
    /// Its newest full report leaves the miner out.
    pub absent: bool,
    /// Base weight: capped share of stake x reputation.
    pub base: i64,
    /// Constant bias taken off its performance scores.
    pub bias: i64,
    /// Its reputation in this round.
    pub reputation: i64,
    /// Its share in its clique, within the reputation.
    pub clique_share: i64,
    /// Report period, milliseconds.
    pub period: i64,
    /// Report confidence; 0 when the vote was not counted.
    pub confidence: i64,
    /// 2^(-age/period); 0 when the vote was not counted.
    pub freshness: i64,
    /// Weight in numeric merges: the product of the three.
    pub weight: i64,
}

/// One field of a verdict.
#[derive(Debug, Clone, Serialize)]
pub struct FieldExplanation {
    /// The field's name in reports.
    pub field: &'static str,
    /// What is published, in the field's integer unit.
    pub result: Option<Word>,
    /// Why, in one sentence.
    pub reason: String,
    /// Weighted lower median, for merged numbers.
    pub median: Option<i64>,
    /// Distance from the median beyond which numbers counted nothing.
    pub reach: Option<i64>,
    /// Weighted lower third: the result is never below it.
    pub lower_third: Option<i64>,
    /// Weighted upper third: the result is never above it.
    pub upper_third: Option<i64>,
    /// Everybody's word.
    pub words: Vec<WordExplanation>,
}

/// One validator's word on one field.
#[derive(Debug, Clone, Serialize)]
pub struct WordExplanation {
    /// The validator.
    pub validator: VoterName,
    /// Its word.
    pub word: Word,
    /// The number it counted as, where that is another one: its validator's bias was removed.
    pub counted_as: Option<i64>,
    /// The weight it had here.
    pub weight: i64,
    /// It lay too far from the median and counted nothing.
    pub clipped: bool,
}

/// Redoes the merge of `ballot` and shows its steps.
#[must_use]
pub fn explain(policy: &ConsensusPolicy, ballot: &Ballot<'_>) -> Explanation {
    let count = Count::new(policy, ballot);
    let verdict = count.verdict(ballot);
    let fields = Field::ALL.map(|field| explain_field(policy, ballot, &count, &verdict, field));
    Explanation {
        mode: policy.mode,
        votes: explain_votes(ballot, &count.heard),
        fields: fields.into(),
        verdict,
    }
}

fn explain_votes(ballot: &Ballot<'_>, heard: &[Heard<'_>]) -> Vec<VoteExplanation> {
    let mut votes: Vec<_> = ballot.votes.iter().collect();
    votes.sort_unstable_by_key(|vote| vote.rank);
    let explained = votes.into_iter().map(|vote| {
        let counted = heard.iter().find(|heard| heard.vote.rank == vote.rank);
        VoteExplanation {
            validator: vote.validator.clone(),
            signed_nanos: vote.signed_nanos,
            absent: vote.absent,
            base: vote.base,
            bias: vote.bias,
            reputation: vote.reputation.millionths(),
            clique_share: vote.clique_share,
            period: vote.period,
            confidence: counted.map_or(0, |heard| heard.confidence),
            freshness: counted.map_or(0, |heard| heard.freshness),
            weight: counted.map_or(0, |heard| heard.weight / ONE / ONE),
        }
    });
    explained.collect()
}

fn explain_field(
    policy: &ConsensusPolicy,
    ballot: &Ballot<'_>,
    count: &Count<'_>,
    verdict: &Verdict,
    field: Field,
) -> FieldExplanation {
    let merged = match field {
        Field::Stake => count.stake,
        Field::Performance => count.performance,
        Field::Load => count.load,
        _ => None,
    };
    let is_vote = matches!(field, Field::IsServing | Field::Hotkey);
    let votes_by_base = is_vote && policy.mode == MergeMode::Robust;
    let words = count.heard.iter().filter_map(|heard| {
        let weight = if votes_by_base { heard.vote.base } else { heard.weight / ONE / ONE };
        let number = field.number(&heard.vote);
        let word = field.word(&heard.vote)?;
        Some(WordExplanation {
            validator: heard.vote.validator.clone(),
            counted_as: number.filter(|number| word != Word::Number(*number)),
            word,
            weight,
            clipped: merged.zip(number).is_some_and(|(merged, number)| merged.clips(number)),
        })
    });
    let words: Vec<_> = words.collect();
    let result = published(verdict, field);
    FieldExplanation {
        field: field.name(),
        reason: reason(policy, ballot, count, field, &words),
        result,
        median: merged.map(|merged| merged.median),
        reach: merged.and_then(|merged| merged.reach),
        lower_third: merged.map(|merged| merged.lower_third),
        upper_third: merged.map(|merged| merged.upper_third),
        words,
    }
}

fn published(verdict: &Verdict, field: Field) -> Option<Word> {
    match field {
        Field::IsServing => verdict.is_serving.map(Word::Flag),
        Field::Hotkey => verdict.hotkey.as_ref().map(|key| Word::Text(key.as_str().to_owned())),
        Field::Stake => verdict.stake.map(|stake| Word::Number(stake.rao())),
        Field::Performance => verdict.performance.map(|score| Word::Number(score.millionths())),
        Field::Load => verdict.load_millionths.map(Word::Number),
        Field::Capacity => verdict.capacity.map(|capacity| Word::Number(i64::from(capacity))),
        Field::Specialization => {
            verdict.specialization.as_ref().map(|kinds| Word::Text(kinds.as_str().to_owned()))
        }
        Field::Ip => verdict.ip.map(|ip| Word::Text(ip.to_string())),
        Field::Port => verdict.port.map(|port| Word::Number(i64::from(port))),
        Field::Other => verdict.other.as_deref().map(|text| Word::Text(text.to_owned())),
    }
}

fn reason(
    policy: &ConsensusPolicy,
    ballot: &Ballot<'_>,
    count: &Count<'_>,
    field: Field,
    words: &[WordExplanation],
) -> String {
    let known = ballot.chain.is_some_and(|facts| match field {
        Field::Hotkey | Field::Stake => true,
        Field::Ip => facts.ip.is_some(),
        Field::Port => facts.port.is_some(),
        _ => false,
    });
    if known {
        return "the chain says so".to_owned();
    }
    match field {
        Field::IsServing => {
            vote_reason(count, &count.serving, ballot.previous.is_serving.is_some())
        }
        Field::Hotkey => vote_reason(count, &count.hotkey, ballot.previous.hotkey.is_some()),
        _ if words.is_empty() => "nobody reports it".to_owned(),
        Field::Stake => number_reason(count.stake, words),
        Field::Performance => number_reason(count.performance, words),
        Field::Load => number_reason(count.load, words),
        Field::Capacity if policy.mode == MergeMode::Robust => "weighted lower median".to_owned(),
        Field::Capacity | Field::Specialization | Field::Ip | Field::Port | Field::Other => {
            let share = policy.recent_share / 10_000;
            format!("most recent among reports of at least {share} % of the highest weight")
        }
    }
}

fn vote_reason<T: Ord + Copy>(count: &Count<'_>, tally: &Tally<T>, has_previous: bool) -> String {
    let Some(&(_, weight)) = tally.words.first() else {
        let kept = if has_previous { "; the last agreed value stays" } else { "" };
        return format!("nobody reports it{kept}");
    };
    let share = percent(weight, count.whole(tally));
    if count.winner(tally).is_some() {
        return format!("{share} of the weight agree");
    }
    let kept = if has_previous { "the last agreed value stays" } else { "nothing was agreed yet" };
    format!("only {share} of the weight agree; {kept}")
}

fn number_reason(merged: Option<Merged>, words: &[WordExplanation]) -> String {
    let Some(merged) = merged else { return "nobody's word has weight".to_owned() };
    if merged.reach.is_none() {
        return "weighted average of all".to_owned();
    }
    let clipped = words.iter().filter(|word| word.clipped).count();
    let edge = match merged.average.cmp(&merged.value) {
        Ordering::Less => ", raised to the weighted lower third",
        Ordering::Equal => "",
        Ordering::Greater => ", lowered to the weighted upper third",
    };
    format!("weighted average of {} of {}{edge}", words.len() - clipped, words.len())
}

fn percent(part: i64, whole: i64) -> String {
    let tenths = (i128::from(part) * 1_000).checked_div(i128::from(whole)).unwrap_or(0);
    format!("{}.{} %", tenths / 10, tenths % 10)
}
