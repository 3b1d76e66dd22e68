//! Commands on files: taken in once per idempotency key, forgotten when nothing needs them.

use super::{FileRow, Idempotency, Nonce};
use crate::domain::ids::FileId;
use crate::domain::units::Millis;

/// The moment of what does not expire while something refers to it.
pub const NEVER: Millis = Millis(i64::MAX);

/// See [`super::Store::put_file`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutFile {
    /// The file.
    pub file: FileRow,
    /// Its idempotency key.
    pub idempotency: Option<Idempotency>,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// Answer to [`PutFile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePut {
    /// Written down.
    New,
    /// The same request made this file before.
    Existing(FileId),
    /// The idempotency key stands for another request.
    Mismatch,
}

/// See [`super::Store::forget_files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgetFiles {
    /// Files whose moment has come by now are due.
    pub now: Millis,
    /// Files without a moment are due when they are older than this one.
    pub undated_before: Millis,
    /// Tasks that were done before this moment are waited for no more.
    pub done_after: Millis,
    /// A due file that something needs is looked at again then.
    pub again_at: Millis,
    /// Rows at most.
    pub rows_max: u64,
}

/// Answer to [`ForgetFiles`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Files that went.
    pub gone: u64,
    /// Files that were due and are needed.
    pub needed: u64,
}
