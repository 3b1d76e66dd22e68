//! Snapshots of the metagraph that are believed: the row and the command.

use std::sync::Arc;

use super::{Nonce, StoreError, StoreResult, SubmissionRow};
use crate::domain::chain::Snapshot;
use crate::domain::ids::Hotkey;
use crate::domain::units::Millis;

/// A snapshot that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// What the chain said.
    pub snapshot: Arc<Snapshot>,
    /// Believed since.
    pub adopted_at: Millis,
    /// Who sent it, by hotkey.
    pub senders: Vec<Hotkey>,
}

impl SnapshotRow {
    /// From what is stored of it.
    pub(super) fn of(body: &[u8], senders: Vec<Hotkey>, adopted_at: Millis) -> StoreResult<Self> {
        let damaged = |error: &dyn std::fmt::Display| {
            StoreError::Corrupt(format!("a stored snapshot: {error}"))
        };
        let value = serde_json::from_slice(body).map_err(|error| damaged(&error))?;
        let snapshot = Snapshot::parse(&value).map_err(|error| damaged(&error))?;
        Ok(Self { snapshot: Arc::new(snapshot), adopted_at, senders })
    }
}

/// See [`super::Store::adopt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopt {
    /// The snapshot, and who sent it.
    pub row: SnapshotRow,
    /// Of the signed request that made it believed.
    pub nonce: Option<Nonce>,
}

/// Answer to [`Adopt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// Believed; the submissions of which it tells something new, as they stand now.
    New(Vec<SubmissionRow>),
    /// One of this block or a later one is believed already: nothing changed.
    Old,
}

/// For how many blocks behind the newest one snapshots are kept and submissions are looked at: a month
/// of 12 s each, far beyond any reveal period.
pub(super) const BACK_BLOCKS: i64 = 216_000;

/// The submissions of which a snapshot tells something new, as they stand then.
pub(super) fn told(
    submissions: impl Iterator<Item = SubmissionRow>,
    snapshot: &Snapshot,
    now: Millis,
) -> Vec<SubmissionRow> {
    let told = submissions.filter_map(|mut row| {
        let event = row.of.seen(snapshot)?;
        // What is seen follows from the state, so that it can follow it.
        let changed = row.of.take(event).unwrap_or(false);
        row.note(now);
        row.updated_at = now;
        changed.then_some(row)
    });
    told.collect()
}
