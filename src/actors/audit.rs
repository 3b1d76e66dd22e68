//! What there is to tell of the weight ledger and of callers, on its way into the audit log. Nobody
//! waits for it, and it goes on when the database was away: a failure may be just what is to be told.

use std::sync::Arc;
use std::time::Duration;

use super::Deps;
use crate::domain::audit::Fact;
use crate::domain::chain::State;
use crate::domain::limits::{AUDIT_AGAIN_MILLIS, AUDIT_TRIES_MAX, PAGE_MAX};
use crate::domain::units::Millis;
use crate::domain::watch::{Believed, SnapshotAge, drift};
use crate::store::{Note, SnapshotRow, Store, StoreError, SubmissionPage, SubmissionRow};

/// Has facts written that were not written before; each that is new is counted and logged.
pub(super) fn tell(deps: &Deps, facts: impl IntoIterator<Item = Fact>) {
    tell_to(Arc::clone(&deps.store), deps.config.netuid, facts, deps.clock.now());
}

/// The same, for those who have a store and no actor. To be called where tasks can be spawned.
pub fn tell_to(
    store: Arc<dyn Store>,
    netuid: u16,
    facts: impl IntoIterator<Item = Fact>,
    now: Millis,
) {
    let facts: Vec<Fact> = facts.into_iter().collect();
    if facts.is_empty() {
        return;
    }
    let note = Note { netuid, facts, now };
    actix::spawn(async move {
        for _ in 0..AUDIT_TRIES_MAX {
            match store.note(note.clone()).await {
                Ok(entries) => {
                    entries.iter().for_each(|entry| say(&entry.fact));
                    return;
                }
                Err(StoreError::Closed) => break,
                Err(error) => {
                    metrics::counter!(crate::telemetry::AUDIT_WRITES_FAILED).increment(1);
                    tracing::warn!(%error, "the audit log was not written; trying again");
                }
            }
            tokio::time::sleep(Duration::from_millis(AUDIT_AGAIN_MILLIS.unsigned_abs())).await;
        }
        for fact in &note.facts {
            let (action, subject) = (fact.action(), fact.subject());
            tracing::error!(action, subject, "is missing in the audit log: the database is away");
        }
    });
}

fn say(fact: &Fact) {
    let (action, subject, detail) = (fact.action(), fact.subject(), fact.detail());
    metrics::counter!(crate::telemetry::LEDGER_EVENTS, "event" => action.to_owned()).increment(1);
    tracing::warn!(action, subject, %detail, "something happened that the audit log keeps");
}

fn believed(row: &SnapshotRow) -> Believed {
    Believed { block: row.snapshot.block, adopted_at: row.adopted_at }
}

/// A snapshot is believed: tells of what it settled and drifted, and that the one before it was old.
pub(super) fn adopted(
    deps: &Deps,
    before: Option<&SnapshotRow>,
    row: &SnapshotRow,
    told: &[SubmissionRow],
) {
    let config = &deps.config.chain;
    let renewed =
        SnapshotAge::renewed(before.map(believed), believed(row), config.snapshot_max_age_millis());
    let settled = told.iter().filter(|submission| submission.of.state == State::Settled);
    let drifted = settled.filter_map(|submission| {
        let found = drift(&submission.weights, &row.snapshot)?;
        found.fact(&submission.of, config.drift_max_millionths)
    });
    tell(deps, renewed.into_iter().chain(drifted));
}

/// Tells of what drifted under the snapshot that is believed at the start: a server that was killed
/// right behind the adoption had no time to. What it did tell is not told again.
pub(super) fn resume(deps: Arc<Deps>, row: Arc<SnapshotRow>) {
    actix::spawn(async move {
        let netuid = deps.config.netuid;
        let newest = SubmissionPage { netuid, validator: None, before: None, limit: PAGE_MAX };
        match deps.store.submissions(newest).await {
            Ok(mut of) => {
                of.retain(|submission| submission.updated_at == row.adopted_at);
                adopted(&deps, None, &row, &of);
            }
            Err(error) => tracing::warn!(%error, "whether submissions drifted is not known"),
        }
    });
}

/// Looks whether what is believed has become old.
pub(super) fn look(age: &mut SnapshotAge, deps: &Deps, row: Option<&SnapshotRow>) {
    let most = deps.config.chain.snapshot_max_age_millis();
    tell(deps, age.look(row.map(believed), deps.clock.now(), most));
}
