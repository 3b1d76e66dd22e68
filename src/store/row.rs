//! Rows that commands write and reads answer: plain values.

use serde_json::Value;

use super::command::Hash;
use crate::domain::ids::{FileId, Hotkey, MinerUid, RegistrationId, ReportId, TaskId, ValidatorId};
use crate::domain::miner::Record;
use crate::domain::units::{Millis, Score};

/// A merged score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreRow {
    /// The task.
    pub task: TaskId,
    /// The slot.
    pub slot: u16,
    /// Whose.
    pub registration: RegistrationId,
    /// Kind of the task.
    pub kind: String,
    /// Merged score.
    pub score: Score,
    /// Validators that judged.
    pub validators: u16,
    /// Approved.
    pub scored_at: Millis,
}

/// A registration's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRow {
    /// Key.
    pub id: RegistrationId,
    /// Place in the subnet.
    pub uid: MinerUid,
    /// Hotkey.
    pub hotkey: Hotkey,
    /// Since which block; 0 when not known.
    pub registered_block: i64,
    /// Owner, where known.
    pub coldkey: Option<Hotkey>,
    /// Leases at once.
    pub capacity: u32,
    /// Leases now.
    pub live: u32,
    /// How its leases went.
    pub record: Record,
    /// Opened.
    pub opened_at: Millis,
    /// Closed.
    pub closed_at: Option<Millis>,
}

/// A validator's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorRow {
    /// Key.
    pub id: ValidatorId,
    /// Hotkey.
    pub hotkey: Hotkey,
    /// Its uid in the subnet.
    pub uid: u16,
    /// First seen.
    pub created_at: Millis,
    /// Its track record, once it was judged.
    pub track: Option<Value>,
}

/// A report's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// Key.
    pub id: ReportId,
    /// Who reported.
    pub validator: ValidatorId,
    /// Signed time in nanoseconds, else receipt: what orders a validator's reports.
    pub signed_order: i64,
    /// The validator's label.
    pub epoch: i64,
    /// Its own count inside the epoch.
    pub sequence: Option<i64>,
    /// Whether missing miners mean nothing.
    pub partial: bool,
    /// Receipt.
    pub received_at: Millis,
    /// Statuses taken.
    pub statuses: u32,
    /// Of the body as received.
    pub body_hash: Hash,
    /// Accepted statuses as canonical JSON (compressed by the store).
    pub body: Vec<u8>,
}

/// Values agreed in a closed round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictRow {
    /// The miner's uid.
    pub uid: MinerUid,
    /// The round.
    pub round: i64,
    /// The values.
    pub body: Value,
}

/// How a miner is at one kind of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindRecordRow {
    /// Whose.
    pub registration: RegistrationId,
    /// Kind of the tasks.
    pub kind: String,
    /// The record, as the domain writes it.
    pub body: Value,
    /// Last written.
    pub updated_at: Millis,
}

/// See [`super::Store::put_kind_records`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutKindRecords {
    /// Records that changed.
    pub rows: Vec<KindRecordRow>,
    /// What is to be added by day.
    pub work: Vec<super::WorkDay>,
}

/// A file's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Key.
    pub id: FileId,
    /// Who may see it.
    pub owner: String,
    /// SHA-256 of the bytes, lower-case hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Sniffed content type.
    pub content_type: String,
    /// Name that the sender gave.
    pub name: String,
    /// Stored.
    pub created_at: Millis,
    /// Task that it is an output of.
    pub task: Option<TaskId>,
    /// May be forgotten from then on; `None` where its age decides.
    pub expires_at: Option<Millis>,
}
