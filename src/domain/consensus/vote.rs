//! Votes: what more than half must agree on, and what happens when they do not.

/// The counted words of one field, heaviest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally<T> {
    /// Each word with its base weight, in millionths of all active base weight.
    pub(super) words: Vec<(T, i64)>,
    /// Weight of all words together.
    pub(super) cast: i64,
}

impl<T: Ord + Copy> Tally<T> {
    pub(super) fn count(votes: impl Iterator<Item = (T, i64)>) -> Self {
        let mut words: Vec<(T, i64)> = Vec::with_capacity(2);
        let mut cast = 0;
        for (word, weight) in votes {
            cast += weight;
            match words.iter_mut().find(|known| known.0 == word) {
                Some(known) => known.1 += weight,
                None => words.push((word, weight)),
            }
        }
        words.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        Self { words, cast }
    }

    /// The word with at least `majority` millionths of `whole`.
    pub(super) fn winner(&self, majority: i64, whole: i64) -> Option<T> {
        let &(word, weight) = self.words.first()?;
        let enough = i128::from(weight) * 1_000_000 >= i128::from(whole) * i128::from(majority);
        (weight > 0 && enough).then_some(word)
    }

    /// Whether voters contradict each other.
    pub(super) fn is_split(&self) -> bool {
        self.words.len() > 1
    }

    pub(super) fn weight_of(&self, word: T) -> i64 {
        self.words.iter().find(|known| known.0 == word).map_or(0, |known| known.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_percent_win_and_less_do_not() {
        for (votes, winner) in [
            (&[(true, 600_000), (false, 400_000)][..], Some(true)),
            (&[(true, 599_999), (false, 400_001)], None),
            (&[(true, 500_000), (false, 500_000)], None),
            (&[(true, 500_000)], None),
            (&[], None),
        ] {
            let tally = Tally::count(votes.iter().copied());
            assert_eq!(tally.winner(600_000, 1_000_000), winner, "{votes:?}");
        }
    }
}
