//! The validators' track record: who may be believed, by how much, and why.
//!
//! At the end of a round each validator with a new report is judged once for it: its words against
//! those of all others (leave-one-out) and, with more weight, against what Pithead itself saw.
//! What follows from it counts from the next round on. Pure and in integers like the merge; cost
//! per round is miners x validators, plus validators^2 x a bounded sample for cliques.
//!
//! ```text
//! profiles ──▶ biases, tolerance ──▶ agreement ──▶ trust ──▶ phase ──▶ reputation
//!     └──────▶ cliques ───────────────────────────────────────────────────▲
//! ```

mod bias;
mod clique;
mod profile;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use state::{Phase, Reason, ReputationState, Step};

use super::event::Event;
use super::policy::ConsensusPolicy;
use super::row::Row;
use super::validator::Validator;
use crate::domain::ids::MinerUid;
use crate::domain::units::ONE;
use bias::Scale;
use profile::{Profile, Share};
use state::Judgement;

/// Judges every validator that reported since it was last judged, and groups the cliques anew.
/// A function of the rows, the observations and the states: the order of reports does not matter.
pub(super) fn close_round(
    policy: &ConsensusPolicy,
    round: i64,
    validators: &mut [Validator],
    rows: &BTreeMap<MinerUid, Row>,
) -> Vec<Event> {
    let mut events = Vec::new();
    if !policy.reputation.enabled || !validators.iter().any(Validator::is_unjudged) {
        return events;
    }
    let profiles = profile::profiles(policy, validators, rows);
    let scale = Scale::measure(&policy.reputation, validators, &profiles);
    for (validator, profile) in validators.iter_mut().zip(&profiles) {
        if !validator.is_unjudged() {
            continue;
        }
        let bias = scale.bias_of(profile);
        validator.track.note_bias(&policy.reputation, bias);
        let judgement = judge(policy, &scale, validator, profile);
        validator.mark_judged();
        let hotkey = validator.hotkey.clone();
        events.extend(validator.track.take(&policy.reputation, round, judgement, hotkey));
    }
    events.extend(clique::group(&policy.reputation, round, validators, &profiles, &scale));
    events
}

/// What one report's words were worth. Numbers and votes are judged apart and the worse counts, so
/// that true votes buy no lies in numbers.
fn judge(
    policy: &ConsensusPolicy,
    scale: &Scale,
    validator: &Validator,
    profile: &Profile,
) -> Judgement {
    let factor = policy.reputation.observation_factor;
    let bias = validator.track.bias_for_judging(&policy.reputation, scale.bias_of(profile));
    let (mut peers, mut observed) = (Share::default(), Share::default());
    for number in &profile.numbers {
        if let Some(residual) = number.residual.filter(|_| number.judges) {
            peers.add(scale.agrees(residual - scale.centre - bias, 0), 1);
        }
        if let Some((distance, slack)) = number.to_observation {
            observed.add(scale.agrees(distance - scale.offset - bias, slack), factor);
        }
    }
    let numbers = peers.with(observed);
    let votes = profile.votes.with(profile.observed_votes);
    let agreement = numbers.millionths().min(votes.millionths());
    let seen = observed.with(profile.observed_votes).millionths();
    let miners = numbers.words.max(votes.words).min(policy.reputation.evidence_full);
    Judgement {
        agreement,
        weight: (miners * ONE).checked_div(policy.reputation.evidence_full).unwrap_or(0),
        dissent: match () {
            () if ONE - agreement <= policy.reputation.dissent_min => Reason::Agrees,
            () if seen < ONE - policy.reputation.dissent_min => Reason::ContradictedByObservation,
            () if votes.millionths() < numbers.millionths() => Reason::VotesDiffer,
            () => Reason::NumbersDiffer,
        },
    }
}
