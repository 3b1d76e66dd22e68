//! The clock. Decisions get `now` as a value; only actors and handlers ask for it, and only here.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::units::Millis;

/// A source of time: the system's, or one that a test moves.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    // Milliseconds that a test has put the clock ahead.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Millis {
        Millis(i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX))
            .plus(self.ahead.load(Ordering::Relaxed))
    }

    /// Now in nanoseconds, for signatures.
    #[must_use]
    pub fn now_nanos(&self) -> u64 {
        let ahead = self.ahead.load(Ordering::Relaxed).saturating_mul(1_000_000);
        let now = u64::try_from(since_epoch().as_nanos()).unwrap_or(u64::MAX);
        now.saturating_add_signed(ahead)
    }

    /// Time since the program first asked: it never goes back, however the system's clock is set.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        let ahead = u64::try_from(self.ahead.load(Ordering::Relaxed)).unwrap_or_default();
        BEGAN.get_or_init(Instant::now).elapsed() + Duration::from_millis(ahead)
    }

    /// Puts the clock ahead, so that a test need not wait.
    pub fn advance(&self, millis: i64) {
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
