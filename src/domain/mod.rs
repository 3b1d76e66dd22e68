//! The rules, as pure functions of values and `now`: no clock, no randomness of their own, no I/O.
//! What the actors decide and the store enforces is written down here once.

pub mod address;
pub mod agreement;
pub mod audit;
pub mod budget;
pub mod chain;
pub mod consensus;
pub mod estimate;
pub mod evaluation;
pub mod ids;
pub mod kind;
pub mod leaderboard;
pub mod lease;
pub mod limits;
pub mod miner;
pub mod period;
pub mod pushed;
pub mod queue;
pub mod redundancy;
pub mod report;
pub mod roster;
pub mod selection;
pub mod task;
pub mod units;
pub mod watch;
pub mod webhook;
pub mod weights;
