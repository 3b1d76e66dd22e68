//! `pithead doctor`: whether what must hold at every commit does hold. Reads only; the server must
//! not run meanwhile.

use clap::Args;

use super::Common;
use crate::app::{AppError, blob_place, open_store};
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
        let blobs = Blobs::look(&config.data_dir.join("blobs"), &blob_place(&config));
        let blobs =
            blobs.map_err(|error| AppError::Io { what: "cannot read files".to_owned(), error })?;
        let store = open_store(&config, &config.data_dir).await?;
        let checked = check(&store, &blobs, self.deep).await;
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
async fn check(store: &SqlStore, blobs: &Blobs, deep: bool) -> StoreResult<usize> {
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
    let (mut files, mut wrong) = (0, 0);
    let mut after = None;
    loop {
        let page = store.all_files(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        files += page.len();
        for row in &page {
            let Some(reason) = fault(blobs, row, deep).await else { continue };
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
async fn fault(blobs: &Blobs, row: &FileRow, deep: bool) -> Option<String> {
    match blobs.size(&row.sha256).await {
        Ok(size) if size != row.size => {
            return Some(format!("has {size} bytes instead of {}", row.size));
        }
        Ok(_) => {}
        Err(error) => return Some(format!("cannot be read at `{}`: {error}", row.sha256)),
    }
    if !deep {
        return None;
    }
    match blobs.hash(&row.sha256).await {
        Ok(hash) if hash == row.sha256 => None,
        Ok(hash) => Some(format!("hashes to {hash} instead of {}", row.sha256)),
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}
