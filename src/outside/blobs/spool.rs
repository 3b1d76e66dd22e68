//! A file on its way in: on the local disk, counted and hashed, without a name.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// Bytes kept from the beginning of a file, to tell what it is.
const HEAD_BYTES: usize = 4_096;

/// See the module's docs. Removed when dropped.
#[derive(Debug)]
pub struct Spool {
    file: File,
    path: Spooled,
    hasher: Sha256,
    size: u64,
    head: Vec<u8>,
}

/// The path of a spooled file, which goes with it unless it was given a name.
#[derive(Debug)]
pub(super) struct Spooled(pub(super) PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        // Gone already when it was renamed.
        std::fs::remove_file(&self.0).ok();
    }
}

/// A spooled file that is whole and durable.
pub(super) struct Whole {
    pub(super) path: Spooled,
    pub(super) sha256: String,
    pub(super) size: u64,
}

impl Spool {
    pub(super) async fn begin(folder: &Path) -> io::Result<Self> {
        let path = folder.join(Uuid::now_v7().to_string());
        let file = File::create_new(&path).await?;
        let path = Spooled(path);
        Ok(Self { file, path, hasher: Sha256::new(), size: 0, head: Vec::new() })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = HEAD_BYTES.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend(bytes.iter().take(room));
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).await
    }

    /// Bytes so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The first bytes.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    pub(super) async fn finish(self) -> io::Result<Whole> {
        let Self { mut file, path, hasher, size, .. } = self;
        file.flush().await?;
        file.sync_all().await?;
        Ok(Whole { path, sha256: hex::encode(hasher.finalize()), size })
    }
}
