//! What the subnet asks of those who set weights.

use serde::{Deserialize, Serialize};

use crate::domain::chain::Limits;

/// The `[chain]` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainConfig {
    /// Fewest weights that a vector may have; absent for any number.
    pub min_allowed_weights: Option<u16>,
    /// Largest share of one weight, in 1/65535; absent for any share.
    pub max_weight_limit: Option<u16>,
}

impl ChainConfig {
    /// As warnings are made by.
    #[must_use]
    pub const fn limits(self) -> Limits {
        let Self { min_allowed_weights, max_weight_limit } = self;
        Limits { min_allowed_weights, max_weight_limit }
    }
}
