//! Idempotency keys: the first command under a key decides what the key stands for.

use std::collections::{HashMap, HashSet};

use pithead_entities as e;
use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait};
use uuid::Uuid;

use super::dialect::{Batch, Cast};
use super::row::{get, one};
use crate::domain::ids::TaskId;
use crate::domain::units::Millis;
use crate::store::{Hash, Idempotency, StandsFor, StoreError, StoreResult};

const TAKE: Batch = Batch {
    columns: &[
        ("caller", Cast::Text),
        ("key", Cast::Text),
        ("body_hash", Cast::Text),
        ("made", Cast::Text),
        ("made_id", Cast::Uuid),
        ("created_at", Cast::Big),
    ],
    body: "INSERT INTO idempotency (caller, key, body_hash, made, made_id, created_at) \
           SELECT caller, key, body_hash, made, made_id, created_at FROM v WHERE true \
           ON CONFLICT (caller, key) DO NOTHING RETURNING caller, key",
};

const FIND: Batch = Batch {
    columns: &[("caller", Cast::Text), ("key", Cast::Text)],
    body: "SELECT i.caller, i.key, i.body_hash, i.made, i.made_id FROM idempotency i \
           JOIN v ON v.caller = i.caller AND v.key = i.key",
};

/// In the column `made`, of tasks.
pub(super) const TASK: &str = "task";

/// One key that a command brings, and what it would make.
pub(super) struct Claim<'a> {
    pub(super) caller: &'a str,
    pub(super) idempotency: &'a Idempotency,
    /// As in the column `made`.
    pub(super) made: &'static str,
    pub(super) made_id: Uuid,
    pub(super) created_at: Millis,
}

/// What a key stood for before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// The same request made this.
    Same(Uuid),
    /// Another request.
    Other,
}

/// Keys by caller and text, with what they stood for before.
#[derive(Default)]
pub(super) struct Known(HashMap<(String, String), (String, String, Uuid)>);

impl Known {
    /// What this claim's key stood for before; `None` when it was new.
    pub(super) fn before(&self, claim: &Claim<'_>) -> Option<Before> {
        let name = (claim.caller.to_owned(), claim.idempotency.key.clone());
        let (hash, made, id) = self.0.get(&name)?;
        let same = *hash == hex::encode(claim.idempotency.body_hash) && *made == claim.made;
        Some(if same { Before::Same(*id) } else { Before::Other })
    }
}

/// Writes the keys that are new; what the others stand for.
pub(super) async fn take(tx: &DatabaseTransaction, claims: Vec<Claim<'_>>) -> StoreResult<Known> {
    if claims.is_empty() {
        return Ok(Known::default());
    }
    let mut rows = Vec::with_capacity(claims.len());
    let mut names = HashSet::new();
    for claim in claims {
        names.insert((claim.caller.to_owned(), claim.idempotency.key.clone()));
        rows.push(vec![
            claim.caller.into(),
            claim.idempotency.key.as_str().into(),
            hex::encode(claim.idempotency.body_hash).into(),
            claim.made.into(),
            claim.made_id.into(),
            claim.created_at.0.into(),
        ]);
    }
    for row in TAKE.run(tx, rows).await? {
        names.remove(&(get::<String>(&row, 0)?, get::<String>(&row, 1)?));
    }
    let rows = names.into_iter().map(|(caller, key)| vec![caller.into(), key.into()]).collect();
    let mut known = Known::default();
    for row in FIND.run(tx, rows).await? {
        let name = (get(&row, 0)?, get(&row, 1)?);
        known.0.insert(name, (get(&row, 2)?, get(&row, 3)?, get(&row, 4)?));
    }
    Ok(known)
}

/// What one key stands for.
pub(super) async fn find(
    db: &impl ConnectionTrait,
    caller: &str,
    key: &str,
) -> StoreResult<Option<StandsFor>> {
    let by_key = e::idempotency::Entity::find_by_id((caller.to_owned(), key.to_owned()));
    let Some(row) = one(db, by_key).await? else { return Ok(None) };
    let mut body_hash = Hash::default();
    hex::decode_to_slice(&row.body_hash, &mut body_hash)
        .map_err(|error| StoreError::Corrupt(format!("the hash of a request: {error}")))?;
    let task = (row.made == TASK).then_some(TaskId(row.made_id));
    Ok(Some(StandsFor { body_hash, task }))
}

/// Takes one key back that its command then had no use for.
pub(super) async fn give_back(tx: &DatabaseTransaction, claim: &Claim<'_>) -> StoreResult<()> {
    let row = vec![claim.caller.into(), claim.idempotency.key.as_str().into()];
    GIVE_BACK.run(tx, vec![row]).await?;
    Ok(())
}

const GIVE_BACK: Batch = Batch {
    columns: &[("caller", Cast::Text), ("key", Cast::Text)],
    body: "DELETE FROM idempotency WHERE (caller, key) IN (SELECT caller, key FROM v) \
           RETURNING key",
};
