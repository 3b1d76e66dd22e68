//! What many validators say about one miner, merged so that a minority of liars cannot move it.
//!
//! [`merge`] is a pure function of one [`Ballot`]; [`ReportTable`] keeps the ballots and knows
//! which of them changed; [`explain`] redoes a merge and shows every step. All arithmetic is in
//! integers, so equal inputs give equal bytes on any host. Nothing here reads a clock. Reputations
//! are earned at a round's end, count from the next round on, and can be [`replay`]ed with the rest.
//!
//! ```text
//! report ──apply──▶ ReportTable ──ballot of each dirty miner──▶ merge ──▶ Verdict
//! observation ──────────┴── round ends ──▶ reputation ──▶ weights and biases of the next
//! ```

mod event;
mod explain;
mod field;
mod input;
mod merge;
mod minutes;
mod number;
mod offline;
mod policy;
mod recent;
mod replay;
mod reputation;
mod row;
mod stats;
mod table;
mod validator;
mod verdict;
mod vote;
mod weights;

pub use event::Event;
pub use explain::{Explanation, FieldExplanation, VoteExplanation, explain};
pub use input::{Applied, Ignored, Observation, Report, Restored, Standing, WhyIgnored};
pub use merge::{Ballot, ChainFacts, Vote, merge};
pub use minutes::{Heard, MinerMinutes, Minutes, Sheet, fingerprint};
pub use offline::{OfflineError, OfflineMerge, offline};
pub use policy::{ConsensusPolicy, MergeMode, ReputationPolicy};
pub use replay::{VerdictInputs, VoteInput, replay};
pub use reputation::{Phase, Reason, ReputationState, Step};
pub use stats::ConsensusStats;
pub use table::{Changed, ReportTable};
pub use validator::{Equivocation, ValidatorView};
pub use verdict::{Agreed, Conflict, PublicVerdict, Verdict, Voice, VoterName, Word};
pub use weights::base_weights;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
