//! Nonces of the last minutes, in memory. What had an effect is also in the database; this catches
//! replays of reads, and of writes before they reach it.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

use crate::domain::ids::Hotkey;
use crate::domain::limits::NONCE_MEMORY_MILLIS;
use crate::domain::units::Millis;

/// See the module's docs. Bounded by time: a signature is old after ten seconds.
#[derive(Debug, Default)]
pub struct Replays {
    seen: Mutex<Seen>,
    /// What was signed before this memory began may have been taken by the process before it.
    since_unix_ns: u64,
}

#[derive(Debug, Default)]
struct Seen {
    nonces: HashSet<(Hotkey, i64)>,
    order: VecDeque<(Millis, Hotkey, i64)>,
}

impl Replays {
    /// An empty memory that begins now.
    #[must_use]
    pub fn since(now_unix_ns: u64) -> Self {
        Self { since_unix_ns: now_unix_ns, ..Self::default() }
    }

    /// Whether a nonce is of the time that this memory knows.
    #[must_use]
    pub const fn covers(&self, nonce_ns: u64) -> bool {
        nonce_ns >= self.since_unix_ns
    }

    /// Remembers a nonce; whether it is new.
    pub fn remember(&self, hotkey: &Hotkey, nonce: i64, now: Millis) -> bool {
        // A poisoned lock cannot have left half a step behind: the set decides.
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while seen.order.front().is_some_and(|(at, ..)| now.since(*at) > NONCE_MEMORY_MILLIS) {
            if let Some((_, hotkey, nonce)) = seen.order.pop_front() {
                seen.nonces.remove(&(hotkey, nonce));
            }
        }
        let new = seen.nonces.insert((hotkey.clone(), nonce));
        if new {
            seen.order.push_back((now, hotkey.clone(), nonce));
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_new_once_until_it_is_forgotten() {
        let (replays, hotkey) = (Replays::default(), Hotkey::parse("hk").unwrap());
        assert!(replays.remember(&hotkey, 1, Millis(0)));
        assert!(!replays.remember(&hotkey, 1, Millis(NONCE_MEMORY_MILLIS)));
        assert!(replays.remember(&hotkey, 2, Millis(0)));
        assert!(replays.remember(&Hotkey::parse("other").unwrap(), 1, Millis(0)));
        assert!(replays.remember(&hotkey, 1, Millis(NONCE_MEMORY_MILLIS + 1)));
    }
}
