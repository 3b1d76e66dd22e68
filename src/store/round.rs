//! The end of a consensus round, and what is kept of it.

use serde_json::Value;

use super::VerdictRow;
use crate::domain::audit::Fact;
use crate::domain::ids::ValidatorId;
use crate::domain::units::Millis;

/// See [`super::Store::close_round`]. Written as one: no track record without the values that it was
/// judged by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloseRound {
    /// Agreed values that changed.
    pub verdicts: Vec<VerdictRow>,
    /// Track records that changed.
    pub tracks: Vec<TrackRow>,
    /// What the round's verdicts depended on; `None` when nothing was merged in it.
    pub minutes: Option<RoundRow>,
    /// What it has to tell the audit log of this subnet.
    pub facts: Vec<Fact>,
    /// The subnet.
    pub netuid: u16,
    /// Now.
    pub now: Millis,
}

impl CloseRound {
    /// Whether there is anything to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
            && self.tracks.is_empty()
            && self.minutes.is_none()
            && self.facts.is_empty()
    }
}

/// A validator's track record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackRow {
    /// Who.
    pub validator: ValidatorId,
    /// The record.
    pub body: Value,
}

/// The minutes of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundRow {
    /// The round.
    pub round: i64,
    /// When it was closed.
    pub closed_at: Millis,
    /// The minutes as JSON (compressed by the store).
    pub body: Vec<u8>,
}
