//! What closed registrations left: sums and records, as old as everything else that is forgotten.

use std::time::Instant;

use crate::actors::Deps;
use crate::domain::limits::EMPTIED_MAX;
use crate::domain::units::Millis;
use crate::store::{ForgetMiners, MinersForgotten, StoreResult};

/// Empties all that closed long ago, a few at a time; between two of them the others have three times
/// as long as one took.
pub(super) async fn forget(deps: &Deps, now: Millis) -> StoreResult<MinersForgotten> {
    let closed_before = now.plus(-deps.config.weights.retention_millis());
    let command = ForgetMiners { closed_before, miners_max: EMPTIED_MAX };
    let mut all = MinersForgotten::default();
    loop {
        let began = Instant::now();
        let MinersForgotten { miners, rows } = deps.store.forget_miners(command).await?;
        all.miners += miners;
        all.rows += rows;
        if miners < EMPTIED_MAX {
            return Ok(all);
        }
        tokio::time::sleep(began.elapsed() * 3).await;
    }
}
