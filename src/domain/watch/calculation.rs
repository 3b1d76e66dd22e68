//! Weights that cannot be made, and can be made again.

use serde_json::json;

use crate::domain::audit::{Fact, SYSTEM};
use crate::domain::units::{HOUR, Millis};

/// Whether the weights can be made: what is told of it is when that changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calculation {
    failing: Option<Failing>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Failing {
    /// The end of the hour whose weights failed first, in hours since the epoch.
    hour: i64,
    /// What was said then.
    error: String,
}

impl Failing {
    fn fact(&self, action: &str) -> Fact {
        let hour = Millis(self.hour.saturating_mul(HOUR)).rfc3339();
        let detail = json!({ "up_to": hour, "error": self.error });
        Fact::new(SYSTEM, action, &format!("weights up to {hour}"), &detail)
    }
}

impl Calculation {
    /// The weights up to this hour could not be made; the event, when they could before.
    pub fn failed(&mut self, hour: i64, error: &str) -> Option<Fact> {
        if self.failing.is_some() {
            return None;
        }
        let failing = self.failing.insert(Failing { hour, error: error.to_owned() });
        Some(failing.fact("weights.calculation_failed"))
    }

    /// Weights were made; the events, when they could not be before. The first of them is the one of
    /// the failure: whoever failed to make weights may have failed to write that down, too.
    pub fn worked(&mut self) -> Vec<Fact> {
        let Some(failing) = self.failing.take() else { return Vec::new() };
        ["weights.calculation_failed", "weights.calculation_recovered"]
            .map(|action| failing.fact(action))
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once_and_so_is_its_end() {
        let mut calculation = Calculation::default();
        assert_eq!(calculation.worked(), []);
        let first = calculation.failed(10, "the disk is full").unwrap();
        assert_eq!(first.action(), "weights.calculation_failed");
        assert_eq!(first.subject(), "weights up to 1970-01-01T10:00:00.000Z");
        assert_eq!(first.detail()["error"], "the disk is full");
        assert_eq!(calculation.failed(10, "again"), None);
        assert_eq!(calculation.failed(11, "in the next hour"), None);
        let told = calculation.worked();
        assert_eq!(told[0], first);
        assert_eq!(told[1].action(), "weights.calculation_recovered");
        assert_eq!((told[1].subject(), told.len()), (first.subject(), 2));
        assert_eq!(calculation.worked(), []);
        let second = calculation.failed(12, "x").unwrap();
        assert_ne!(second.subject(), first.subject(), "another cause");
    }
}
