//! Bytes of files: a folder in which every file is named by the SHA-256 of its content.
//!
//! Bytes are spooled first, counted and hashed while they come in, and get their name only when they
//! are on disk. So a name that a row refers to always exists and always is right.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// See the module's docs.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
}

/// Bytes kept from the beginning of a file, to tell what it is.
const HEAD_BYTES: usize = 4_096;

impl Blobs {
    /// Opens the folder and forgets spooled files that a crash left behind.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub async fn open(root: &Path) -> io::Result<Self> {
        let spool = root.join("spool");
        if fs::try_exists(&spool).await? {
            fs::remove_dir_all(&spool).await?;
        }
        fs::create_dir_all(&spool).await?;
        Ok(Self { root: root.to_owned() })
    }

    /// The folder as it is, for reading: nothing is made or forgotten.
    #[must_use]
    pub const fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where a blob is.
    #[must_use]
    pub fn path(&self, sha256: &str) -> PathBuf {
        self.root.join(sha256.get(..2).unwrap_or("00")).join(sha256)
    }

    /// Begins a file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn spool(&self) -> io::Result<Spool> {
        let path = self.root.join("spool").join(Uuid::now_v7().to_string());
        let file = File::create_new(&path).await?;
        let spooled = Spooled(path);
        Ok(Spool { file, spooled, hasher: Sha256::new(), size: 0, head: Vec::new() })
    }

    /// Gives a spooled file its name, durably.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left behind then.
    pub async fn keep(&self, spool: Spool) -> io::Result<Kept> {
        let Spool { mut file, spooled, hasher, size, head } = spool;
        file.flush().await?;
        file.sync_all().await?;
        let sha256 = hex::encode(hasher.finalize());
        let path = self.path(&sha256);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).await?;
            fs::rename(&spooled.0, &path).await?;
            // The name is durable once its folder is.
            File::open(folder).await?.sync_all().await?;
        }
        Ok(Kept { sha256, size, head })
    }
}

/// A file on its way in; removed when dropped.
#[derive(Debug)]
pub struct Spool {
    file: File,
    spooled: Spooled,
    hasher: Sha256,
    size: u64,
    head: Vec<u8>,
}

#[derive(Debug)]
struct Spooled(PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        // Gone already when it was kept.
        std::fs::remove_file(&self.0).ok();
    }
}

impl Spool {
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
}

/// A file that is on disk under its name.
#[derive(Debug)]
pub struct Kept {
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// The first bytes.
    pub head: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_kept_file_has_its_hash_for_a_name_and_a_dropped_one_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).await.unwrap();
        let mut spool = blobs.spool().await.unwrap();
        spool.write(b"hello ").await.unwrap();
        spool.write(b"world").await.unwrap();
        let kept = blobs.keep(spool).await.unwrap();
        assert_eq!(kept.size, 11);
        assert_eq!(std::fs::read(blobs.path(&kept.sha256)).unwrap(), b"hello world");
        assert_eq!(kept.sha256, hex::encode(Sha256::digest(b"hello world")));
        drop(blobs.spool().await.unwrap());
        assert_eq!(std::fs::read_dir(folder.path().join("spool")).unwrap().count(), 0);
    }
}
