//! How many tasks a client may hand in per minute.

use std::num::NonZeroU32;

use governor::clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::error::{ApiError, ApiResult};
use crate::domain::limits::BATCH_TASKS_MAX;
use crate::outside::Clock;

/// Our clock, as the limiter reads it: it must not go back when the system's is set.
#[derive(Debug, Clone)]
struct Steady(Clock);

impl clock::Clock for Steady {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.uptime())
    }
}

/// See the module's docs. One count per owner; owners are those of API keys and configured hotkeys,
/// so there are few.
#[derive(Debug)]
pub struct Rates {
    tasks: RateLimiter<String, HashMapStateStore<String>, Steady, NoOpMiddleware<Nanos>>,
    per_minute: NonZeroU32,
    clock: Steady,
}

impl Rates {
    /// So many tasks per minute and client: at once as many as one batch holds, or those of a second
    /// where that is more, so that no thread that slept for a moment finds its place taken.
    #[must_use]
    pub fn new(per_minute: NonZeroU32, clock: Clock) -> Self {
        let batch = u32::try_from(BATCH_TASKS_MAX).unwrap_or(u32::MAX);
        let at_once = batch.max(per_minute.get() / 60).min(per_minute.get());
        let burst = NonZeroU32::new(at_once).unwrap_or(per_minute);
        let (quota, clock) = (Quota::per_minute(per_minute).allow_burst(burst), Steady(clock));
        let tasks = RateLimiter::new(quota, HashMapStateStore::default(), clock.clone());
        Self { tasks, per_minute, clock }
    }

    /// Counts one task of a client.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    pub(super) fn count(&self, owner: &str) -> ApiResult<()> {
        self.tasks.check_key(&owner.to_owned()).map_err(|until| {
            let wait = until.wait_time_from(clock::Clock::now(&self.clock));
            let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            ApiError::rate_limited("tasks of a client", self.per_minute.get(), secs.max(1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rates: &Rates, owner: &str, of: usize) -> usize {
        (0..of).filter(|_| rates.count(owner).is_ok()).count()
    }

    #[test]
    fn a_minute_holds_so_many_tasks_of_each_client() {
        let clock = Clock::default();
        let rates = Rates::new(NonZeroU32::new(60).unwrap(), clock.clone());
        assert_eq!(taken(&rates, "alice", 100), 60);
        assert_eq!(taken(&rates, "bob", 100), 60, "each has its own count");
        clock.advance(2_500);
        assert_eq!(taken(&rates, "alice", 100), 2);
        let error = rates.count("alice").unwrap_err();
        assert_eq!(error.code(), crate::http::error::Code::RateLimited);
        clock.advance(600_000);
        assert_eq!(taken(&rates, "alice", 1_000), 60, "what was not used does not add up");
    }

    #[test]
    fn at_once_come_a_batch_or_the_tasks_of_a_second() {
        for (per_minute, at_once) in [(6_000, BATCH_TASKS_MAX), (6_000_000, 100_000)] {
            let rates = Rates::new(NonZeroU32::new(per_minute).unwrap(), Clock::default());
            assert_eq!(taken(&rates, "alice", at_once), at_once);
        }
        let rates = Rates::new(NonZeroU32::MAX, Clock::default());
        std::thread::scope(|scope| {
            let each = || (0..10_000).all(|_| rates.count("alice").is_ok());
            let all: Vec<_> = (0..8).map(|_| scope.spawn(each)).collect();
            assert!(all.into_iter().all(|thread| thread.join().unwrap()), "as good as no limit");
        });
    }
}
