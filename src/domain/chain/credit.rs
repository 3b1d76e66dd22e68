//! What the chain made of a miner's weight: who set which share of a vector for it, and what it is paid
//! since. An incentive is credited to no vector that its epoch had not counted: one that is still
//! sealed, or waits for its epoch, stands without.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::snapshot::Snapshot;
use super::submission::{State, Submission};
use crate::domain::ids::{Hotkey, MinerUid, RegistrationId};
use crate::domain::limits::SUBMISSIONS_TOLD_MAX;
use crate::domain::units::Millis;

/// What the chain made of a weight; nothing while nobody told.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChainFigures {
    /// Weight that went on chain, as a share of its vector.
    pub submitted_weight: Option<f64>,
    /// By which validator.
    pub validator_hotkey: Option<Hotkey>,
    /// For which block.
    pub weight_submission_block: Option<i64>,
    /// What the chain pays.
    pub incentive: Option<f64>,
    /// Place by that.
    pub consensus_rank: Option<i64>,
    /// The epoch that set it, its block.
    pub consensus_block: Option<i64>,
    /// What each validator set, the newest first.
    pub submissions: Vec<SetWeight>,
}

/// A weight that one validator set for a miner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetWeight {
    /// By which validator.
    pub validator_hotkey: Hotkey,
    /// For which block.
    pub block: i64,
    /// How far it came.
    pub state: State,
    /// As a share of its vector.
    pub submitted_weight: f64,
}

/// A vector on the chain.
#[derive(Debug, Clone, Copy)]
pub struct Vector<'a> {
    /// Whose, and how far it came.
    pub of: &'a Submission,
    /// Pairs of uid and weight, by uid.
    pub weights: &'a [(MinerUid, u16)],
    /// First heard of.
    pub heard_at: Millis,
}

impl Vector<'_> {
    /// A miner's weight, as it went on chain; nothing where the vector leaves it out.
    #[must_use]
    pub fn weight(&self, uid: MinerUid) -> Option<u16> {
        let place = self.weights.binary_search_by_key(&uid, |(uid, _)| *uid).ok()?;
        self.weights.get(place).map(|(_, weight)| *weight)
    }

    /// The share that a weight is of the vector.
    #[must_use]
    pub fn share(&self, weight: u16) -> f64 {
        f64::from(weight) / self.sum()
    }

    /// All of its weights; never 0.
    fn sum(&self) -> f64 {
        let sum: f64 = self.weights.iter().map(|(_, weight)| f64::from(*weight)).sum();
        sum.max(1.0)
    }

    /// The newest comes last; of one block, the first hotkey.
    fn age(&self) -> (i64, Reverse<&Hotkey>) {
        (self.of.block, Reverse(&self.of.validator))
    }

    fn settled(&self) -> bool {
        self.of.state == State::Settled
    }
}

/// A miner as weights are credited to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// Who.
    pub registration: RegistrationId,
    /// Its uid.
    pub uid: MinerUid,
    /// Its hotkey.
    pub hotkey: Hotkey,
    /// Since which block; 0 when not known.
    pub registered_block: i64,
    /// Not on the subnet any more since.
    pub closed_at: Option<Millis>,
}

impl Weighed {
    /// Whether a vector can mean it, and not whoever had its uid before or after. That somebody else has
    /// the uid is heard some blocks later: what was set meanwhile is for that one.
    fn is_meant(&self, vector: &Vector<'_>, snapshot: Option<&Snapshot>) -> bool {
        let block = vector.of.block;
        let successor = snapshot
            .filter(|snapshot| !is_there(self, snapshot))
            .and_then(|snapshot| snapshot.neurons.get(&self.uid));
        block >= self.registered_block
            && self.closed_at.is_none_or(|closed| vector.heard_at < closed)
            && successor.is_none_or(|neuron| block < neuron.block_at_registration)
    }
}

/// The figures of every miner of which anything is known there. Of each validator the newest vector
/// that an epoch counted speaks, and the newest one that is sent, if that is newer; failed and
/// forgotten ones do not. In the figures stands the newest of the counted ones, else of the sent ones.
#[must_use]
pub fn credit(
    vectors: &[Vector<'_>],
    snapshot: Option<&Snapshot>,
    miners: &[Weighed],
) -> BTreeMap<RegistrationId, ChainFigures> {
    let speaking: Vec<_> =
        speaking(vectors).into_iter().map(|vector| (vector, vector.sum())).collect();
    let ranks = snapshot.map(Snapshot::ranks).unwrap_or_default();
    let mut figures = BTreeMap::new();
    for miner in miners {
        let weighing = speaking.iter().filter(|(vector, _)| miner.is_meant(vector, snapshot));
        let weighing = weighing.filter_map(|(vector, sum)| {
            let weight = vector.weight(miner.uid)?;
            Some((*vector, f64::from(weight) / sum))
        });
        let weighing: Vec<_> = weighing.collect();
        let shown = weighing.iter().max_by_key(|(vector, _)| (vector.settled(), vector.age()));
        let mut of = told(&weighing);
        if let Some((vector, share)) = shown {
            of.submitted_weight = Some(*share);
            of.validator_hotkey = Some(vector.of.validator.clone());
            of.weight_submission_block = Some(vector.of.block);
        }
        let paid = snapshot.filter(|snapshot| {
            shown.is_none_or(|(vector, _)| counted(vector, snapshot)) && is_there(miner, snapshot)
        });
        if let Some((snapshot, neuron)) =
            paid.and_then(|snapshot| Some((snapshot, snapshot.neurons.get(&miner.uid)?)))
        {
            of.incentive = Some(f64::from(neuron.incentive) / f64::from(u16::MAX));
            of.consensus_rank = ranks.get(&miner.uid).map(|rank| i64::from(*rank));
            of.consensus_block = Some(snapshot.last_step);
        }
        if of != ChainFigures::default() {
            figures.insert(miner.registration, of);
        }
    }
    figures
}

/// Of each validator the newest vector that an epoch counted, and the newest one that is sent.
fn speaking<'v, 'a>(vectors: &'v [Vector<'a>]) -> Vec<&'v Vector<'a>> {
    let mut newest: BTreeMap<(&Hotkey, bool), &Vector<'_>> = BTreeMap::new();
    for vector in vectors {
        let settled = match vector.of.state {
            State::Settled => true,
            State::Submitted | State::Committed | State::Revealed => false,
            State::Calculated | State::Failed | State::Reorged => continue,
        };
        let known = newest.entry((&vector.of.validator, settled)).or_insert(vector);
        if known.of.block < vector.of.block {
            *known = vector;
        }
    }
    let counted = |hotkey: &Hotkey| newest.get(&(hotkey, true)).map(|vector| vector.of.block);
    let speaks = newest.iter().filter(|((hotkey, settled), vector)| {
        *settled || counted(hotkey).is_none_or(|block| block < vector.of.block)
    });
    speaks.map(|(_, vector)| *vector).collect()
}

/// What each validator set, as a list.
fn told(weighing: &[(&Vector<'_>, f64)]) -> ChainFigures {
    let mut newest: Vec<_> = weighing.iter().collect();
    newest.sort_unstable_by_key(|(vector, _)| Reverse(vector.age()));
    let set = newest.into_iter().take(SUBMISSIONS_TOLD_MAX).map(|(vector, share)| SetWeight {
        validator_hotkey: vector.of.validator.clone(),
        block: vector.of.block,
        state: vector.of.state,
        submitted_weight: *share,
    });
    ChainFigures { submissions: set.collect(), ..ChainFigures::default() }
}

/// Whether the snapshot's epoch, or one before it, counted the vector.
fn counted(vector: &Vector<'_>, snapshot: &Snapshot) -> bool {
    let settled = vector.of.settled.filter(|_| vector.settled());
    settled.is_some_and(|settled| settled.consensus_block <= snapshot.last_step)
}

/// Whether the snapshot tells of this miner, and of no other one that has its uid.
fn is_there(miner: &Weighed, snapshot: &Snapshot) -> bool {
    snapshot.neurons.get(&miner.uid).is_some_and(|neuron| {
        let (block, known) = (neuron.block_at_registration, miner.registered_block);
        // Its hotkey may have changed since.
        if known != 0 && block != 0 { known == block } else { neuron.hotkey == miner.hotkey }
    })
}

#[cfg(test)]
#[path = "credit_tests.rs"]
mod tests;
