//! The circuit breaker of one miner for one kind of work.
//!
//! ```text
//! Closed ──failures──▶ Open ──pause over──▶ HalfOpen ──probe sent──▶ Open until the probe ends
//!    ▲                  ▲                                               │
//!    └──────────────────┼────────────── answered ──────────────────────┤
//!                       └── failed: the pause doubles ─────────────────┘
//! ```

use serde::{Deserialize, Serialize};

use crate::domain::ids::LeaseToken;
use crate::domain::limits;
use crate::domain::units::Millis;

/// After some failures in a row a miner gets nothing for a while, then one task as a probe; the
/// pause doubles with each further failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Breaker {
    failures: u32,
    until: Millis,
    /// The lease that probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probe: Option<LeaseToken>,
}

/// What a [`Breaker`] lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Everything.
    Closed,
    /// One task, to probe.
    HalfOpen,
    /// Nothing until then.
    Open(Millis),
}

impl Gate {
    /// Its name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open(_) => "open",
        }
    }
}

impl Breaker {
    /// An answer came: all is forgiven.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A lease was lost by the miner's fault; call [`Self::ended`] first.
    pub fn failed(&mut self, now: Millis) {
        self.failures = self.failures.saturating_add(1);
        if let Some(beyond) = self.failures.checked_sub(limits::BREAKER_FAILURES) {
            let pause = limits::BREAKER_MILLIS.saturating_mul(1 << beyond.min(20));
            // While another lease probes, its end decides.
            self.until = self.until.max(now.plus(pause.min(limits::BREAKER_MILLIS_MAX)));
        }
    }

    /// A lease was granted. When the gate was half open, it is the probe, and nothing else passes
    /// until it ends, or until `deadline`, by when every lease has ended.
    pub fn granted(&mut self, lease: LeaseToken, deadline: Millis, now: Millis) {
        if self.gate(now) == Gate::HalfOpen {
            self.probe = Some(lease);
            self.until = deadline;
        }
    }

    /// A lease ended somehow, or was not granted after all. A probe that said nothing makes room
    /// for another.
    pub fn ended(&mut self, lease: LeaseToken, now: Millis) {
        if self.probe == Some(lease) {
            self.probe = None;
            self.until = now;
        }
    }

    /// The lease that probes now.
    #[must_use]
    pub const fn probe(&self) -> Option<LeaseToken> {
        self.probe
    }

    /// How the miner may be used now.
    #[must_use]
    pub fn gate(&self, now: Millis) -> Gate {
        if self.failures < limits::BREAKER_FAILURES {
            Gate::Closed
        } else if now < self.until {
            Gate::Open(self.until)
        } else {
            Gate::HalfOpen
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::TaskId;

    fn lease(n: u64) -> LeaseToken {
        LeaseToken { task: TaskId(Uuid::from_u128(u128::from(n))), slot: 0, attempt: 1 }
    }

    #[test]
    fn a_failing_miner_pauses_probes_and_returns() {
        let mut breaker = Breaker::default();
        let at = |secs: i64| Millis(secs * 1_000);
        breaker.failed(at(0));
        breaker.failed(at(0));
        assert_eq!(breaker.gate(at(0)), Gate::Closed);
        breaker.failed(at(0));
        assert_eq!(breaker.gate(at(0)), Gate::Open(at(30)));
        assert_eq!(breaker.gate(at(30)), Gate::HalfOpen);
        breaker.failed(at(30));
        assert_eq!(breaker.gate(at(31)), Gate::Open(at(90)));
        for _ in 0..100 {
            breaker.failed(at(90));
        }
        assert_eq!(breaker.gate(at(91)), Gate::Open(at(90 + 1_800)));
        breaker.succeeded();
        assert_eq!(breaker.gate(at(91)), Gate::Closed);
    }

    #[test]
    fn a_probe_that_says_nothing_makes_room_for_another() {
        let mut breaker = Breaker::default();
        (0..3).for_each(|_| breaker.failed(Millis(0)));
        let (now, deadline) = (Millis(30_000), Millis(500_000));
        breaker.granted(lease(1), deadline, now);
        assert_eq!(breaker.gate(now), Gate::Open(deadline));
        breaker.ended(lease(2), now);
        assert_eq!(breaker.gate(now), Gate::Open(deadline), "another lease says nothing of it");
        breaker.ended(lease(1), now);
        assert_eq!(breaker.gate(now), Gate::HalfOpen);
        breaker.granted(lease(3), deadline, now);
        assert_eq!(breaker.gate(deadline), Gate::HalfOpen, "nothing waits for ever");
    }

    proptest! {
        /// Leases are granted whenever the gate allows and end in any way; from the first half-open
        /// grant to its end nothing else passes.
        #[test]
        fn half_open_lets_exactly_one_probe_through(
            steps in proptest::collection::vec((0_u8..4, 0_i64..60_000), 1..200),
        ) {
            let (mut breaker, mut now) = (Breaker::default(), Millis(0));
            let mut live: Vec<(u64, bool)> = Vec::new();
            for (n, (what, pass)) in (0_u64..).zip(steps) {
                now = now.plus(pass);
                let gate = breaker.gate(now);
                if let Some(probe) = live.iter().position(|(_, probes)| *probes) {
                    prop_assert!(matches!(gate, Gate::Open(_)), "{gate:?}");
                    if what == 1 {
                        live.swap(0, probe);
                    }
                }
                if !matches!(gate, Gate::Open(_)) {
                    breaker.granted(lease(n), Millis(i64::MAX), now);
                    live.push((n, gate == Gate::HalfOpen));
                }
                if what > 0 && !live.is_empty() {
                    let (ended, _) = live.remove(0);
                    breaker.ended(lease(ended), now);
                    match what {
                        1 => breaker.failed(now),
                        2 => {
                            breaker.succeeded();
                            live.iter_mut().for_each(|(_, probes)| *probes = false);
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}
