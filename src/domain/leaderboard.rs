//! Miners by what they earned in a period.

use super::ids::RegistrationId;
use super::task::text_enum;

text_enum! {
    /// What a leaderboard is sorted by.
    Order {
        /// Mean score; miners with few scores come after those with enough.
        Score = "score",
        /// Sum of scores.
        Total = "total",
    }
}

/// Scores below which a mean says little.
pub const SCORES_MIN: i64 = 5;

/// One miner's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Place, from 1; equals share it.
    pub rank: usize,
    /// Who.
    pub registration: RegistrationId,
    /// Scores in the period.
    pub scored: i64,
    /// Their sum, millionths.
    pub score_sum: i64,
}

impl Line {
    /// Mean score, millionths.
    #[must_use]
    pub fn mean(&self) -> i64 {
        self.score_sum.checked_div(self.scored).unwrap_or(0)
    }

    fn key(&self, order: Order) -> (bool, i64, i64) {
        match order {
            Order::Score => (self.scored >= SCORES_MIN, self.mean(), self.score_sum),
            Order::Total => (true, self.score_sum, self.mean()),
        }
    }
}

/// Ranks miners, each with the number and the sum of its scores. Equals come in the order of their
/// registrations and share a rank.
#[must_use]
pub fn rank(sums: impl IntoIterator<Item = (RegistrationId, i64, i64)>, order: Order) -> Vec<Line> {
    let line =
        |(registration, scored, score_sum)| Line { rank: 0, registration, scored, score_sum };
    let mut lines: Vec<Line> = sums.into_iter().map(line).collect();
    lines.sort_by(|a, b| b.key(order).cmp(&a.key(order)).then(a.registration.cmp(&b.registration)));
    let (mut rank, mut last) = (0, None);
    for (place, line) in lines.iter_mut().enumerate() {
        let key = line.key(order);
        if last != Some(key) {
            (rank, last) = (place + 1, Some(key));
        }
        line.rank = rank;
    }
    lines
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn ranks(order: Order) -> Vec<(u128, usize)> {
        let sums = [(1, 10, 8_000_000), (2, 1, 1_000_000), (3, 20, 12_000_000), (4, 10, 8_000_000)];
        let sums = sums.map(|(id, n, sum)| (RegistrationId(Uuid::from_u128(id)), n, sum));
        let lines = rank(sums, order);
        lines.iter().map(|line| (line.registration.0.as_u128(), line.rank)).collect()
    }

    #[test]
    fn few_scores_do_not_lead_and_equals_share_a_rank() {
        assert_eq!(ranks(Order::Score), [(1, 1), (4, 1), (3, 3), (2, 4)]);
        assert_eq!(ranks(Order::Total), [(3, 1), (1, 2), (4, 2), (2, 4)]);
    }
}
