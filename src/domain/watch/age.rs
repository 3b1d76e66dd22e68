//! A snapshot of the chain that nobody renews, and the one that does.

use serde_json::json;

use crate::domain::audit::{Fact, SYSTEM};
use crate::domain::units::Millis;

/// What is known of the snapshot that is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Believed {
    /// Its block.
    pub block: i64,
    /// Believed since.
    pub adopted_at: Millis,
}

impl Believed {
    fn is_old(self, now: Millis, most: i64) -> bool {
        now.since(self.adopted_at) > most
    }

    fn old(self) -> Fact {
        let since = self.adopted_at.rfc3339();
        let detail = json!({ "block": self.block, "adopted_at": since });
        Fact::new(SYSTEM, "chain.snapshot_old", &format!("block {}", self.block), &detail)
    }
}

/// Whether the snapshot is old: what is told of it is when that changes. Where none was ever believed
/// there is nothing to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotAge {
    /// The block that was told of.
    told: Option<i64>,
}

impl SnapshotAge {
    /// Looks at what is believed; the event, when it has just become older than `most` milliseconds.
    pub fn look(&mut self, believed: Option<Believed>, now: Millis, most: i64) -> Option<Fact> {
        let believed = believed.filter(|believed| believed.is_old(now, most))?;
        if self.told == Some(believed.block) {
            return None;
        }
        self.told = Some(believed.block);
        Some(believed.old())
    }

    /// Another one is believed; the events, when the one before it was old. The first of them is that
    /// it was: it may have become so a moment ago.
    #[must_use]
    pub fn renewed(before: Option<Believed>, by: Believed, most: i64) -> Vec<Fact> {
        let Some(before) = before.filter(|before| before.is_old(by.adopted_at, most)) else {
            return Vec::new();
        };
        let silent_secs = by.adopted_at.since(before.adopted_at) / 1_000;
        let detail =
            json!({ "block": by.block, "before": before.block, "after_secs": silent_secs });
        let subject = format!("block {}", by.block);
        vec![before.old(), Fact::new(SYSTEM, "chain.snapshot_fresh", &subject, &detail)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: i64 = 3_600_000;

    fn believed(block: i64, at: i64) -> Believed {
        Believed { block, adopted_at: Millis(at) }
    }

    #[test]
    fn a_snapshot_becomes_old_once() {
        let mut age = SnapshotAge::default();
        assert_eq!(age.look(None, Millis(i64::MAX), MOST), None, "none was ever believed");
        let one = Some(believed(100, 5));
        assert_eq!(age.look(one, Millis(5 + MOST), MOST), None, "not yet");
        let fact = age.look(one, Millis(6 + MOST), MOST).unwrap();
        assert_eq!((fact.action(), fact.subject()), ("chain.snapshot_old", "block 100"));
        assert_eq!(age.look(one, Millis(9 * MOST), MOST), None);
        let two = Some(believed(150, MOST * 9));
        assert_eq!(age.look(two, Millis(9 * MOST), MOST), None);
        assert_eq!(age.look(two, Millis(11 * MOST), MOST).unwrap().subject(), "block 150");
    }

    #[test]
    fn what_renews_an_old_one_is_told() {
        let by = believed(150, 5 + MOST);
        assert_eq!(SnapshotAge::renewed(None, by, MOST), []);
        assert_eq!(SnapshotAge::renewed(Some(believed(100, 5)), by, MOST), []);
        let told = SnapshotAge::renewed(Some(believed(100, 4)), by, MOST);
        let told: Vec<_> = told.iter().map(|fact| (fact.action(), fact.subject())).collect();
        assert_eq!(
            told,
            [("chain.snapshot_old", "block 100"), ("chain.snapshot_fresh", "block 150")]
        );
    }
}
