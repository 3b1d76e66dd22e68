//! What a reader of logs should hear of validators; no verdict depends on these.

use serde::{Deserialize, Serialize};

use super::reputation::Reason;
use super::validator::Equivocation;
use crate::domain::audit::{Fact, SYSTEM};
use crate::domain::ids::Hotkey;
use crate::domain::units::Millis;

/// Something happened to a validator. Trust and shares are in millionths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of `ReputationState` and `Equivocation`")]
pub enum Event {
    /// No report for three of its periods.
    ValidatorSilent { hotkey: Hotkey, last_report_at: Millis },
    /// It reports again.
    ValidatorBack { hotkey: Hotkey },
    /// Its trust fell from `best` within its last reports.
    ValidatorDrifting { hotkey: Hotkey, best: i64, trust: i64, reason: Reason },
    /// It counts nothing until it agrees again.
    Quarantined { hotkey: Hotkey, trust: i64, reason: Reason },
    /// It counts half for a while.
    Probation { hotkey: Hotkey, trust: i64 },
    /// It counts in full again.
    Restored { hotkey: Hotkey, trust: i64 },
    /// It signed two reports under one (epoch, sequence).
    Equivocated { hotkey: Hotkey, found: Equivocation },
    /// These are new in a clique; each keeps `share` of its weight.
    Clique { hotkeys: Vec<Hotkey>, share: i64 },
}

impl Event {
    /// Whether it happened to this validator.
    #[must_use]
    pub fn concerns(&self, validator: &Hotkey) -> bool {
        match self {
            Self::ValidatorSilent { hotkey, .. }
            | Self::ValidatorBack { hotkey }
            | Self::ValidatorDrifting { hotkey, .. }
            | Self::Quarantined { hotkey, .. }
            | Self::Probation { hotkey, .. }
            | Self::Restored { hotkey, .. }
            | Self::Equivocated { hotkey, .. } => hotkey == validator,
            Self::Clique { hotkeys, .. } => hotkeys.contains(validator),
        }
    }

    /// What the audit log has to know of it: whose word lost or gained weight by a judgement of this
    /// server, in which round. Silence and drift are for the minutes.
    #[must_use]
    pub fn fact(&self, round: i64) -> Option<Fact> {
        let (action, who) = match self {
            Self::Quarantined { hotkey, .. } => ("validator.quarantined", Some(hotkey)),
            Self::Probation { hotkey, .. } => ("validator.probation", Some(hotkey)),
            Self::Restored { hotkey, .. } => ("validator.restored", Some(hotkey)),
            Self::Equivocated { hotkey, .. } => ("validator.equivocated", Some(hotkey)),
            Self::Clique { .. } => ("validator.clique", None),
            Self::ValidatorSilent { .. }
            | Self::ValidatorBack { .. }
            | Self::ValidatorDrifting { .. } => return None,
        };
        let subject = match who {
            Some(hotkey) => format!("{hotkey} round {round}"),
            None => format!("round {round}"),
        };
        let detail = serde_json::to_value(self).unwrap_or_default();
        Some(Fact::new(SYSTEM, action, &subject, &detail))
    }

    /// Its name, as in its JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ValidatorSilent { .. } => "validator_silent",
            Self::ValidatorBack { .. } => "validator_back",
            Self::ValidatorDrifting { .. } => "validator_drifting",
            Self::Quarantined { .. } => "quarantined",
            Self::Probation { .. } => "probation",
            Self::Restored { .. } => "restored",
            Self::Equivocated { .. } => "equivocated",
            Self::Clique { .. } => "clique",
        }
    }
}
