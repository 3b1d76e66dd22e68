//! What to tell a client at submit: who could do the work now, and how long such work took lately.

use std::collections::{BTreeSet, VecDeque};

use serde::Serialize;

use super::Distributor;
use crate::domain::kind::KindIndex;
use crate::domain::units::Millis;

/// An honest guess, for the answer to a submit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Whether anybody can do it now.
    pub feasible: bool,
    /// Miners that serve such work now.
    pub capable_miners: usize,
    /// Half of the last tasks of this kind were done within this time; `null` without experience.
    pub p50_secs: Option<f64>,
    /// 95 % of them were.
    pub p95_secs: Option<f64>,
    /// Why not, when it is not feasible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How long the last tasks of each kind took.
pub(super) struct Durations {
    kinds: Vec<Lately>,
}

#[derive(Default, Clone)]
struct Lately {
    took_millis: VecDeque<i64>,
    // Sorted copy, and who is capable; made anew at most once a second.
    made_at: Option<Millis>,
    p50_p95: Option<(i64, i64)>,
    capable: usize,
}

/// Tasks remembered per kind.
const REMEMBERED: usize = 128;
/// How old an estimate may be, in milliseconds.
const FRESH_MILLIS: i64 = 1_000;

impl Durations {
    pub(super) fn new(kinds: usize) -> Self {
        Self { kinds: vec![Lately::default(); kinds] }
    }

    /// Notes that a task was done.
    pub(super) fn note(&mut self, kind: KindIndex, took_millis: i64) {
        let Some(lately) = self.kinds.get_mut(usize::from(kind.0)) else { return };
        if lately.took_millis.len() == REMEMBERED {
            lately.took_millis.pop_front();
        }
        lately.took_millis.push_back(took_millis);
    }
}

impl Distributor {
    /// Distinct owners among the miners that could do such work now, and the guess. Counts at most
    /// once a second and kind.
    pub(super) fn estimate(&mut self, kind: KindIndex) -> Estimate {
        let now = self.deps.clock.now();
        let name = self.deps.kinds.get(kind).map(|k| k.name.clone()).unwrap_or_default();
        let Some(lately) = self.durations.kinds.get_mut(usize::from(kind.0)) else {
            return Estimate::none(&name);
        };
        if lately.made_at.is_none_or(|at| now.since(at) >= FRESH_MILLIS || now < at) {
            let policy = &self.deps.config.selection;
            let mut owners = BTreeSet::new();
            let capable = self.roster.all().iter().filter(|c| c.capable(&name, policy, now));
            lately.capable =
                capable.filter(|c| c.coldkey.as_ref().is_none_or(|key| owners.insert(key))).count();
            let mut sorted: Vec<_> = lately.took_millis.iter().copied().collect();
            sorted.sort_unstable();
            let at = |share: usize| sorted.get(sorted.len() * share / 100).copied();
            lately.p50_p95 = at(50).zip(at(95));
            lately.made_at = Some(now);
        }
        if lately.capable == 0 {
            return Estimate::none(&name);
        }
        let secs = |millis: i64| millis as f64 / 1_000.0;
        Estimate {
            feasible: true,
            capable_miners: lately.capable,
            p50_secs: lately.p50_p95.map(|(p50, _)| secs(p50)),
            p95_secs: lately.p50_p95.map(|(_, p95)| secs(p95)),
            reason: None,
        }
    }
}

impl Estimate {
    fn none(kind: &str) -> Self {
        Self {
            feasible: false,
            capable_miners: 0,
            p50_secs: None,
            p95_secs: None,
            reason: Some(format!(
                "no miner serves `{kind}` now; the task waits until its deadline"
            )),
        }
    }
}
