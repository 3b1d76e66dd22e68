//! What closed registrations left: sums and records, as old as everything else that is forgotten.

use std::time::Instant;

use crate::actors::Deps;
use crate::domain::limits::EMPTIED_MAX;
use crate::domain::units::Millis;
use crate::store::{ForgetMiners, MinersForgotten, StoreResult};

/// Whether it is time to look again. A clock that was set back does not put it off.
pub(super) fn are_due(looked_at: Option<Millis>, now: Millis, every_millis: i64) -> bool {
    looked_at.is_none_or(|at| !(0..every_millis).contains(&now.since(at)))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_comes_first_then_every_so_often_and_after_a_clock_was_set_back() {
        let due = |looked_at: Option<i64>, now| are_due(looked_at.map(Millis), Millis(now), 100);
        assert!(due(None, 0));
        assert_eq!([50, 149, 150, 49].map(|now| due(Some(50), now)), [false, false, true, true]);
    }
}
