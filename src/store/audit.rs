//! The audit log: the command and the reads. Entries are never altered and never pruned.

use crate::domain::audit::Fact;
use crate::domain::units::Millis;

/// See [`super::Store::note`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The subnet, whose log it is.
    pub netuid: u16,
    /// What happened; a fact of an action and subject that stand in the log is not written again.
    pub facts: Vec<Fact>,
    /// Now.
    pub now: Millis,
}

/// Which entries to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The subnet.
    pub netuid: u16,
    /// Only of actions that begin so; everything for an empty text.
    pub action: String,
    /// Only those before this one.
    pub before: Option<i64>,
    /// Entries at most.
    pub limit: u64,
}

/// A place in the logs of all writers, which stand one behind the other; the default is before all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditPlace {
    /// Whose log.
    pub writer: String,
    /// The number of an entry in it.
    pub seq: i64,
}

/// What of these facts is new: those that `stands` does not know and that are not there twice.
pub(super) fn fresh(facts: &[Fact], stands: impl Fn(&Fact) -> bool) -> Vec<Fact> {
    let mut fresh: Vec<Fact> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for fact in facts {
        if seen.insert((fact.action(), fact.subject())) && !stands(fact) {
            fresh.push(fact.clone());
        }
    }
    fresh
}

/// The writer of a subnet's log.
pub(super) fn writer(netuid: u16) -> String {
    netuid.to_string()
}
