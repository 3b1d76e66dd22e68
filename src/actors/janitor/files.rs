//! Files past their time, and blobs that no file names any more.

use std::io;

use futures_util::TryStreamExt;

use crate::actors::Deps;
use crate::domain::limits;
use crate::domain::units::Millis;
use crate::outside::Blobs;
use crate::outside::blobs::{Claim, Old};
use crate::store::{ForgetFiles, StoreResult};
use crate::telemetry;

/// Forgets the rows of files whose time is over; their bytes go with the sweep.
pub(super) async fn forget(deps: &Deps, now: Millis) -> StoreResult<()> {
    let stay = deps.config.retention.files_millis(None);
    let command = ForgetFiles {
        now,
        undated_before: now.plus(-stay),
        done_after: now.plus(-stay),
        again_at: now.plus(limits::FILE_AGAIN_MILLIS),
        rows_max: limits::FILES_FORGOTTEN_MAX,
    };
    for _ in 0..limits::FILES_LOOKS_MAX {
        let forgotten = deps.store.forget_files(command).await?;
        metrics::counter!(telemetry::FILES_FORGOTTEN).increment(forgotten.gone);
        if forgotten.gone + forgotten.needed < limits::FILES_FORGOTTEN_MAX {
            break;
        }
    }
    Ok(())
}

/// Deletes the blobs whose names begin with this byte, that nobody touched for a day, and that no
/// file names.
pub(super) async fn sweep(deps: &Deps, blobs: &Blobs, first: u8, now: Millis) -> io::Result<()> {
    let before = now.plus(-limits::BLOB_REST_MILLIS);
    let chunks = blobs.untouched(first, before).try_chunks(limits::BLOBS_ASKED_MAX);
    let mut chunks = std::pin::pin!(chunks);
    while let Some(chunk) = chunks.try_next().await.map_err(|error| error.1)? {
        // From the claim on no upload gives the name anew; so what the writer then says stays true
        // until the blob is gone.
        let claimed = |old: Old| Some((blobs.claim(&old.sha256)?, old));
        let claimed: Vec<(Claim, Old)> = chunk.into_iter().filter_map(claimed).collect();
        if claimed.is_empty() {
            continue;
        }
        let names = claimed.iter().map(|(_, old)| old.sha256.clone()).collect();
        let unreferenced = deps.store.unreferenced(names).await.map_err(io::Error::other)?;
        for (claim, old) in claimed {
            if unreferenced.contains(&old.sha256) {
                blobs.delete(&claim).await?;
                metrics::counter!(telemetry::BLOBS_DELETED).increment(1);
                metrics::counter!(telemetry::BLOB_BYTES_DELETED).increment(old.size);
            }
        }
    }
    Ok(())
}
