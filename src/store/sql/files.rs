//! Files: written down, forgotten when their time is over, and which blobs none of them names.

use std::collections::HashSet;

use pithead_entities as e;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait, Set, Value};
use uuid::Uuid;

use super::dialect::{Batch, Cast, chunks, statement};
use super::idempotency::{self, Before, Claim};
use super::row::get;
use super::writer::Waiting;
use crate::domain::ids::FileId;
use crate::domain::units::Millis;
use crate::store::{FilePut, FileRow, ForgetFiles, Forgotten, PutFile, StoreError, StoreResult};

fn claim(command: &PutFile) -> Option<Claim<'_>> {
    Some(Claim {
        caller: &command.file.owner,
        idempotency: command.idempotency.as_ref()?,
        made: "file",
        made_id: command.file.id.0,
        created_at: command.file.created_at,
    })
}

/// Takes the idempotency keys, then writes the files that are new.
pub(super) async fn put(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutFile, FilePut>],
) -> StoreResult<()> {
    let claims = waiting.iter().filter(|w| w.is_open()).filter_map(|w| claim(&w.command));
    let known = idempotency::take(tx, claims.collect()).await?;
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let before = claim(&waiting.command).and_then(|claim| known.before(&claim));
        match before {
            Some(Before::Same(id)) => waiting.answer(FilePut::Existing(FileId(id))),
            Some(Before::Other) => waiting.answer(FilePut::Mismatch),
            None => {}
        }
    }
    insert(tx, waiting.iter().filter(|w| w.is_open()).map(|w| &w.command.file)).await?;
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        waiting.answer(FilePut::New);
    }
    Ok(())
}

/// Writes files. One that is there already was written by an earlier try of the same command.
pub(super) async fn insert(
    tx: &DatabaseTransaction,
    files: impl Iterator<Item = &FileRow>,
) -> StoreResult<()> {
    for chunk in chunks(files.map(model).collect::<StoreResult<_>>()?) {
        let mut once = OnConflict::column(e::file::Column::Id);
        e::file::Entity::insert_many(chunk)
            .on_conflict(once.do_nothing().to_owned())
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

fn model(file: &FileRow) -> StoreResult<e::file::ActiveModel> {
    let size = i64::try_from(file.size);
    Ok(e::file::ActiveModel {
        id: Set(file.id.0),
        owner: Set(file.owner.clone()),
        sha256: Set(file.sha256.clone()),
        size: Set(size.map_err(|_| StoreError::Corrupt("file size".to_owned()))?),
        content_type: Set(file.content_type.clone()),
        name: Set(file.name.clone()),
        created_at: Set(file.created_at.0),
        task_id: Set(file.task.map(|id| id.0)),
        expires_at: Set(file.expires_at.map(|at| at.0)),
    })
}

/// Files that are due, by moment; those without one by age.
const DUE: [&str; 2] = [
    "SELECT id FROM file WHERE expires_at <= $1 ORDER BY expires_at, id LIMIT $2",
    "SELECT id FROM file WHERE expires_at IS NULL AND created_at <= $1 \
     ORDER BY created_at, id LIMIT $2",
];

async fn due(
    db: &impl ConnectionTrait,
    command: ForgetFiles,
    rows_max: u64,
) -> StoreResult<Vec<Uuid>> {
    let mut ids = Vec::new();
    for (text, moment) in DUE.into_iter().zip([command.now, command.undated_before]) {
        let room = rows_max.saturating_sub(ids.len() as u64);
        let room = i64::try_from(room).unwrap_or(i64::MAX);
        let values = [moment.0.into(), room.into()];
        for row in db.query_all_raw(statement(db, text, values)).await? {
            ids.push(get(&row, 0)?);
        }
    }
    Ok(ids)
}

/// Whether any file is due: one look into each partial index.
pub(super) async fn any_due(db: &DatabaseConnection, command: ForgetFiles) -> StoreResult<bool> {
    Ok(!due(db, command, 1).await?.is_empty())
}

/// Files of `v` that a task needs: one that is open, or done and not yet judged.
const NEEDED: Batch = Batch {
    columns: &[("id", Cast::Uuid), ("done_after", Cast::Big)],
    body: "SELECT v.id FROM v JOIN file f ON f.id = v.id WHERE \
           EXISTS (SELECT 1 FROM task t WHERE t.input_file = v.id AND (t.finished_at IS NULL \
             OR (t.state = 'done' AND t.finished_at > v.done_after))) \
           OR EXISTS (SELECT 1 FROM task t WHERE t.id = f.task_id AND (t.finished_at IS NULL \
             OR (t.state = 'done' AND t.finished_at > v.done_after))) \
           OR EXISTS (SELECT 1 FROM voice s WHERE s.sample_file = v.id)",
};

const FORGET: Batch = Batch {
    columns: &[("id", Cast::Uuid)],
    body: "DELETE FROM file WHERE id IN (SELECT id FROM v) RETURNING id",
};

const POSTPONE: Batch = Batch {
    columns: &[("id", Cast::Uuid), ("again_at", Cast::Big)],
    body: "UPDATE file SET expires_at = v.again_at FROM v WHERE file.id = v.id RETURNING file.id",
};

/// Forgets what is due and not needed; what is needed is looked at again later.
pub(super) async fn forget(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<ForgetFiles, Forgotten>],
) -> StoreResult<()> {
    for waiting in waiting {
        let command = waiting.command;
        let due = due(tx, command, command.rows_max).await?;
        let pairs = |moment: Millis, ids: &[Uuid]| -> Vec<Vec<Value>> {
            ids.iter().map(|id| vec![(*id).into(), moment.0.into()]).collect()
        };
        let mut needed = HashSet::new();
        for row in NEEDED.run(tx, pairs(command.done_after, &due)).await? {
            needed.insert(get::<Uuid>(&row, 0)?);
        }
        let (stay, go): (Vec<_>, Vec<_>) = due.into_iter().partition(|id| needed.contains(id));
        let gone = FORGET.run(tx, go.into_iter().map(|id| vec![id.into()]).collect()).await?;
        let stayed = POSTPONE.run(tx, pairs(command.again_at, &stay)).await?;
        let (gone, needed) = (gone.len() as u64, stayed.len() as u64);
        waiting.answer(Forgotten { gone, needed });
    }
    Ok(())
}

/// Blobs whose names the writer is asked for.
#[derive(Debug, Clone)]
pub(super) struct Unreferenced(pub(super) Vec<String>);

const UNREFERENCED: Batch = Batch {
    columns: &[("sha256", Cast::Text)],
    body: "SELECT v.sha256 FROM v WHERE NOT EXISTS ( \
           SELECT 1 FROM file WHERE file.sha256 = v.sha256)",
};

/// Those of the blobs that no file names, in the order asked.
pub(super) async fn unreferenced(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Unreferenced, Vec<String>>],
) -> StoreResult<()> {
    for waiting in waiting {
        let mut asked = waiting.command.0.clone();
        let rows = asked.iter().map(|sha256| vec![sha256.as_str().into()]).collect();
        let mut free = HashSet::new();
        for row in UNREFERENCED.run(tx, rows).await? {
            free.insert(get::<String>(&row, 0)?);
        }
        asked.retain(|sha256| free.contains(sha256));
        waiting.answer(asked);
    }
    Ok(())
}
