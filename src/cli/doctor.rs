//! `pithead doctor`: whether what must hold at every commit does hold. Reads only; the server must
//! not run meanwhile.

use std::fs::File;
use std::io;
use std::path::Path;

use clap::Args;
use sha2::{Digest, Sha256};

use super::Common;
use crate::app::{AppError, open_store};
use crate::config::Config;
use crate::outside::Blobs;
use crate::store::sql::{Location, SqlStore};
use crate::store::{FileRow, Store, StoreResult};

/// Check a data folder: rows against rows, files against rows.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    common: Common,
    /// Also read every file to its end and compare its hash with its name.
    #[arg(long)]
    deep: bool,
}

/// Files read from the database at once.
const PAGE: u64 = 500;
/// Wrong files that are named; the rest is only counted.
const NAMED_MAX: usize = 20;

impl Doctor {
    pub(super) async fn run(self) -> Result<(), AppError> {
        let config = self.common.load()?;
        must_exist(&config)?;
        let store = open_store(&config, &config.data_dir).await?;
        let checked = check(&store, &config.data_dir.join("blobs"), self.deep).await;
        store.close().await;
        match checked? {
            0 => Ok(()),
            failed => Err(AppError::Unsound(failed)),
        }
    }
}

/// Opening would make an empty database, and call it sound.
fn must_exist(config: &Config) -> Result<(), AppError> {
    match Location::parse(config.database.as_deref(), &config.data_dir)? {
        Location::Sqlite(path) if !path.exists() => {
            Err(AppError::NoDatabase(path.display().to_string()))
        }
        Location::Sqlite(_) | Location::Postgres(_) => Ok(()),
    }
}

/// Prints every check with its outcome; how many failed.
async fn check(store: &SqlStore, blobs: &Path, deep: bool) -> StoreResult<usize> {
    let mut failed = 0;
    for (name, offenders) in store.check().await? {
        match offenders {
            0 => println!("ok     {name}"),
            rows => {
                failed += 1;
                println!("WRONG  {name}: {rows} rows");
            }
        }
    }
    let blobs = Blobs::at(blobs.to_owned());
    let (mut files, mut wrong) = (0, 0);
    let mut after = None;
    loop {
        let page = store.all_files(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        files += page.len();
        for row in &page {
            let Some(reason) = fault(&blobs.path(&row.sha256), row, deep) else { continue };
            wrong += 1;
            if wrong <= NAMED_MAX {
                println!("       file {} {reason}", row.id);
            }
        }
    }
    let name = if deep { "files_have_their_bytes" } else { "files_have_their_size" };
    if wrong == 0 {
        println!("ok     {name} ({files} files)");
    } else {
        failed += 1;
        println!("WRONG  {name}: {wrong} of {files} files");
    }
    Ok(failed)
}

/// What is wrong with the bytes of a file, if anything is.
fn fault(path: &Path, row: &FileRow, deep: bool) -> Option<String> {
    let size = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) => return Some(format!("cannot be read at `{}`: {error}", path.display())),
    };
    if size != row.size {
        return Some(format!("has {size} bytes instead of {}", row.size));
    }
    if !deep {
        return None;
    }
    match hash(path) {
        Ok(hash) if hash == row.sha256 => None,
        Ok(hash) => Some(format!("hashes to {hash} instead of {}", row.sha256)),
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}

fn hash(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}
