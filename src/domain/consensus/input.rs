//! What goes into the table, and what it answers.

use serde::Serialize;

use super::validator::{Equivocation, SignedOrder};
use super::verdict::Agreed;
use crate::domain::ids::{Hotkey, MinerUid, ReportId};
use crate::domain::report::MinerStatus;
use crate::domain::units::{Millis, Score, Stake};

/// One validator's report, authenticated and parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Our id of it.
    pub id: ReportId,
    /// Who signed it.
    pub validator: Hotkey,
    /// The validator's own step; a label, never an order.
    pub epoch: Option<i64>,
    /// The validator's own counter; without one a report cannot equivocate.
    pub sequence: Option<i64>,
    /// Signed time (the request's nonce) in nanoseconds, else the time of receipt. Orders reports.
    pub signed_nanos: i64,
    /// Miners left out are not meant to be absent.
    pub partial: bool,
    /// SHA-256 of the whole body, labels included: two reports are the same exactly when signed
    /// time and hash are.
    pub body_hash: [u8; 32],
    /// The entries taken.
    pub statuses: Vec<MinerStatus>,
}

impl Report {
    pub(super) fn order(&self) -> SignedOrder {
        let tie = self.body_hash.first_chunk().copied().map_or(0, u64::from_be_bytes);
        SignedOrder { nanos: self.signed_nanos, tie }
    }
}

/// What applying a report did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Entries that became the validator's newest word.
    pub accepted: usize,
    /// Entries that did not, with the reason.
    pub ignored: Vec<Ignored>,
    /// Miners to be merged again: accepted, newly left out, or voided.
    pub dirty: Vec<MinerUid>,
    /// The validator contradicted itself under one (epoch, sequence).
    pub equivocation: Option<Equivocation>,
}

/// An entry that changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// The miner.
    pub uid: MinerUid,
    /// Why.
    pub why: WhyIgnored,
}

/// Why an entry changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyIgnored {
    /// A report signed later (or this very one) was applied before.
    NotNewer,
    /// It speaks of whoever held the uid before.
    OlderRegistration,
    /// The table holds as many validators as it can count.
    TooManyValidators,
}

/// What is known of a validator besides its reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The validator.
    pub hotkey: Hotkey,
    /// Its uid, when known.
    pub uid: Option<u16>,
    /// Its stake by metagraph or allow-list; counts at once.
    pub stake: Option<Stake>,
    /// The trust it is given from outside, 1 as a rule; what it earned is multiplied with it.
    /// Counts from the next round on.
    pub reputation: Score,
}

/// What Pithead itself saw of a miner, on the scale of the reports. Moves the reputations of
/// those who speak of the miner, never its verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Observation {
    /// Share of valid answers in time, or how good they were.
    pub performance: Option<Score>,
    /// Whether it answers.
    pub is_serving: Option<bool>,
    /// Answers (or failures to answer) behind it.
    pub evidence: u32,
}

/// A miner's persisted part of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The miner.
    pub uid: MinerUid,
    /// What was last agreed.
    pub agreed: Agreed,
    /// Reports signed before this speak of another registration; 0 for the first one of a uid.
    pub ignore_before: Millis,
    /// Unless they name this hotkey.
    pub newcomer: Option<Hotkey>,
}
