//! What the chain says: snapshots of its metagraph as validators hand them in, which of them we
//! believe, what they change in our registrations, and what became of submitted weights.
//!
//! ```text
//! snapshot   a validator's JSON ─▶ Snapshot, or the field that is wrong
//! adopt      offers of several validators ─▶ the one that more than half of the stake gave
//! roles      snapshot + the operator's list ─▶ who may speak as what, and from which uid
//! changes    our open registrations + snapshot ─▶ opened, confirmed, renamed, replaced, gone
//! submission submitted │ committed ─▶ revealed ─▶ settled; failed, reorged
//! credit     submissions + snapshot ─▶ what the chain made of each miner's weight
//! ```

mod adopt;
mod changes;
mod credit;
mod roles;
mod snapshot;
mod submission;

pub use adopt::{Offers, Refused, Rule, Standing};
pub use changes::{Change, Known, changes};
pub use credit::{ChainFigures, SetWeight, Vector, Weighed, credit};
pub use roles::{Denied, Place, Quarantine, Role, Roles};
pub use snapshot::{BadSnapshot, Neuron, Snapshot};
pub use submission::{
    Event, Impossible, Limits, Mode, Settled, State, Submission, Warning, warnings,
};

#[cfg(test)]
mod make;
