//! What one validator says about many miners, read at the door into types that cannot be wrong.
//!
//! A bad entry is refused alone and never costs its neighbours; a body that is no list of
//! entries is refused whole. Nothing here weighs or compares reports: that is `consensus`.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::domain::ids::{Hotkey, MinerUid};
use crate::domain::units::{MINUTE, Millis, Score, Stake};

mod moment;
mod number;
mod parse;
mod text;
mod write;

pub use moment::parse_moment;
pub use parse::parse_statuses;
pub(crate) use text::quote_bare_words;
pub use write::canonical_json;

/// Largest reported load: a million tasks at once, in millionths of a task.
pub const LOAD_MILLIONTHS_MAX: i64 = 1_000_000_000_000;

/// Largest reported capacity in tasks. Whole clusters stand behind one uid, yet nobody runs more
/// at once; a larger number would only make every load look like none.
pub const CAPACITY_MAX: u32 = 100_000;

/// Limits of one report; each is a guard of memory, not a rule of the subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportLimits {
    /// Entries in one report. A uid is a u16, so an honest report never has more than 65,536.
    pub miners_max: usize,
    /// Bytes of the JSON text: 512 for each of 65,536 entries.
    pub bytes_max: usize,
    /// Bytes of all unknown fields of one entry, names included.
    pub other_bytes_max: usize,
    /// Names of task kinds in one entry.
    pub kinds_max: usize,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self { miners_max: 65_536, bytes_max: 32 << 20, other_bytes_max: 1_024, kinds_max: 32 }
    }
}

/// A report that is refused whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Not JSON, or cut off.
    #[error("the report is not JSON: {0}")]
    NotJson(String),
    /// JSON, but no list.
    #[error("the report must be a list of miner statuses")]
    NotAList,
    /// More entries than [`ReportLimits::miners_max`].
    #[error("the report lists more than {max} miners")]
    TooManyMiners {
        /// The limit.
        max: usize,
    },
    /// Longer than [`ReportLimits::bytes_max`].
    #[error("the report is longer than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
}

/// One entry that was refused; its neighbours were taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// Place in the list, from 0.
    pub index: usize,
    /// The uid that the entry names, also when it is out of range.
    pub uid: Option<i64>,
    /// The field at fault, or `entry` when the entry is no object.
    pub field: String,
    /// A phrase that completes "the field ..".
    pub reason: String,
}

/// A report's entries, sorted into good ones (in the order sent) and refused ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParsedReport {
    /// The entries taken; every uid at most once.
    pub statuses: Vec<MinerStatus>,
    /// The entries refused.
    pub rejections: Vec<Rejection>,
}

/// Names of task kinds that a miner is said to be good at: lower case, sorted, each once. One
/// text with commas inside, since millions of these are held and most are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kinds(Arc<str>);

impl Kinds {
    /// From names that hold no comma; none gives `None`.
    pub(crate) fn from_names(mut names: Vec<String>) -> Option<Self> {
        names.sort_unstable();
        names.dedup();
        (!names.is_empty()).then(|| Self(names.join(",").into()))
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split(',')
    }

    /// The names in one text, with commas between.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Kinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> serde::Deserialize<'de> for Kinds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Self::from_names(names).ok_or_else(|| serde::de::Error::custom("no kinds"))
    }
}

/// One validator's word on one miner. What it does not mention is `None`. Its serde form is the
/// parsed one, in integers, for replay; reports on the wire are read by [`parse_statuses`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinerStatus {
    /// The miner.
    pub uid: MinerUid,
    /// Whether it answers.
    pub is_serving: Option<bool>,
    /// Port of its endpoint.
    pub port: Option<u16>,
    /// Tasks it can run at once, 1 to [`CAPACITY_MAX`].
    pub capacity: Option<u32>,
    /// Address of its endpoint.
    pub ip: Option<IpAddr>,
    /// Hotkey behind the uid.
    pub hotkey: Option<Hotkey>,
    /// Stake behind the miner.
    pub stake: Option<Stake>,
    /// How well it performs.
    pub performance: Option<Score>,
    /// Tasks it runs now, in millionths of a task; averages are fractional.
    pub load_millionths: Option<i64>,
    /// Task kinds it is good at.
    pub specialization: Option<Kinds>,
    /// When the validator says it saw the miner. Kept for the audit, used by no decision: it is
    /// self-declared.
    pub last_seen: Option<Millis>,
    /// Unknown fields as one JSON object.
    pub other: Option<Arc<str>>,
}

impl MinerStatus {
    /// A status that says nothing but the uid.
    #[must_use]
    pub const fn new(uid: MinerUid) -> Self {
        Self {
            uid,
            is_serving: None,
            port: None,
            capacity: None,
            ip: None,
            hotkey: None,
            stake: None,
            performance: None,
            load_millionths: None,
            specialization: None,
            last_seen: None,
            other: None,
        }
    }

    /// Uses the texts of `peer` where they are equal, so that 64 validators who agree on a miner
    /// hold its hotkey once.
    pub(crate) fn share_texts(&mut self, peer: &Self) {
        if self.hotkey == peer.hotkey {
            self.hotkey.clone_from(&peer.hotkey);
        }
        if self.specialization == peer.specialization {
            self.specialization.clone_from(&peer.specialization);
        }
        if self.other == peer.other {
            self.other.clone_from(&peer.other);
        }
    }
}

/// How much a report is worth by its completeness and age, 0.1 to 1 (seed 001). `age_millis`
/// counts from the signed time, never from the self-declared `last_seen`.
#[must_use]
pub fn report_confidence(status: &MinerStatus, age_millis: i64) -> Score {
    // The uid is the fourth required field; without it there is no status at all.
    let required = [status.hotkey.is_some(), status.stake.is_some(), status.is_serving.is_some()];
    let detailed = [
        status.performance.is_some(),
        status.load_millionths.is_some(),
        status.specialization.is_some(),
    ];
    let missing = required.iter().filter(|present| !**present).count() as i64;
    let details = detailed.iter().filter(|present| **present).count() as i64;
    let recent = match age_millis {
        age if age < 5 * MINUTE => 100_000,
        age if age < 15 * MINUTE => 50_000,
        _ => 0,
    };
    let millionths = 1_000_000 - 100_000 * missing + 50_000 * details + recent;
    Score::clamped(millionths.max(100_000))
}

#[cfg(test)]
mod tests;
