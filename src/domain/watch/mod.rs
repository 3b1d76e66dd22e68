//! What somebody should look at in the weight ledger: each event once for each cause, as a
//! [`Fact`](crate::domain::audit::Fact) of the audit log.
//!
//! ```text
//! drift        a settled vector far from the incentive that came of it
//! calculation  weights that cannot be made, and can be made again
//! gap          hours without scores where there were some before
//! age          a snapshot of the chain that nobody renews, and the one that does
//! ```
//! A fact is told once for its action and subject, so a subject names the cause: the same for as
//! long as it lasts, another one the next time.

mod age;
mod calculation;
mod drift;
mod gap;

pub use age::{Believed, SnapshotAge};
pub use calculation::Calculation;
pub use drift::{Apart, Drift, drift};
pub use gap::{GAP_HOURS, Gap, gaps};
