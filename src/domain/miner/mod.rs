//! What this server itself knows of a miner: how its leases of each kind ended and how fast, when
//! it was last heard of, and whether to leave it alone for a while. What validators say about it is
//! the consensus' part.

mod breaker;
mod contact;
mod kind;
mod latency;
mod pace;

pub use breaker::{Breaker, Gate};
pub use contact::{Contact, observation};
pub use kind::{KindRecord, KindRecords};
pub use latency::Latencies;
pub use pace::Paces;

/// How a miner's leases and evaluations went so far, over all kinds. Counters move in the
/// transactions that end leases, so that they survive any crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    /// Leases answered.
    pub answered: i64,
    /// Leases lost by the miner's own fault.
    pub lost: i64,
    /// Responses that were scored.
    pub scored: i64,
    /// Sum of those scores, in millionths.
    pub score_sum: i64,
}
