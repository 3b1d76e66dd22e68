//! Bytes of files under the SHA-256 of their content: in a folder, or in a bucket that speaks S3.
//!
//! Bytes are spooled first, counted and hashed while they come in (a few of them in memory, more on
//! the local disk), and get their name only when they are whole and durable. So a name that a row refers to always exists and always
//! is right. Reading, listing and deleting are the same for both places; naming is not: in the
//! folder it is a rename with `fsync` of file and folder, which spares the copy that a generic put
//! would make.

mod pins;
mod spool;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use sha2::{Digest, Sha256};
use tokio::fs::{self, File};

use pins::Pins;
pub use pins::{Claim, Pin};
pub use spool::Spool;
use spool::{Content, Whole};

use crate::domain::limits::{
    BUCKET_PART_BYTES, BUCKET_PARTS_AT_ONCE, BUCKET_RETRIES_MAX, BUCKET_RETRY_SECS,
};
use crate::domain::units::Millis;

/// Where blobs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the folder itself.
    Folder,
    /// In a bucket.
    S3(Bucket),
}

/// A bucket of S3, or of what speaks like it. The keys to it come from the environment (`AWS_*`),
/// and only from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Where it is reached; `None` for Amazon's own.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: String,
    /// What all names in it begin with; empty for nothing.
    pub prefix: String,
    /// Whether it may be reached without TLS.
    pub allow_http: bool,
}

/// See the module's docs.
#[derive(Clone)]
pub struct Blobs {
    /// Where files are while they come in.
    spool: PathBuf,
    /// The folder of the blobs, where they are kept in one.
    folder: Option<PathBuf>,
    store: Arc<dyn ObjectStore>,
    pins: Pins,
}

impl fmt::Debug for Blobs {
    // Not the store, which holds keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blobs").field("spool", &self.spool).finish_non_exhaustive()
    }
}

impl Blobs {
    /// Opens the place and forgets spooled files that a crash left behind. `root` is the local
    /// folder: of the spool, and of the blobs if they are kept in one.
    ///
    /// # Errors
    /// When the folder cannot be made, or the settings of the bucket do not go together.
    pub async fn open(root: &Path, place: &Place) -> io::Result<Self> {
        let spool = root.join("spool");
        if fs::try_exists(&spool).await? {
            fs::remove_dir_all(&spool).await?;
        }
        fs::create_dir_all(&spool).await?;
        Self::look(root, place)
    }

    /// The place as it is, for reading: nothing is forgotten.
    ///
    /// # Errors
    /// When the folder cannot be used, or the settings of the bucket do not go together.
    pub fn look(root: &Path, place: &Place) -> io::Result<Self> {
        let (spool, pins) = (root.join("spool"), Pins::default());
        let (folder, store): (_, Arc<dyn ObjectStore>) = match place {
            Place::Folder => {
                std::fs::create_dir_all(root)?;
                let store = LocalFileSystem::new_with_prefix(root).map_err(failed)?;
                (Some(root.to_owned()), Arc::new(store))
            }
            Place::S3(bucket) => (None, Arc::new(open_bucket(bucket)?)),
        };
        Ok(Self { spool, folder, store, pins })
    }

    /// Begins a file.
    #[must_use]
    pub fn spool(&self) -> Spool {
        Spool::begin(&self.spool)
    }

    /// Gives a spooled file its name, durably. A name that is there already is given anew, so that it
    /// counts as touched.
    ///
    /// # Errors
    /// When the disk or the bucket refuses; nothing is left behind then.
    pub async fn keep(&self, spool: Spool) -> io::Result<Kept> {
        let whole = spool.finish().await?;
        let (sha256, size) = (whole.sha256.clone(), whole.size);
        let pin = self.pins.pin(&sha256).await;
        match self.folder.clone() {
            Some(root) => {
                let folder = root.join(prefix(&sha256));
                // One way to another thread, however many steps it takes.
                let named = tokio::task::spawn_blocking(move || whole.name(&root, &folder));
                named.await.map_err(io::Error::other)??;
            }
            None => self.put(whole).await?,
        }
        Ok(Kept { sha256, size, pin })
    }

    /// Streams a spooled file into the bucket; a large one in parts.
    async fn put(&self, whole: Whole) -> io::Result<()> {
        let (mut bytes, mut file) = (&[][..], None);
        match &whole.content {
            Content::Memory(held) => bytes = held,
            Content::Disk(_, path) => file = Some(File::open(&path.0).await?),
        }
        let sha256 = &whole.sha256;
        let mut writer =
            BufWriter::with_capacity(self.store.clone(), name(sha256), BUCKET_PART_BYTES)
                .with_max_concurrency(BUCKET_PARTS_AT_ONCE);
        let written = async {
            match &mut file {
                Some(file) => tokio::io::copy(file, &mut writer).await?,
                None => tokio::io::copy(&mut bytes, &mut writer).await?,
            };
            tokio::io::AsyncWriteExt::shutdown(&mut writer).await
        };
        let written = written.await;
        if written.is_err()
            && let Err(error) = writer.abort().await
        {
            tracing::warn!(%error, "parts of a broken put may be left in the bucket");
        }
        written
    }

    /// Bytes of a blob.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when it is not there, or what the place says.
    pub async fn size(&self, sha256: &str) -> io::Result<u64> {
        Ok(self.store.head(&name(sha256)).await.map_err(failed)?.size)
    }

    /// The bytes of a blob from `start` to before `end`, as they come.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when it is not there, or what the place says.
    pub async fn read(
        &self,
        sha256: &str,
        start: u64,
        end: u64,
    ) -> io::Result<BoxStream<'static, io::Result<Bytes>>> {
        if start >= end {
            return Ok(stream::empty().boxed());
        }
        let range = Some(GetRange::Bounded(start..end));
        let options = GetOptions { range, ..GetOptions::default() };
        let found = self.store.get_opts(&name(sha256), options).await.map_err(failed)?;
        Ok(found.into_stream().map_err(failed).boxed())
    }

    /// What a blob really hashes to.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub async fn hash(&self, sha256: &str) -> io::Result<String> {
        let found = self.store.get(&name(sha256)).await.map_err(failed)?;
        let mut bytes = found.into_stream();
        let mut hasher = Sha256::new();
        while let Some(bytes) = bytes.try_next().await.map_err(failed)? {
            hasher.update(&bytes);
        }
        Ok(hex::encode(hasher.finalize()))
    }

    /// Blobs whose name begins with this byte and that nobody touched since `before`, with their
    /// sizes. Anything else that lies there is passed over.
    pub fn untouched(&self, first: u8, before: Millis) -> BoxStream<'static, io::Result<Old>> {
        let folder = object_store::path::Path::from(hex::encode([first]));
        let old = move |meta: ObjectMeta| {
            let name = meta.location.filename()?.to_owned();
            let is_hash = name.len() == 64 && hex::decode(&name).is_ok();
            let touched = Millis(meta.last_modified.timestamp_millis());
            (is_hash && touched < before).then_some(Old { sha256: name, size: meta.size })
        };
        let listed = self.store.list(Some(&folder)).map_err(failed);
        listed.try_filter_map(move |meta| std::future::ready(Ok(old(meta)))).boxed()
    }

    /// Claims a blob for a sweep, unless it is on its way in.
    #[must_use]
    pub fn claim(&self, sha256: &str) -> Option<Claim> {
        self.pins.claim(sha256)
    }

    /// Deletes a blob that was claimed. One that is gone already is as good.
    ///
    /// # Errors
    /// What the place says.
    pub async fn delete(&self, claim: &Claim) -> io::Result<()> {
        match self.store.delete(&name(claim.name())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

fn open_bucket(bucket: &Bucket) -> io::Result<PrefixStore<object_store::aws::AmazonS3>> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        .with_allow_http(bucket.allow_http)
        .with_retry(RetryConfig {
            max_retries: BUCKET_RETRIES_MAX,
            retry_timeout: Duration::from_secs(BUCKET_RETRY_SECS),
            ..RetryConfig::default()
        });
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let store = builder.build().map_err(failed)?;
    Ok(PrefixStore::new(store, bucket.prefix.as_str()))
}

fn failed(error: object_store::Error) -> io::Error {
    match error {
        object_store::Error::NotFound { .. } => io::Error::new(io::ErrorKind::NotFound, error),
        other => io::Error::other(other),
    }
}

/// The folder of a name: its first byte.
fn prefix(sha256: &str) -> &str {
    sha256.get(..2).unwrap_or("00")
}

fn name(sha256: &str) -> object_store::path::Path {
    object_store::path::Path::from_iter([prefix(sha256), sha256])
}

/// A blob that nobody touched for long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// Its name.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// A file that is kept under its name. No sweep takes it while this lives: drop it when its row is
/// written.
#[derive(Debug)]
pub struct Kept {
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// What keeps sweeps off.
    pub pin: Pin,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::SPOOL_MEMORY_BYTES;

    async fn keep(blobs: &Blobs, bytes: &[u8]) -> Kept {
        let mut spool = blobs.spool();
        for chunk in bytes.chunks(7) {
            spool.write(chunk).await.unwrap();
        }
        blobs.keep(spool).await.unwrap()
    }

    async fn old(blobs: &Blobs, kept: &Kept, before: Millis) -> Vec<Old> {
        let first = hex::decode(&kept.sha256).unwrap()[0];
        blobs.untouched(first, before).try_collect().await.unwrap()
    }

    async fn text(blobs: &Blobs, sha256: &str, start: u64, end: u64) -> Vec<u8> {
        let parts: Vec<_> =
            blobs.read(sha256, start, end).await.unwrap().try_collect().await.unwrap();
        parts.concat()
    }

    #[tokio::test]
    async fn a_kept_file_has_its_hash_for_a_name_and_a_dropped_one_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), &Place::Folder).await.unwrap();
        let kept = keep(&blobs, b"hello world").await;
        let hash = hex::encode(Sha256::digest(b"hello world"));
        assert_eq!((kept.size, kept.sha256.as_str()), (11, hash.as_str()));
        let path = folder.path().join(&hash[..2]).join(&hash);
        assert_eq!(std::fs::read(path).unwrap(), b"hello world", "where it always was");
        assert_eq!(text(&blobs, &hash, 6, 11).await, b"world");
        assert_eq!(text(&blobs, &hash, 6, 6).await, b"");
        assert_eq!(blobs.size(&hash).await.unwrap(), 11);
        assert_eq!(blobs.hash(&hash).await.unwrap(), hash);
        drop(blobs.spool());
        assert_eq!(std::fs::read_dir(folder.path().join("spool")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn more_than_fits_in_memory_goes_over_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), &Place::Folder).await.unwrap();
        let spooled = || std::fs::read_dir(folder.path().join("spool")).unwrap().count();
        let bytes: Vec<u8> = (0..=250).cycle().take(SPOOL_MEMORY_BYTES).collect();
        let mut spool = blobs.spool();
        spool.write(&bytes).await.unwrap();
        assert_eq!(spooled(), 0);
        spool.write(b"and more").await.unwrap();
        assert_eq!(spooled(), 1);
        let kept = blobs.keep(spool).await.unwrap();
        assert_eq!(spooled(), 0);
        let whole = [&bytes[..], b"and more"].concat();
        assert_eq!(text(&blobs, &kept.sha256, 0, kept.size).await, whole);
        assert_eq!(kept.sha256, hex::encode(Sha256::digest(&whole)));
        let mut dropped = blobs.spool();
        dropped.write(&whole).await.unwrap();
        assert_eq!(spooled(), 1);
        drop(dropped);
        assert_eq!(spooled(), 0);
    }

    #[tokio::test]
    async fn what_a_crash_left_in_the_spool_is_gone_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), &Place::Folder).await.unwrap();
        let kept = keep(&blobs, b"stays").await;
        let rest = folder.path().join("spool/rest");
        std::fs::write(&rest, b"half").unwrap();
        let looking = Blobs::look(folder.path(), &Place::Folder).unwrap();
        assert!(rest.exists(), "looking forgets nothing");
        let blobs = Blobs::open(folder.path(), &Place::Folder).await.unwrap();
        assert!(!rest.exists());
        assert_eq!(blobs.size(&kept.sha256).await.unwrap(), 5);
        assert_eq!(looking.size(&kept.sha256).await.unwrap(), 5);
    }

    #[tokio::test]
    async fn only_what_was_not_touched_is_old_and_strangers_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), &Place::Folder).await.unwrap();
        let kept = keep(&blobs, b"some bytes").await;
        let path = folder.path().join(&kept.sha256[..2]).join(&kept.sha256);
        std::fs::write(path.with_file_name("notes.txt"), b"a stranger").unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        let (then, later) = (Millis(1_000_000), Millis(1_000_001));
        assert_eq!(old(&blobs, &kept, then).await, []);
        let expected = Old { sha256: kept.sha256.clone(), size: 10 };
        assert_eq!(old(&blobs, &kept, later).await, [expected]);
        let again = keep(&blobs, b"some bytes").await;
        assert_eq!(old(&blobs, &again, later).await, [], "the same bytes again touch it");
    }

    #[tokio::test]
    async fn a_blob_is_deleted_only_while_no_upload_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), &Place::Folder).await.unwrap();
        let kept = keep(&blobs, b"some bytes").await;
        assert!(blobs.claim(&kept.sha256).is_none(), "its row may be on its way");
        let sha256 = kept.sha256.clone();
        drop(kept);
        let claim = blobs.claim(&sha256).unwrap();
        let mut spool = blobs.spool();
        spool.write(b"some bytes").await.unwrap();
        let mut keeping = Box::pin(blobs.keep(spool));
        // The upload runs until it waits for the claim, however many steps that takes.
        let waits = tokio::time::timeout(std::time::Duration::from_millis(200), &mut keeping);
        assert!(waits.await.is_err(), "it waits");
        blobs.delete(&claim).await.unwrap();
        blobs.delete(&claim).await.unwrap();
        let gone = blobs.size(&sha256).await.unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        drop(claim);
        keeping.await.unwrap();
        assert_eq!(blobs.hash(&sha256).await.unwrap(), sha256);
    }
}
