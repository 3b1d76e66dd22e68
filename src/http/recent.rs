//! What everybody may ask at any rate: found out once in a while, for all who ask meanwhile.

use std::time::Duration;

use tokio::sync::Mutex;

use crate::domain::limits::PROBE_MILLIS;
use crate::outside::Clock;

/// An answer of late, and when it was found.
#[derive(Debug)]
pub struct Recent<T> {
    clock: Clock,
    // Held while somebody finds out: whoever comes meanwhile waits for what that one finds.
    found: Mutex<Option<(Duration, T)>>,
}

impl<T: Clone> Recent<T> {
    /// Nothing was found yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, found: Mutex::default() }
    }

    /// What was found of late, or is found now.
    pub(super) async fn get(&self, find: impl AsyncFnOnce() -> T) -> T {
        let mut found = self.found.lock().await;
        let now = self.clock.uptime();
        let fresh = |at: Duration| now.saturating_sub(at) < Duration::from_millis(PROBE_MILLIS);
        if let Some((_, known)) = found.as_ref().filter(|(at, _)| fresh(*at)) {
            return known.clone();
        }
        let new = find().await;
        // Counted from its end: what takes long is not asked the more for it.
        *found = Some((self.clock.uptime(), new.clone()));
        new
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn who_asks_within_a_second_or_meanwhile_is_told_the_same() {
        let clock = Clock::default();
        let (recent, found) = (Recent::new(clock.clone()), AtomicU32::new(0));
        let (begun, go) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
        let slow = recent.get(async || {
            begun.notify_one();
            go.notified().await;
            found.fetch_add(1, Ordering::Relaxed)
        });
        let meanwhile = async {
            begun.notified().await;
            let many = (0..100).map(|_| recent.get(async || found.fetch_add(1, Ordering::Relaxed)));
            let release = async { go.notify_one() };
            tokio::join!(futures_util::future::join_all(many), release).0
        };
        let (first, many) = tokio::join!(slow, meanwhile);
        assert_eq!((first, many), (0, vec![0; 100]));
        clock.advance(i64::try_from(PROBE_MILLIS).unwrap());
        assert_eq!(recent.get(async || found.fetch_add(1, Ordering::Relaxed)).await, 1);
    }
}
