//! The fields of a status as the merge sees them: their names, and a validator's word on each.

use super::merge::Vote;
use super::verdict::Word;
use crate::domain::ids::Hotkey;
use crate::domain::units::{ONE, RAO_PER_TOKEN};

/// A field that is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    IsServing,
    Hotkey,
    Stake,
    Performance,
    Load,
    Capacity,
    Specialization,
    Ip,
    Port,
    Other,
}

impl Field {
    pub(super) const ALL: [Self; 10] = [
        Self::IsServing,
        Self::Hotkey,
        Self::Stake,
        Self::Performance,
        Self::Load,
        Self::Capacity,
        Self::Specialization,
        Self::Ip,
        Self::Port,
        Self::Other,
    ];

    /// The name it has in reports.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::IsServing => "is_serving",
            Self::Hotkey => "hotkey",
            Self::Stake => "stake",
            Self::Performance => "performance_score",
            Self::Load => "current_load",
            Self::Capacity => "max_capacity",
            Self::Specialization => "task_type_specialization",
            Self::Ip => "ip",
            Self::Port => "port",
            Self::Other => "other",
        }
    }

    /// The size below which a number is not measured relative to itself: a score of 1, one task,
    /// one token.
    pub(super) const fn unit(self) -> i64 {
        match self {
            Self::Stake => RAO_PER_TOKEN,
            Self::Capacity => 1,
            _ => ONE,
        }
    }

    /// The number a vote counts with for this field, its validator's bias removed; an absent miner
    /// has none.
    pub(super) fn number(self, vote: &Vote<'_>) -> Option<i64> {
        let raw = self.raw_number(vote);
        if self == Self::Performance { unbiased(raw?, vote.bias) } else { raw }
    }

    fn raw_number(self, vote: &Vote<'_>) -> Option<i64> {
        if vote.absent {
            return None;
        }
        match self {
            Self::Stake => vote.status.stake.map(|stake| stake.rao()),
            Self::Performance => vote.status.performance.map(|score| score.millionths()),
            Self::Load => vote.status.load_millionths,
            Self::Capacity => vote.status.capacity.map(i64::from),
            _ => None,
        }
    }

    /// The vote's word in a form to show.
    pub(super) fn word(self, vote: &Vote<'_>) -> Option<Word> {
        let status = (!vote.absent).then_some(vote.status);
        match self {
            Self::IsServing => vote.is_serving().map(Word::Flag),
            Self::Hotkey => vote.hotkey().map(|hotkey| Word::Text(hotkey.as_str().to_owned())),
            Self::Stake | Self::Performance | Self::Load | Self::Capacity => {
                self.raw_number(vote).map(Word::Number)
            }
            Self::Specialization => {
                let kinds = status?.specialization.as_ref()?;
                Some(Word::Text(kinds.as_str().to_owned()))
            }
            Self::Ip => status?.ip.map(|ip| Word::Text(ip.to_string())),
            Self::Port => status?.port.map(|port| Word::Number(i64::from(port))),
            Self::Other => status?.other.as_deref().map(|text| Word::Text(text.to_owned())),
        }
    }
}

/// A score without its author's constant bias. A biased score at the end of the scale was cut off
/// there and says only "at least" (or "at most"), so it is no number.
pub(super) fn unbiased(score: i64, bias: i64) -> Option<i64> {
    let is_cut_off = (bias > 0 && score >= ONE) || (bias < 0 && score <= 0);
    (!is_cut_off).then(|| (score - bias).clamp(0, ONE))
}

impl<'a> Vote<'a> {
    /// A miner that the validator no longer lists does not serve, in its view.
    pub(super) fn is_serving(&self) -> Option<bool> {
        if self.absent { Some(false) } else { self.status.is_serving }
    }

    pub(super) fn hotkey(&self) -> Option<&'a Hotkey> {
        if self.absent { None } else { self.status.hotkey.as_ref() }
    }
}
