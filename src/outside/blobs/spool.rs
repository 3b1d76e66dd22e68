//! A file on its way in: counted and hashed, without a name. A small one stays in memory; a larger
//! one is on the local disk.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::domain::limits::SPOOL_MEMORY_BYTES;

/// Bytes kept from the beginning of a file, to tell what it is.
const HEAD_BYTES: usize = 4_096;

/// See the module's docs. Removed when dropped.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    content: Content,
    hasher: Sha256,
    size: u64,
    head: Vec<u8>,
}

/// Where the bytes are.
#[derive(Debug)]
pub(super) enum Content {
    Memory(Vec<u8>),
    Disk(File, Spooled),
}

/// The path of a spooled file, which goes with it unless it was given a name.
#[derive(Debug)]
pub(super) struct Spooled(pub(super) PathBuf);

impl Spooled {
    fn new(folder: &Path) -> Self {
        Self(folder.join(Uuid::now_v7().to_string()))
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // Gone already when it was renamed.
        std::fs::remove_file(&self.0).ok();
    }
}

/// A spooled file that is whole.
pub(super) struct Whole {
    pub(super) folder: PathBuf,
    pub(super) content: Content,
    pub(super) sha256: String,
    pub(super) size: u64,
}

impl Spool {
    pub(super) fn begin(folder: &Path) -> Self {
        let content = Content::Memory(Vec::new());
        let folder = folder.to_owned();
        Self { folder, content, hasher: Sha256::new(), size: 0, head: Vec::new() }
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
        if let Content::Memory(held) = &mut self.content {
            if held.len() + bytes.len() <= SPOOL_MEMORY_BYTES {
                held.extend_from_slice(bytes);
                return Ok(());
            }
            let path = Spooled::new(&self.folder);
            let mut file = File::create_new(&path.0).await?;
            file.write_all(held).await?;
            self.content = Content::Disk(file, path);
        }
        match &mut self.content {
            Content::Disk(file, _) => file.write_all(bytes).await,
            Content::Memory(_) => Ok(()),
        }
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
        let Self { folder, mut content, hasher, size, .. } = self;
        if let Content::Disk(file, _) = &mut content {
            file.flush().await?;
        }
        Ok(Whole { folder, content, sha256: hex::encode(hasher.finalize()), size })
    }
}

impl Whole {
    /// Moves it to `folder` under its hash, durably. Blocks.
    pub(super) fn name(self, root: &Path, folder: &Path) -> io::Result<()> {
        let (file, path) = match self.content {
            Content::Disk(file, path) => {
                let file = file.try_into_std();
                (file.map_err(|_| io::Error::other("the file is still being written"))?, path)
            }
            Content::Memory(bytes) => {
                let path = Spooled::new(&self.folder);
                let mut file = std::fs::File::create_new(&path.0)?;
                file.write_all(&bytes)?;
                (file, path)
            }
        };
        file.sync_all()?;
        match std::fs::create_dir(folder) {
            // The folder's own name is durable once the one that holds it is.
            Ok(()) => std::fs::File::open(root)?.sync_all()?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        std::fs::rename(&path.0, folder.join(&self.sha256))?;
        std::fs::File::open(folder)?.sync_all()
    }
}
