//! What is published about a miner: in integers for storage and replay, in floats for readers.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::ids::{Hotkey, MinerUid};
use crate::domain::report::Kinds;
use crate::domain::units::{Millis, Score, Stake};

/// How a validator is shown: by its uid when that is known, else by its hotkey.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum VoterName {
    /// Its place in the subnet.
    Uid(u16),
    /// Its hotkey.
    Hotkey(Hotkey),
}

impl fmt::Display for VoterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "uid {uid}"),
            Self::Hotkey(hotkey) => write!(f, "{hotkey}"),
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text}"),
        }
    }
}

/// A value as a validator said it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word {
    /// Yes or no.
    Flag(bool),
    /// A number in the field's integer unit (millionths, rao, tasks).
    Number(i64),
    /// A text.
    Text(String),
}

/// Who said what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voice {
    /// The validator.
    pub validator: VoterName,
    /// Its word.
    pub word: Word,
}

/// A field on which validators contradict each other and too few agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The field's name in reports.
    pub field: String,
    /// Everybody's word on it.
    pub voices: Vec<Voice>,
}

/// What a quorum last agreed on; it stays when a later vote fails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// Whether the miner answers.
    pub is_serving: Option<bool>,
    /// The hotkey behind the uid.
    pub hotkey: Option<Hotkey>,
}

/// The merged status of one miner in one round. Its serde form is the stored one: integers only,
/// fixed field order, equal bytes for equal inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The miner.
    pub uid: MinerUid,
    /// The round, counted in round lengths from 1970.
    pub round: i64,
    /// The hotkey behind the uid.
    pub hotkey: Option<Hotkey>,
    /// Stake behind the miner.
    pub stake: Option<Stake>,
    /// Whether it answers.
    pub is_serving: Option<bool>,
    /// How well it performs.
    pub performance: Option<Score>,
    /// Tasks it runs, in millionths of a task.
    pub load_millionths: Option<i64>,
    /// Tasks it can run at once.
    pub capacity: Option<u32>,
    /// Task kinds it is good at.
    pub specialization: Option<Kinds>,
    /// Address of its endpoint.
    pub ip: Option<IpAddr>,
    /// Port of its endpoint.
    pub port: Option<u16>,
    /// Unknown fields of the most recent eligible report, one JSON object.
    pub other: Option<Arc<str>>,
    /// When the middle validator (by weight) last listed it.
    pub last_seen: Option<Millis>,
    /// Coverage x agreement x freshness.
    pub confidence: Score,
    /// Base weight of those who report this miner.
    pub coverage: Score,
    /// Mean over fields of the base weight that agrees with what is published.
    pub agreement: Score,
    /// Mean freshness of the reports, by base weight.
    pub freshness: Score,
    /// Who was heard, sorted.
    pub validators: Vec<VoterName>,
    /// Fields in conflict, with who said what.
    pub conflicts: Vec<Conflict>,
    /// Too much dissent to boost the miner.
    pub contested: bool,
    /// Heard from fewer validators than a consensus needs: a fallback only.
    pub single_source: bool,
    /// What stays when a vote of the next round fails.
    pub agreed: Agreed,
}

impl Verdict {
    /// The form that readers get: the documents' field names, floats, RFC 3339.
    #[must_use]
    pub fn public(&self) -> PublicVerdict<'_> {
        PublicVerdict {
            uid: self.uid,
            hotkey: self.hotkey.as_ref(),
            stake: self.stake.map(Stake::tokens),
            is_serving: self.is_serving,
            performance_score: self.performance.map(Score::as_f64),
            current_load: self.load_millionths.map(|load| load as f64 / 1e6),
            max_capacity: self.capacity,
            task_type_specialization: self.specialization.as_ref(),
            ip: self.ip,
            port: self.port,
            last_seen: self.last_seen.map(Millis::rfc3339),
            other: self.other.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            consensus_confidence: self.confidence.as_f64(),
            consensus_validators: &self.validators,
            conflicts_detected: self.conflicts.iter().map(|c| c.field.as_str()).collect(),
            contested: self.contested,
            single_source: self.single_source,
            round: self.round,
        }
    }
}

/// A verdict as JSON shows it; see [`Verdict::public`]. Stake in tokens, load in tasks.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of `Verdict` under their JSON names")]
pub struct PublicVerdict<'v> {
    pub uid: MinerUid,
    pub hotkey: Option<&'v Hotkey>,
    pub stake: Option<f64>,
    pub is_serving: Option<bool>,
    pub performance_score: Option<f64>,
    pub current_load: Option<f64>,
    pub max_capacity: Option<u32>,
    pub task_type_specialization: Option<&'v Kinds>,
    pub ip: Option<IpAddr>,
    pub port: Option<u16>,
    pub last_seen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<&'v RawValue>,
    pub consensus_confidence: f64,
    pub consensus_validators: &'v [VoterName],
    pub conflicts_detected: Vec<&'v str>,
    pub contested: bool,
    pub single_source: bool,
    pub round: i64,
}
