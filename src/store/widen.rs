//! Slots that a task gets after it was taken in: more answers, or a second miner for a straggler.

use serde::{Deserialize, Serialize};

use super::Grant;
use crate::domain::ids::{LeaseToken, TaskId};
use crate::domain::units::Millis;

/// How many answers a task wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replication {
    /// Answers wanted.
    pub slots: u16,
    /// Answers that end it at once.
    pub enough: u16,
}

/// See [`super::Store::widen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widen {
    /// The task; it must be open and want one answer.
    pub task: TaskId,
    /// What it wants from now on.
    pub to: Replication,
    /// Now.
    pub now: Millis,
}

/// See [`super::Store::hedge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hedge {
    /// The straggler's lease.
    pub of: LeaseToken,
    /// The lease to open beside it: its slot is the task's next number, its attempt the first.
    pub grant: Grant,
    /// Now.
    pub now: Millis,
}
