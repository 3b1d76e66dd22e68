//! Voices: written down, taken out, found by name.

use pithead_entities as e;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, Set,
};
use uuid::Uuid;

use super::dialect::statement;
use super::idempotency::{self, Before, Claim};
use super::row::get;
use super::writer::Waiting;
use crate::domain::ids::{FileId, VoiceId};
use crate::domain::units::Millis;
use crate::store::{DeleteVoice, NEVER, PutVoice, StoreResult, VoicePage, VoicePut, VoiceRow};

fn claim(command: &PutVoice) -> Option<Claim<'_>> {
    Some(Claim {
        caller: &command.voice.owner,
        idempotency: command.idempotency.as_ref()?,
        made: "voice",
        made_id: command.voice.id.0,
        created_at: command.voice.created_at,
    })
}

/// Writes voices down, one after the other: they are rare.
pub(super) async fn put(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutVoice, VoicePut>],
) -> StoreResult<()> {
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let command = waiting.command.clone();
        let claim = claim(&command);
        if let Some(claim) = &claim {
            let known = idempotency::take(tx, vec![Claim { ..*claim }]).await?;
            match known.before(claim) {
                Some(Before::Same(id)) => {
                    waiting.answer(VoicePut::Existing(VoiceId(id)));
                    continue;
                }
                Some(Before::Other) => {
                    waiting.answer(VoicePut::Mismatch);
                    continue;
                }
                None => {}
            }
        }
        let put = put_one(tx, &command).await?;
        if let Some(claim) = &claim
            && put != VoicePut::New
        {
            // What made nothing may be tried again under the same key.
            idempotency::give_back(tx, claim).await?;
        }
        waiting.answer(put);
    }
    Ok(())
}

async fn put_one(tx: &DatabaseTransaction, command: &PutVoice) -> StoreResult<VoicePut> {
    let voice = &command.voice;
    let named = e::voice::Entity::find()
        .filter(e::voice::Column::Owner.eq(&voice.owner))
        .filter(e::voice::Column::Name.eq(&voice.name));
    if let Some(known) = named.one(tx).await? {
        // A voice that is there already was written by an earlier try of the same command.
        let again = known.id == voice.id.0;
        return Ok(if again { VoicePut::New } else { VoicePut::NameTaken });
    }
    // The last one that there may be, if it is there.
    let text = "SELECT id FROM voice WHERE owner = $1 ORDER BY name LIMIT 1 OFFSET $2";
    let last = i64::try_from(command.voices_max.saturating_sub(1)).unwrap_or(i64::MAX);
    let values = [voice.owner.as_str().into(), last.into()];
    if tx.query_one_raw(statement(tx, text, values)).await?.is_some() {
        return Ok(VoicePut::Full);
    }
    if let Some(sample) = voice.sample
        && !date_file(tx, sample, NEVER).await?
    {
        return Ok(VoicePut::NoSample);
    }
    let row = e::voice::ActiveModel {
        id: Set(voice.id.0),
        owner: Set(voice.owner.clone()),
        name: Set(voice.name.clone()),
        language: Set(voice.language.clone()),
        description: Set(voice.description.clone()),
        sample_file: Set(voice.sample.map(|id| id.0)),
        created_at: Set(voice.created_at.0),
        shared_at: Set(voice.shared_at.map(|at| at.0)),
    };
    e::voice::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(VoicePut::New)
}

/// Gives a file another moment; whether it is there.
async fn date_file(tx: &DatabaseTransaction, id: FileId, at: Millis) -> StoreResult<bool> {
    let change = e::file::Entity::update_many()
        .col_expr(e::file::Column::ExpiresAt, sea_orm::sea_query::Expr::value(at.0))
        .filter(e::file::Column::Id.eq(id.0));
    Ok(change.exec(tx).await?.rows_affected > 0)
}

pub(super) async fn delete(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<DeleteVoice, bool>],
) -> StoreResult<()> {
    for waiting in waiting {
        let DeleteVoice { id, sample_until } = waiting.command;
        let Some(voice) = e::voice::Entity::find_by_id(id.0).one(tx).await? else {
            waiting.answer(false);
            continue;
        };
        e::voice::Entity::delete_by_id(id.0).exec(tx).await?;
        if let Some(sample) = voice.sample_file {
            let others = e::voice::Entity::find().filter(e::voice::Column::SampleFile.eq(sample));
            if others.one(tx).await?.is_none() {
                date_file(tx, FileId(sample), sample_until).await?;
            }
        }
        waiting.answer(true);
    }
    Ok(())
}

fn row(model: e::voice::Model) -> VoiceRow {
    VoiceRow {
        id: VoiceId(model.id),
        owner: model.owner,
        name: model.name,
        language: model.language,
        description: model.description,
        sample: model.sample_file.map(FileId),
        created_at: Millis(model.created_at),
        shared_at: model.shared_at.map(Millis),
    }
}

pub(super) async fn one(db: &DatabaseConnection, id: VoiceId) -> StoreResult<Option<VoiceRow>> {
    Ok(super::row::one(db, e::voice::Entity::find_by_id(id.0)).await?.map(row))
}

pub(super) async fn named(
    db: &DatabaseConnection,
    owner: &str,
    name: &str,
) -> StoreResult<Option<VoiceRow>> {
    use e::voice::Column;
    let named = || e::voice::Entity::find().filter(Column::Name.eq(name));
    if let Some(own) = super::row::one(db, named().filter(Column::Owner.eq(owner))).await? {
        return Ok(Some(row(own)));
    }
    let shared = named().filter(Column::SharedAt.is_not_null()).order_by_asc(Column::Id);
    Ok(shared.one(db).await?.map(row))
}

pub(super) async fn of_sample(db: &DatabaseConnection, file: FileId) -> StoreResult<Vec<VoiceRow>> {
    let having = e::voice::Entity::find().filter(e::voice::Column::SampleFile.eq(file.0));
    let rows = having.order_by_asc(e::voice::Column::Id).all(db).await?;
    Ok(rows.into_iter().map(row).collect())
}

pub(super) async fn page(db: &DatabaseConnection, page: VoicePage) -> StoreResult<Vec<VoiceRow>> {
    use e::voice::Column;
    let after = page.after.map_or(Uuid::nil(), |id| id.0);
    let mut find = e::voice::Entity::find().filter(Column::Id.gt(after)).order_by_asc(Column::Id);
    if let Some(owner) = page.owner {
        // An `OR` would walk the whole table; each half has an index of its own.
        let text = "SELECT id FROM (SELECT id FROM voice WHERE owner = $1 AND id > $2 UNION \
                    SELECT id FROM voice WHERE shared_at IS NOT NULL AND id > $2) AS seen \
                    ORDER BY id LIMIT $3";
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let values = [owner.into(), after.into(), limit.into()];
        let mut ids: Vec<Uuid> = Vec::new();
        for row in db.query_all_raw(statement(db, text, values)).await? {
            ids.push(get(&row, 0)?);
        }
        find = find.filter(Column::Id.is_in(ids));
    }
    let rows = find.limit(page.limit).all(db).await?;
    Ok(rows.into_iter().map(row).collect())
}
