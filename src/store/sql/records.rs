//! Plain records: keys, validators, reports, rounds; and forgetting old ones.

use std::collections::BTreeMap;

use pithead_entities as e;
use sea_orm::sea_query::{IntoIden, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set};

use super::dialect::{Batch, Cast, chunks};
use super::writer::Waiting;
use super::{audit, ledger};
use crate::domain::ids::ValidatorId;
use crate::store::{
    CloseRound, Prune, PutKindRecords, PutReport, StoreError, StoreResult, ValidatorRow, VerdictRow,
};

/// How hard reports are compressed: 1 is five times faster than 3 and nearly as small on JSON.
const ZSTD_LEVEL: i32 = 1;

/// JSON as it is stored.
pub(super) fn packed(json: &[u8]) -> StoreResult<Vec<u8>> {
    zstd::encode_all(json, ZSTD_LEVEL)
        .map_err(|error| StoreError::Unavailable(format!("zstd: {error}")))
}

/// A record that is there already was written by an earlier try of the same command.
fn once(key: impl IntoIden) -> OnConflict {
    OnConflict::column(key).do_nothing().to_owned()
}

pub(super) async fn know_validators(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<ValidatorRow, ValidatorId>],
) -> StoreResult<()> {
    for waiting in waiting {
        let validator = &waiting.command;
        let row = e::validator::ActiveModel {
            id: Set(validator.id.0),
            hotkey: Set(validator.hotkey.to_string()),
            uid: Set(validator.uid.into()),
            created_at: Set(validator.created_at.0),
            track: Set(None),
        };
        let mut known = OnConflict::column(e::validator::Column::Hotkey);
        known.update_column(e::validator::Column::Uid);
        let row =
            e::validator::Entity::insert(row).on_conflict(known).exec_with_returning(tx).await?;
        waiting.answer(ValidatorId(row.id));
    }
    Ok(())
}

pub(super) async fn put_reports(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutReport, ()>],
) -> StoreResult<()> {
    let mut rows = Vec::new();
    for report in waiting.iter().filter(|w| w.is_open()).map(|w| &w.command.report) {
        let body = packed(&report.body)?;
        rows.push(e::report::ActiveModel {
            id: Set(report.id.0),
            validator_id: Set(report.validator.0),
            signed_order: Set(report.signed_order),
            epoch: Set(report.epoch),
            sequence: Set(report.sequence),
            partial: Set(report.partial),
            received_at: Set(report.received_at.0),
            statuses: Set(i32::try_from(report.statuses).unwrap_or(i32::MAX)),
            body_hash: Set(report.body_hash.to_vec()),
            body: Set(body),
        });
    }
    for chunk in chunks(rows) {
        e::report::Entity::insert_many(chunk)
            .on_conflict(once(e::report::Column::Id))
            .exec_without_returning(tx)
            .await?;
    }
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        waiting.answer(());
    }
    Ok(())
}

const TRACK: Batch = Batch {
    columns: &[("id", Cast::Uuid), ("track", Cast::Json)],
    body: "UPDATE validator SET track = v.track FROM v WHERE validator.id = v.id",
};

pub(super) async fn close_rounds(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<CloseRound, ()>],
) -> StoreResult<()> {
    for waiting in waiting {
        let CloseRound { verdicts, tracks, minutes, facts, netuid, now } = waiting.command.clone();
        put_verdicts(tx, verdicts).await?;
        // As with verdicts: the last one of a validator stands.
        let last: BTreeMap<_, _> = tracks.into_iter().map(|t| (t.validator.0, t.body)).collect();
        TRACK
            .run(tx, last.into_iter().map(|(id, body)| vec![id.into(), body.into()]).collect())
            .await?;
        if let Some(minutes) = minutes {
            let body = packed(&minutes.body)?;
            let row = e::round::ActiveModel {
                round: Set(minutes.round),
                closed_at: Set(minutes.closed_at.0),
                body: Set(body),
            };
            e::round::Entity::insert(row)
                .on_conflict(once(e::round::Column::Round))
                .exec_without_returning(tx)
                .await?;
        }
        audit::append(tx, netuid, &facts, now).await?;
        waiting.answer(());
    }
    Ok(())
}

async fn put_verdicts(tx: &DatabaseTransaction, verdicts: Vec<VerdictRow>) -> StoreResult<()> {
    // PostgreSQL refuses to touch a row twice in one statement; the last value stands.
    let last: BTreeMap<_, _> = verdicts.into_iter().map(|row| (row.uid, row)).collect();
    for chunk in chunks(last.into_values().collect()) {
        let rows = chunk.into_iter().map(|verdict| e::verdict::ActiveModel {
            uid: Set(verdict.uid.0.into()),
            round: Set(verdict.round),
            body: Set(verdict.body),
        });
        let mut newer = OnConflict::column(e::verdict::Column::Uid);
        newer.update_columns([e::verdict::Column::Round, e::verdict::Column::Body]);
        e::verdict::Entity::insert_many(rows).on_conflict(newer).exec_without_returning(tx).await?;
    }
    Ok(())
}

pub(super) async fn put_kind_records(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutKindRecords, ()>],
) -> StoreResult<()> {
    use e::miner_kind_record::{ActiveModel, Column, Entity};
    for waiting in waiting {
        // As above: the last one of a miner and kind stands.
        let rows = waiting.command.rows.iter();
        let last: BTreeMap<_, _> = rows.map(|row| ((row.registration, &row.kind), row)).collect();
        for chunk in chunks(last.into_values().collect()) {
            let rows = chunk.into_iter().map(|row| ActiveModel {
                registration_id: Set(row.registration.0),
                kind: Set(row.kind.clone()),
                body: Set(row.body.clone()),
                updated_at: Set(row.updated_at.0),
            });
            let mut newer = OnConflict::columns([Column::RegistrationId, Column::Kind]);
            newer.update_columns([Column::Body, Column::UpdatedAt]);
            Entity::insert_many(rows).on_conflict(newer).exec_without_returning(tx).await?;
        }
        ledger::add_work(tx, &waiting.command.work).await?;
        waiting.answer(());
    }
    Ok(())
}

pub(super) async fn prune(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Prune, u64>],
) -> StoreResult<()> {
    for waiting in waiting {
        let Prune { nonces, idempotency, reports, deliveries, .. } = waiting.command;
        let mut gone = 0;
        let old = e::replay::Column::SeenAt.lt(nonces.0);
        gone += e::replay::Entity::delete_many().filter(old).exec(tx).await?.rows_affected;
        let old = e::idempotency::Column::CreatedAt.lt(idempotency.0);
        gone += e::idempotency::Entity::delete_many().filter(old).exec(tx).await?.rows_affected;
        let old = e::report::Column::ReceivedAt.lt(reports.0);
        gone += e::report::Entity::delete_many().filter(old).exec(tx).await?.rows_affected;
        let old = e::round::Column::ClosedAt.lt(reports.0);
        gone += e::round::Entity::delete_many().filter(old).exec(tx).await?.rows_affected;
        let old = e::delivery::Column::CreatedAt.lt(deliveries.0);
        let over = e::delivery::Column::NextAt.is_null();
        gone += e::delivery::Entity::delete_many()
            .filter(old)
            .filter(over)
            .exec(tx)
            .await?
            .rows_affected;
        gone += ledger::prune(tx, waiting.command).await?;
        waiting.answer(gone);
    }
    Ok(())
}
