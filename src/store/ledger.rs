//! The ledger's sums. A *voice* is who scored: this server, from evaluations merged by quorum, or a
//! validator that pushes scores of its own tasks. Scores are summed by hour, voice by voice, so that
//! one voice can be weighed against the others.

use super::Nonce;
use crate::domain::ids::{RegistrationId, ValidatorId};
use crate::domain::units::{Millis, Score};

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

/// What a validator gave for a task of its own. One that scores the same miner, kind and moment again
/// says the same, or is not heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedScore {
    /// Whose work.
    pub registration: RegistrationId,
    /// Kind of the task.
    pub kind: String,
    /// Scored.
    pub scored_at: Millis,
    /// The score.
    pub score: Score,
    /// The chain's block of then, if it was said.
    pub block: Option<i64>,
}

/// See [`super::Store::put_scores`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutScores {
    /// Who scored.
    pub validator: ValidatorId,
    /// The scores.
    pub scores: Vec<PushedScore>,
    /// Received.
    pub now: Millis,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// What became of a pushed score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScorePut {
    /// It is new, and counts.
    New,
    /// It was there before, as it is.
    Same,
    /// It was there before, with another value, which stands.
    Conflict,
}

/// What this server gave one miner at one kind of work in one hour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HourSum {
    /// Whose.
    pub registration: RegistrationId,
    /// Kind of the tasks.
    pub kind: String,
    /// How many scores.
    pub scored: i64,
    /// Their sum, millionths.
    pub score_sum: i64,
}

/// The sums of this server's own scores of one hour, in place of those that stood for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutHour {
    /// Since the Unix epoch, in UTC.
    pub hour: i64,
    /// By miner and kind, each once.
    pub sums: Vec<HourSum>,
}

/// Work of one miner at one kind on one day, to be added to what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkDay {
    /// Whose.
    pub registration: RegistrationId,
    /// Kind of the tasks.
    pub kind: String,
    /// Days since the Unix epoch, in UTC.
    pub day: i64,
    /// Leases that ended by its own doing.
    pub attempted: i64,
    /// Those of them that it answered.
    pub completed: i64,
}

/// An hour in which a voice scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScoredHour {
    /// Who; `None` for this server.
    pub voice: Option<ValidatorId>,
    /// Hours since the Unix epoch.
    pub hour: i64,
}
