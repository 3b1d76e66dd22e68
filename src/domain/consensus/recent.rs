//! Fields that cannot be averaged: the newest word among those that weigh enough.

/// A validator's word on such a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<T> {
    pub(super) word: T,
    pub(super) weight: i64,
    /// Signed time, nanoseconds.
    pub(super) signed_nanos: i64,
}

/// The most recent word among candidates with at least `share` millionths of the highest weight;
/// equal times go to the heavier one, then to the larger word, never to the first in line.
pub(super) fn most_recent<T: Ord + Copy>(
    candidates: impl Iterator<Item = Candidate<T>> + Clone,
    share: i64,
) -> Option<T> {
    let highest = candidates.clone().map(|candidate| candidate.weight).max()?;
    let enough = i128::from(highest) * i128::from(share) / 1_000_000;
    let enough = i64::try_from(enough).unwrap_or(highest);
    let mut best: Option<Candidate<T>> = None;
    for next in candidates.filter(|candidate| candidate.weight >= enough) {
        let is_better = best.is_none_or(|best| {
            let times = next.signed_nanos.cmp(&best.signed_nanos);
            let weights = || next.weight.cmp(&best.weight);
            times.then_with(weights).then_with(|| next.word.cmp(&best.word)).is_gt()
        });
        if is_better {
            best = Some(next);
        }
    }
    best.map(|best| best.word)
}
