//! What the subnet asks of those who set weights.

use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};
use crate::domain::chain::Limits;
use crate::domain::limits::BLOCK_MAX;
use crate::domain::units::{ONE, SECOND, Stake};

/// The `[chain]` section.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainConfig {
    /// Divides the blocks at which snapshots are taken, so that validators meet.
    pub snapshot_every: i64,
    /// Least stake of a validator whose snapshots count, in whole tokens.
    pub stake_min: f64,
    /// Distance between submitted shares and incentive above which an event tells of it, millionths.
    pub drift_max_millionths: i64,
    /// Age of the snapshot that is believed above which an event tells of it, in seconds.
    pub snapshot_max_age_secs: u32,
    /// Fewest weights that a vector may have; absent for any number.
    #[serde(default)]
    pub min_allowed_weights: Option<u16>,
    /// Largest share of one weight, in 1/65535; absent for any share.
    #[serde(default)]
    pub max_weight_limit: Option<u16>,
}

impl ChainConfig {
    /// Least stake of a validator whose snapshots count.
    #[must_use]
    pub fn stake_min(self) -> Stake {
        Stake::from_tokens(self.stake_min).unwrap_or(Stake::ZERO)
    }

    /// Age above which a snapshot is old, in milliseconds.
    #[must_use]
    pub fn snapshot_max_age_millis(self) -> i64 {
        i64::from(self.snapshot_max_age_secs) * SECOND
    }

    /// Whether the figures go together.
    pub(super) fn check(self) -> Result<(), ConfigError> {
        if !(1..=BLOCK_MAX).contains(&self.snapshot_every) {
            return Err(invalid("chain.snapshot_every", "must be 1 or more"));
        }
        if Stake::from_tokens(self.stake_min).is_none() {
            return Err(invalid("chain.stake_min", "must be a number of tokens, 0 to 9.2e9"));
        }
        if !(0..=ONE).contains(&self.drift_max_millionths) {
            return Err(invalid("chain.drift_max_millionths", "must be 0 to 1,000,000"));
        }
        if self.snapshot_max_age_secs == 0 {
            return Err(invalid("chain.snapshot_max_age_secs", "must be 1 or more"));
        }
        Ok(())
    }

    /// As warnings are made by.
    #[must_use]
    pub const fn limits(self) -> Limits {
        let Self { min_allowed_weights, max_weight_limit, .. } = self;
        Limits { min_allowed_weights, max_weight_limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn figures_that_cannot_be_used_are_named() {
        let check = |change: fn(&mut ChainConfig)| {
            let mut config = Config::default();
            change(&mut config.chain);
            config.validate().map(drop).map_err(|error| error.to_string())
        };
        assert!(check(|chain| chain.drift_max_millionths = 0).is_ok());
        assert!(check(|chain| chain.drift_max_millionths = ONE).is_ok());
        for (outcome, key) in [
            (check(|chain| chain.drift_max_millionths = -1), "chain.drift_max_millionths"),
            (check(|chain| chain.drift_max_millionths = ONE + 1), "chain.drift_max_millionths"),
            (check(|chain| chain.snapshot_max_age_secs = 0), "chain.snapshot_max_age_secs"),
        ] {
            let error = outcome.unwrap_err();
            assert!(error.starts_with(&format!("`{key}`")), "{error}");
        }
    }
}
