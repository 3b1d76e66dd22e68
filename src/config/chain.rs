//! What the subnet asks of those who set weights.

use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};
use crate::domain::chain::Limits;
use crate::domain::limits::BLOCK_MAX;
use crate::domain::units::Stake;

/// The `[chain]` section.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainConfig {
    /// Divides the blocks at which snapshots are taken, so that validators meet.
    pub snapshot_every: i64,
    /// Least stake of a validator whose snapshots count, in whole tokens.
    pub stake_min: f64,
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

    /// Whether the figures go together.
    pub(super) fn check(self) -> Result<(), ConfigError> {
        if !(1..=BLOCK_MAX).contains(&self.snapshot_every) {
            return Err(invalid("chain.snapshot_every", "must be 1 or more"));
        }
        if Stake::from_tokens(self.stake_min).is_none() {
            return Err(invalid("chain.stake_min", "must be a number of tokens, 0 to 9.2e9"));
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
