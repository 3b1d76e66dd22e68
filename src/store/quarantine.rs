//! Hotkeys that an operator shut out: the rows, the commands, and what the audit log hears of each.

use serde_json::json;

use super::By;
use crate::domain::audit::Fact;
use crate::domain::ids::Hotkey;
use crate::domain::units::Millis;

/// A hotkey that is shut out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRow {
    /// Whom.
    pub hotkey: Hotkey,
    /// Why, in the operator's words.
    pub reason: String,
    /// Free from then on; until it is let in when absent.
    pub until: Option<Millis>,
    /// Who did it, in the words of the audit log.
    pub by: String,
    /// Since when.
    pub created_at: Millis,
}

impl QuarantineRow {
    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: Millis) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// See [`super::Store::put_quarantine`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutQuarantine {
    /// Whom.
    pub hotkey: Hotkey,
    /// Why.
    pub reason: String,
    /// Free from then on.
    pub until: Option<Millis>,
    /// Hotkeys that may be shut out at once.
    pub most: u64,
    /// Who does it.
    pub by: By,
}

/// See [`super::Store::lift_quarantine`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiftQuarantine {
    /// Whom.
    pub hotkey: Hotkey,
    /// Who does it.
    pub by: By,
}

impl PutQuarantine {
    /// The row that it writes.
    #[must_use]
    pub fn row(&self) -> QuarantineRow {
        QuarantineRow {
            hotkey: self.hotkey.clone(),
            reason: self.reason.clone(),
            until: self.until,
            by: self.by.actor.clone(),
            created_at: self.by.now,
        }
    }

    /// What the audit log hears.
    pub(super) fn fact(&self) -> Fact {
        let until = self.until.map(Millis::rfc3339);
        let detail = json!({ "reason": self.reason, "until": until });
        Fact::new(&self.by.actor, "hotkey.quarantined", self.hotkey.as_str(), &detail)
    }
}

impl LiftQuarantine {
    /// What the audit log hears.
    pub(super) fn fact(&self) -> Fact {
        Fact::new(&self.by.actor, "hotkey.released", self.hotkey.as_str(), &json!({}))
    }
}
