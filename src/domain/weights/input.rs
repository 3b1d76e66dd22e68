//! What the pipeline counts with, checked at the door: after it, no score is strange and none is
//! there twice.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use serde::{Deserialize, Serialize};

use super::WeightsError;
use crate::domain::ids::{MinerUid, RegistrationId};
use crate::domain::limits::{
    NAME_CHARS_MAX, WEIGHT_KINDS_MAX, WEIGHT_MINERS_MAX, WEIGHT_SCORES_MAX,
};

/// Whom a weight is for. Two owners of one uid are two miners, told apart by their registrations;
/// the order is that of uids, then of registrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Miner {
    /// Place in the subnet.
    pub uid: MinerUid,
    /// Whose; `None` where a uid has one owner only, as in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<RegistrationId>,
}

impl From<MinerUid> for Miner {
    fn from(uid: MinerUid) -> Self {
        Self { uid, registration: None }
    }
}

/// A kind of task as far as weights go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightedKind {
    /// Name.
    pub name: String,
    /// What its scores are multiplied with, 0..=1. Only their ratios matter to the final weights; a
    /// kind of weight 0 counts for nothing, also not as one kind more.
    pub weight: f64,
    /// Whether diversity spreads its scores around their mean by a sigmoid.
    pub sigmoid: bool,
}

/// How good one miner was at one kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskValue<'a> {
    /// Who.
    pub miner: Miner,
    /// Name of the kind.
    pub kind: &'a str,
    /// How good, 0..=1.
    pub score: f64,
}

/// A task value whose kind is known, by its place among the kinds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) miner: Miner,
    pub(super) kind: usize,
    pub(super) score: f64,
}

/// The values in the order of miners, then of kinds.
///
/// # Errors
/// [`WeightsError`] for the first kind or value that cannot be used.
pub(super) fn cells(
    kinds: &[WeightedKind],
    values: &[TaskValue<'_>],
) -> Result<Vec<Cell>, WeightsError> {
    let places = check_kinds(kinds)?;
    if values.len() > WEIGHT_SCORES_MAX {
        return Err(WeightsError::TooManyScores { max: WEIGHT_SCORES_MAX });
    }
    let mut seen = BTreeMap::new();
    let mut miners = 0;
    for (index, value) in values.iter().enumerate() {
        let Some(&kind) = places.get(value.kind) else {
            let got = value.kind.chars().take(NAME_CHARS_MAX).collect();
            return Err(WeightsError::UnknownKind { index, got });
        };
        if !(0.0..=1.0).contains(&value.score) {
            return Err(WeightsError::BadScore { index, got: value.score });
        }
        match seen.entry((value.miner, kind)) {
            Slot::Occupied(slot) => {
                let &(first, _) = slot.get();
                return Err(WeightsError::DoubledScore { index, first });
            }
            // A score of -0 is one of 0.
            Slot::Vacant(slot) => slot.insert((index, value.score + 0.0)),
        };
    }
    let mut cells: Vec<Cell> = Vec::with_capacity(seen.len());
    for ((miner, kind), (_, score)) in seen {
        miners += usize::from(cells.last().is_none_or(|last| last.miner != miner));
        cells.push(Cell { miner, kind, score });
    }
    if miners > WEIGHT_MINERS_MAX {
        return Err(WeightsError::TooManyMiners { max: WEIGHT_MINERS_MAX });
    }
    Ok(cells)
}

/// The place of each kind by its name.
fn check_kinds(kinds: &[WeightedKind]) -> Result<BTreeMap<&str, usize>, WeightsError> {
    if kinds.len() > WEIGHT_KINDS_MAX {
        return Err(WeightsError::TooManyKinds { max: WEIGHT_KINDS_MAX });
    }
    let mut places = BTreeMap::new();
    for (index, kind) in kinds.iter().enumerate() {
        if kind.name.is_empty() || kind.name.chars().count() > NAME_CHARS_MAX {
            return Err(WeightsError::BadKindName { index, max: NAME_CHARS_MAX });
        }
        if !(0.0..=1.0).contains(&kind.weight) {
            return Err(WeightsError::BadKindWeight { index, got: kind.weight });
        }
        if let Some(first) = places.insert(kind.name.as_str(), index) {
            return Err(WeightsError::DoubledKind { index, first });
        }
    }
    Ok(places)
}
