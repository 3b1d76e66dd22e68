//! The ledger's sums. A *voice* is who scored: this server, from evaluations merged by quorum, or a
//! validator that pushes scores of its own tasks. Scores are summed by hour, voice by voice, so that
//! one voice can be weighed against the others.

use crate::domain::ids::{RegistrationId, ValidatorId};

/// Hours of which scores are wanted: since the Unix epoch, in UTC, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreHours {
    /// From this hour on.
    pub from: i64,
    /// Up to this one, without it.
    pub to: i64,
}

/// What one voice gave one miner at one kind of work in one hour, or on one day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScoreBucket {
    /// Whose.
    pub registration: RegistrationId,
    /// Kind of the tasks.
    pub kind: String,
    /// Who scored; `None` for this server.
    pub voice: Option<ValidatorId>,
    /// The hour, or the first hour of the day.
    pub hour: i64,
    /// How many scores.
    pub scored: i64,
    /// Their sum, millionths.
    pub score_sum: i64,
}

/// What one miner tried and finished at one kind of work, over some days.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkSum {
    /// Whose.
    pub registration: RegistrationId,
    /// Kind of the tasks.
    pub kind: String,
    /// Leases that ended by its own doing.
    pub attempted: i64,
    /// Those of them that it answered.
    pub completed: i64,
}
