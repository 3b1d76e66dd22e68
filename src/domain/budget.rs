//! A budget of requests per minute: a whole minute's worth may come at once, and what was used is
//! given back steadily. In whole numbers, so that what clients are told of it is exact.

/// What one request costs. What is used falls by the limit in each nanosecond, so that in a minute as
/// many requests are given back as the limit has.
const COST: u128 = 60_000_000_000;
const NANOS: u128 = 1_000_000_000;

/// How much of a budget is used, as of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    used: u128,
    at_nanos: u64,
}

/// How a budget stands, as clients are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests per minute.
    pub limit: u32,
    /// Requests that may come now.
    pub remaining: u32,
    /// Seconds until all of them may come again.
    pub reset_secs: u64,
}

/// Seconds, rounded up.
fn secs(nanos: u128) -> u64 {
    u64::try_from(nanos.div_ceil(NANOS)).unwrap_or(u64::MAX)
}

impl Budget {
    /// As it is at a moment; a clock that goes back gives nothing back. Whoever gets a smaller limit
    /// has used no more than all of it.
    #[must_use]
    pub fn at(self, now_nanos: u64, limit: u32) -> Self {
        let passed = u128::from(now_nanos.saturating_sub(self.at_nanos));
        let used = self.used.saturating_sub(passed.saturating_mul(limit.into()));
        let all = u128::from(limit) * COST;
        Self { used: used.min(all), at_nanos: now_nanos.max(self.at_nanos) }
    }

    /// Whether nothing of it is used, so that it need not be remembered.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.used == 0
    }

    /// Whether one more request may come; with `Err` the seconds until one may.
    ///
    /// # Errors
    /// As said.
    pub fn admits(&self, limit: u32) -> Result<(), u64> {
        let missing = (self.used + COST).saturating_sub(u128::from(limit) * COST);
        match missing {
            0 => Ok(()),
            missing => Err(secs(missing.div_ceil(limit.max(1).into())).max(1)),
        }
    }

    /// Counts a request, whether it may come or not: never beyond the limit.
    pub fn count(&mut self, limit: u32) {
        self.used = (self.used + COST).min(u128::from(limit) * COST);
    }

    /// What is told of it.
    #[must_use]
    pub fn standing(&self, limit: u32) -> Standing {
        let left = (u128::from(limit) * COST).saturating_sub(self.used) / COST;
        let reset_secs = secs(self.used.div_ceil(limit.max(1).into()));
        Standing { limit, remaining: u32::try_from(left).unwrap_or(u32::MAX), reset_secs }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// How many of so many requests may come at a moment.
    fn taken(budget: &mut Budget, now: u64, limit: u32, of: u32) -> u32 {
        *budget = budget.at(now, limit);
        (0..of).map(|_| u32::from(budget.admits(limit).map(|()| budget.count(limit)).is_ok())).sum()
    }

    #[test]
    fn a_minute_holds_so_many_and_gives_them_back_steadily() {
        let mut budget = Budget::default();
        assert_eq!(taken(&mut budget, 5, 60, 100), 60);
        assert_eq!(budget.admits(60), Err(1));
        assert_eq!(budget.standing(60), Standing { limit: 60, remaining: 0, reset_secs: 60 });
        assert_eq!(taken(&mut budget, 5 + SECOND - 1, 60, 9), 0, "a nanosecond too early");
        assert_eq!(taken(&mut budget, 5 + SECOND, 60, 9), 1);
        budget = budget.at(5 + 31 * SECOND, 60);
        assert_eq!(budget.standing(60), Standing { limit: 60, remaining: 30, reset_secs: 30 });
        assert_eq!(taken(&mut budget, 900 * SECOND, 60, 900), 60, "nothing adds up");
    }

    #[test]
    fn slow_budgets_say_when_the_next_may_come_and_when_all_may() {
        let mut budget = Budget::default();
        assert_eq!(taken(&mut budget, 0, 3, 5), 3);
        assert_eq!(budget.admits(3), Err(20));
        budget = budget.at(SECOND / 2, 3);
        assert_eq!(budget.admits(3), Err(20), "rounded up");
        assert_eq!(budget.standing(3).reset_secs, 60);
        budget = budget.at(20 * SECOND, 3);
        assert_eq!((budget.admits(3), budget.standing(3).reset_secs), (Ok(()), 40));
        assert!(!budget.is_whole() && budget.at(60 * SECOND, 3).is_whole());
    }

    #[test]
    fn a_smaller_limit_holds_at_once_and_a_clock_that_goes_back_gives_nothing() {
        let mut budget = Budget::default();
        taken(&mut budget, SECOND, 60_000, 60_000);
        budget = budget.at(SECOND, 2);
        assert_eq!(budget.standing(2), Standing { limit: 2, remaining: 0, reset_secs: 60 });
        assert_eq!(budget.at(0, 2), budget);
        assert_eq!(budget.at(31 * SECOND, 2).standing(2).remaining, 1);
    }

    proptest! {
        #[test]
        fn no_window_of_a_minute_holds_more_than_twice_the_limit(
            limit in 1_u32..1_000, gaps in prop::collection::vec(0_u64..200_000_000, 1..400),
        ) {
            let (mut budget, mut now, mut count) = (Budget::default(), 0, 0_u128);
            for gap in gaps {
                now += gap;
                count += u128::from(taken(&mut budget, now, limit, 7));
                let most = u128::from(limit) + u128::from(now) * u128::from(limit) / COST;
                prop_assert!(count <= most, "{} of {}", count, most);
                let told = budget.standing(limit);
                prop_assert_eq!(budget.admits(limit).is_ok(), told.remaining > 0);
                prop_assert!(told.reset_secs <= 60);
            }
        }
    }
}
