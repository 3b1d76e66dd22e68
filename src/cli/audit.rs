//! `pithead inspect audit`: what stands in the audit log, and whether it stands there as it was
//! written.

use clap::Args;
use serde_json::json;

use crate::app::AppError;
use crate::domain::audit::{Broken, Entry, Walk};
use crate::domain::limits::{AUDIT_PAGE, PAGE_MAX};
use crate::store::sql::SqlStore;
use crate::store::{AuditPage, AuditPlace, Store, StoreResult};

#[derive(Debug, Args)]
pub(super) struct Audit {
    /// Lines at most.
    #[arg(long, default_value_t = 100)]
    limit: u64,
    /// Only actions that begin so, as `weights.`
    #[arg(long, default_value = "")]
    action: String,
    /// Check every entry against the hash of the one before it, and list none.
    #[arg(long, conflicts_with_all = ["limit", "action"])]
    verify: bool,
}

impl Audit {
    pub(super) async fn run(self, store: &SqlStore, netuid: u16) -> Result<(), AppError> {
        if self.verify {
            return verified(store).await;
        }
        let (mut left, mut before) = (self.limit, None);
        while left > 0 {
            let (action, limit) = (self.action.clone(), left.min(PAGE_MAX));
            let entries = store.audit(AuditPage { netuid, action, before, limit }).await?;
            let Some(last) = entries.last() else { break };
            before = Some(last.seq);
            left = left.saturating_sub(entries.len() as u64);
            entries.iter().for_each(|entry| println!("{}", line(entry)));
        }
        Ok(())
    }
}

fn line(entry: &Entry) -> serde_json::Value {
    json!({
        "seq": entry.seq,
        "at": entry.at.rfc3339(),
        "actor": entry.fact.actor(),
        "action": entry.fact.action(),
        "subject": entry.fact.subject(),
        "detail": entry.fact.detail(),
        "hash": hex::encode(entry.hash),
    })
}

async fn verified(store: &SqlStore) -> Result<(), AppError> {
    let mut walk = Walk::default();
    if let Err(broken) = walked(store, &mut walk).await? {
        println!(
            "WRONG  {broken}; the {} entries before it are as they were written",
            walk.entries()
        );
        return Err(AppError::Unsound(1));
    }
    println!("{} entries, chain whole", walk.entries());
    if let Some((writer, head)) = walk.place() {
        println!(
            "newest: entry {} of writer `{writer}`, hash {}",
            head.seq,
            hex::encode(head.hash)
        );
    }
    Ok(())
}

/// Walks along all logs, page by page.
async fn walked(store: &SqlStore, walk: &mut Walk) -> StoreResult<Result<(), Broken>> {
    let mut place = AuditPlace::default();
    loop {
        let page = store.audit_after(place, AUDIT_PAGE).await?;
        let Some(last) = page.last() else { return Ok(Ok(())) };
        place = AuditPlace { writer: last.writer.clone(), seq: last.seq };
        if let Err(broken) = page.iter().try_for_each(|entry| walk.step(entry)) {
            return Ok(Err(broken));
        }
    }
}
