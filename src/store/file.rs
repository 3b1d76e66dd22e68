//! Commands on files: taken in once per idempotency key, forgotten when nothing needs them.

use std::fmt;
use std::io;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use super::{FileRow, Idempotency, Nonce, StoreError, StoreResult};
use crate::domain::ids::FileId;
use crate::domain::units::Millis;

/// The moment of what does not expire while something refers to it.
pub const NEVER: Millis = Millis(i64::MAX);

/// A file that comes with a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its row.
    pub row: FileRow,
    /// Its bytes, unless they are durable already.
    pub arrival: Option<Arrival>,
}

impl From<FileRow> for NewFile {
    fn from(row: FileRow) -> Self {
        Self { row, arrival: None }
    }
}

/// Bytes on their way to the disk. What names them is committed when they are there, and not at all
/// when they do not get there.
#[derive(Clone)]
pub struct Arrival(Shared<BoxFuture<'static, Result<(), String>>>);

impl Arrival {
    /// Of what makes them durable.
    pub fn new(durable: impl Future<Output = io::Result<()>> + Send + 'static) -> Self {
        Self(durable.map(|done| done.map_err(|error| error.to_string())).boxed().shared())
    }

    /// Waits until they are durable.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when they could not be made so.
    pub async fn durable(&self) -> StoreResult<()> {
        let failed = |error| StoreError::Unavailable(format!("the file was not kept: {error}"));
        self.0.clone().await.map_err(failed)
    }
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.peek();
        f.debug_tuple("Arrival").field(&known).finish()
    }
}

impl PartialEq for Arrival {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl Eq for Arrival {}

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
