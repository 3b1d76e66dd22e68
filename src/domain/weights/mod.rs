//! From task values to the weights that go on chain, with every number between. Pure and the same to
//! the bit on every host: exponentials and powers come from [`libm`], sums go in the order of uids,
//! and nothing is decided by a uid. Where the scores come from, and what becomes of the records, is
//! none of its business.
//!
//! ```text
//! 0  bucket       sums of a window ─▶ one value per miner and kind, the median of all who scored
//! 1  pathway      percentile rank p among the kind's values, m(p) = 0.3 + 0.9/(1+exp(-0.08(p-35)))
//! 2               excellence E = max over kinds, from the 85th percentile on: value · weight · boost
//! 3               diversity  D = (0.7 + 0.15·kinds) · sum f(value) · weight · m(p)
//! 4               raw = max(E, D)
//! 5  transform    x = raw/max, M = 80th percentile, t = 0.98/(1+8·exp(-70(x-M)))^(1/0.3) + 0.01·x
//! 6               all t much alike: 1/place^1.2 instead
//! 7               divided by the sum
//! 8  submit       as 16-bit numbers
//! ```

mod bucket;
mod explain;
mod input;
mod number;
mod offline;
mod pathway;
mod performance;
mod policy;
mod record;
mod run;
mod submit;
mod transform;

pub use bucket::{Bucket, Given, Grain, Standing, Standings, Voice, standings};
pub use explain::{Explained, Step};
pub use input::{Miner, TaskValue, WeightedKind};
pub use offline::{OfflineError, offline};
pub use performance::{KindPerformance, Performance, PeriodInput, performances};
pub use policy::{Averaging, Boost, Policy, PolicyName};
pub use record::{Calculation, KindRecord, Pathway, Record, Sigmoid, TaskRecord};
pub use run::{FileScore, Owner, Owners, Run, RunMiner, WeightsFile};
pub use submit::upscale;
pub use transform::Transform;

#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// Input that no weights can be made of. Places count from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// A figure of the policy.
    #[error("`policy`: `{field}` {reason}")]
    BadPolicy {
        /// The figure.
        field: &'static str,
        /// A phrase that completes "the figure ..".
        reason: &'static str,
    },
    /// More kinds than the limit.
    #[error("`kinds` has more than {max} entries")]
    TooManyKinds {
        /// The limit.
        max: usize,
    },
    /// A kind without a usable name.
    #[error("`kinds[{index}].name` must have 1 to {max} characters")]
    BadKindName {
        /// Place among the kinds.
        index: usize,
        /// The limit.
        max: usize,
    },
    /// Two kinds of one name.
    #[error("`kinds[{index}].name` is that of `kinds[{first}]`; each kind is listed once")]
    DoubledKind {
        /// Place of the second.
        index: usize,
        /// Place of the first.
        first: usize,
    },
    /// A weight that is no share.
    #[error("`kinds[{index}].weight` must be 0 to 1, not {got}")]
    BadKindWeight {
        /// Place among the kinds.
        index: usize,
        /// What was given.
        got: f64,
    },
    /// More task values than the limit.
    #[error("`scores` has more than {max} entries")]
    TooManyScores {
        /// The limit.
        max: usize,
    },
    /// More miners than the limit.
    #[error("`scores` has more than {max} miners")]
    TooManyMiners {
        /// The limit.
        max: usize,
    },
    /// A kind that is not among the kinds.
    #[error("`scores[{index}].kind` is `{got}`, which `kinds` does not list")]
    UnknownKind {
        /// Place among the values.
        index: usize,
        /// What was given, cut.
        got: String,
    },
    /// A value that is no share.
    #[error("`scores[{index}].score` must be 0 to 1, not {got}")]
    BadScore {
        /// Place among the values.
        index: usize,
        /// What was given.
        got: f64,
    },
    /// Two values of one miner and kind.
    #[error(
        "`scores[{index}]` has the `uid` and `kind` of `scores[{first}]`; give one value for both"
    )]
    DoubledScore {
        /// Place of the second.
        index: usize,
        /// Place of the first.
        first: usize,
    },
}

/// The weights of all miners that have a value: steps 1 to 8. Equal inputs give equal bytes, in
/// whatever order the values come.
///
/// # Errors
/// [`WeightsError`] for the first figure, kind or value that cannot be used.
pub fn compute(
    policy: &Policy,
    kinds: &[WeightedKind],
    values: &[TaskValue<'_>],
) -> Result<Calculation, WeightsError> {
    policy.check()?;
    let cells = input::cells(kinds, values)?;
    let columns = pathway::columns(policy, kinds, &cells);
    let boost = policy.boost(kinds.iter().filter(|kind| kind.weight > 0.0).count());
    let rows = cells.chunk_by(|a, b| a.miner == b.miner);
    let mut records: Vec<Record> =
        rows.filter_map(|row| pathway::raw(policy, &columns, boost, row)).collect();
    let transform = transform::weigh(policy, &mut records);
    let weights: Vec<f64> = records.iter().map(|record| record.weight).collect();
    for (record, upscaled) in records.iter_mut().zip(upscale(&weights)) {
        record.weight_u16 = upscaled;
        pathway::contribute(record);
    }
    Ok(Calculation {
        policy_hash: policy.hash(),
        excellence_boost: boost,
        kinds: columns.into_iter().map(|column| column.record).collect(),
        transform,
        records,
    })
}
