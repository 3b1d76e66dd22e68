//! A simulated subnet that talks to a real server: miners, validators and clients over HTTP, with
//! real signatures, real audio and known truth.
//!
//! Used by the examples, by `pithead simulate` and by tests. It knows the server by its URL only
//! and learns nothing behind its back, so what works for it works for strangers. Everything drawn
//! at random comes from one seed; only the timing of a run is the machine's own. Failures are
//! counted and reported, never a panic.
//!
//! Reading order: [`fleet`] (what runs), [`miner`], [`validator`], [`user`] (who acts), [`call`],
//! [`client`] and `wire` (how they speak), [`craft`], [`speech`], [`wav`] (what they work on), [`report`].

pub mod call;
pub mod client;
pub mod craft;
pub mod fleet;
pub mod miner;
pub mod report;
pub mod roster;
pub mod speech;
pub mod tally;
pub mod user;
pub mod validator;
pub mod wav;
mod wire;

pub use fleet::{Access, FleetConfig, run};
pub use report::FleetReport;
pub use roster::{Member, Role};
pub use tally::Progress;

use rand::SeedableRng;
use rand::rngs::StdRng;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

/// The random source of one actor or one decision: same seed and label, same numbers, whatever
/// the others drew meanwhile.
#[must_use]
pub fn seeded(seed: u64, label: &str) -> StdRng {
    StdRng::from_seed(Sha256::digest(format!("{seed}/{label}")).into())
}

/// Turns true when everybody shall go home.
pub type Stop = watch::Receiver<bool>;

/// Returns when the stop signal is given, or its giver is gone.
pub async fn stopped(stop: &mut Stop) {
    let _gone = stop.wait_for(|stop| *stop).await;
}
