//! Registrations: a uid's is opened, brought up to date, or closed, for another one or for nobody.

use std::collections::HashMap;

use pithead_entities as e;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set};

use super::audit;
use super::dialect::{chunks, statement};
use super::end::{LIVE_COLUMNS, Loss, lose, read_live};
use super::outbox::Outbox;
use super::row::{self, small};
use super::writer::Waiting;
use crate::domain::ids::RegistrationId;
use crate::domain::lease::{LeasePolicy, LossReason};
use crate::domain::units::Millis;
use crate::store::registration::{self, Whose, same};
use crate::store::*;

/// A network and a uid in it, as columns.
type Place = (i32, i32);

fn place(command: &Register) -> Place {
    (command.netuid.into(), command.uid.0.into())
}

/// Opens the uids' registrations, or brings them up to date, and closes the others of those uids.
/// A whole network arrives at once when a server is new: those without a registration share a
/// statement.
pub(super) async fn run(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Register, Registered>],
    outbox: &mut Outbox,
) -> StoreResult<()> {
    let mut open = open_ones(tx, waiting).await?;
    let mut ended = HashMap::new();
    let mut fresh = Vec::new();
    for waiting in waiting.iter_mut() {
        let command = waiting.command.clone();
        let mut end = (None, Vec::new());
        if let Some(open) = open.remove(&place(&command)) {
            let (hotkey, block) = (open.hotkey.as_str(), open.registered_block);
            let block = match same(hotkey, block, &command) {
                Some(block) if is_free(tx, &open, block, &command).await? => Some(block),
                _ => None,
            };
            if let Some(block) = block {
                if open.hotkey != command.hotkey.as_str() {
                    let fact = registration::renamed(whose(&open), &command.hotkey);
                    audit::append(tx, command.netuid, &[fact], command.now).await?;
                }
                let row = update(tx, open, block, &command).await?;
                waiting.answer(Registered { row, closed: Vec::new(), lost: Vec::new() });
                continue;
            }
            let id = RegistrationId(open.id);
            let lost = close(tx, id, command.policy, command.now, outbox).await?;
            end = (Some(open), lost);
        }
        ended.insert(place(&command), end);
        fresh.push(fresh_row(&command));
    }
    let mut opened = open_new(tx, fresh).await?;
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let place = place(&waiting.command);
        let missing = || StoreError::Corrupt("a registration was not written".to_owned());
        let row = row::registration(opened.remove(&place).ok_or_else(missing)?)?;
        let (old, lost) = ended.remove(&place).unwrap_or_default();
        if let Some(old) = &old {
            let Register { netuid, now, .. } = waiting.command;
            let fact = registration::ended(whose(old), Some(&row));
            audit::append(tx, netuid, &[fact], now).await?;
        }
        let closed = old.map(|old| RegistrationId(old.id)).into_iter().collect();
        waiting.answer(Registered { row, closed, lost });
    }
    Ok(())
}

/// The open registrations of these uids.
async fn open_ones(
    tx: &DatabaseTransaction,
    waiting: &[Waiting<Register, Registered>],
) -> StoreResult<HashMap<Place, e::registration::Model>> {
    use e::registration::Column;
    let mut open = HashMap::new();
    let places: Vec<Place> = waiting.iter().map(|w| place(&w.command)).collect();
    for places in chunks(places) {
        // Uids of one network as a rule: what another network's have in common with them is dropped.
        let rows = e::registration::Entity::find()
            .filter(Column::Netuid.is_in(places.iter().map(|place| place.0)))
            .filter(Column::Uid.is_in(places.iter().map(|place| place.1)))
            .filter(Column::ClosedAt.is_null());
        for row in rows.all(tx).await? {
            open.insert((row.netuid, row.uid), row);
        }
    }
    Ok(open)
}

/// Whether no other registration, a closed one, has the identity that this one would get. It is the
/// same miner then, and goes on under the old one.
async fn is_free(
    tx: &DatabaseTransaction,
    open: &e::registration::Model,
    block: i64,
    command: &Register,
) -> StoreResult<bool> {
    use e::registration::Column;
    if open.hotkey == command.hotkey.as_str() && open.registered_block == block {
        return Ok(true);
    }
    let taken = e::registration::Entity::find()
        .filter(Column::Netuid.eq(open.netuid))
        .filter(Column::Uid.eq(open.uid))
        .filter(Column::Hotkey.eq(command.hotkey.as_str()))
        .filter(Column::RegisteredBlock.eq(block));
    Ok(row::one(tx, taken).await?.is_none())
}

async fn update(
    tx: &DatabaseTransaction,
    open: e::registration::Model,
    block: i64,
    command: &Register,
) -> StoreResult<RegistrationRow> {
    let capacity = i32::try_from(command.capacity).unwrap_or(i32::MAX);
    let coldkey =
        command.coldkey.as_ref().map(ToString::to_string).or_else(|| open.coldkey.clone());
    let same_identity = open.hotkey == command.hotkey.as_str() && open.registered_block == block;
    if same_identity && open.capacity == capacity && open.coldkey == coldkey {
        return row::registration(open);
    }
    let change = e::registration::ActiveModel {
        id: Set(open.id),
        hotkey: Set(command.hotkey.to_string()),
        registered_block: Set(block),
        capacity: Set(capacity),
        coldkey: Set(coldkey),
        ..Default::default()
    };
    row::registration(e::registration::Entity::update(change).exec(tx).await?)
}

async fn close(
    tx: &DatabaseTransaction,
    id: RegistrationId,
    policy: LeasePolicy,
    now: Millis,
    outbox: &mut Outbox,
) -> StoreResult<Vec<Lost>> {
    // Closings are rare, and live leases are few: a look through their index will do.
    let held = format!(
        "SELECT {LIVE_COLUMNS} FROM slot WHERE expires_at IS NOT NULL AND holder = $1 \
         ORDER BY task_id, slot"
    );
    let mut losses = Vec::new();
    for row in tx.query_all_raw(statement(tx, &held, [id.0.into()])).await? {
        let live = read_live(&row)?;
        losses.push(Loss { live, reason: LossReason::Retired, policy, now });
    }
    let lost = lose(tx, losses, outbox).await?;
    let change = e::registration::ActiveModel {
        id: Set(id.0),
        closed_at: Set(Some(now.0)),
        ..Default::default()
    };
    e::registration::Entity::update(change).exec(tx).await?;
    Ok(lost)
}

/// Closes registrations that have no successor.
pub(super) async fn deregister(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Deregister, Option<Vec<Lost>>>],
    outbox: &mut Outbox,
) -> StoreResult<()> {
    for waiting in waiting.iter_mut() {
        let Deregister { id, policy, now } = waiting.command;
        let found = row::one(tx, e::registration::Entity::find_by_id(id.0)).await?;
        let Some(open) = found.filter(|row| row.closed_at.is_none()) else {
            waiting.answer(None);
            continue;
        };
        let lost = close(tx, id, policy, now, outbox).await?;
        let netuid = small("netuid", open.netuid)?;
        let fact = registration::ended(whose(&open), None);
        audit::append(tx, netuid, &[fact], now).await?;
        waiting.answer(Some(lost));
    }
    Ok(())
}

fn whose(row: &e::registration::Model) -> Whose<'_> {
    Whose {
        id: RegistrationId(row.id),
        uid: row.uid.try_into().unwrap_or_default(),
        hotkey: &row.hotkey,
        block: row.registered_block,
    }
}

fn fresh_row(command: &Register) -> e::registration::ActiveModel {
    e::registration::ActiveModel {
        id: Set(command.id.0),
        netuid: Set(command.netuid.into()),
        uid: Set(command.uid.0.into()),
        hotkey: Set(command.hotkey.to_string()),
        registered_block: Set(command.registered_block),
        coldkey: Set(command.coldkey.as_ref().map(ToString::to_string)),
        capacity: Set(i32::try_from(command.capacity).unwrap_or(i32::MAX)),
        live: Set(0),
        answered: Set(0),
        lost: Set(0),
        scored: Set(0),
        score_sum: Set(0),
        opened_at: Set(command.now.0),
        closed_at: Set(None),
    }
}

/// A registration that was closed and comes back (hotkeys swapped to and fro while the block is not
/// known) is opened again with its record.
async fn open_new(
    tx: &DatabaseTransaction,
    fresh: Vec<e::registration::ActiveModel>,
) -> StoreResult<HashMap<Place, e::registration::Model>> {
    use e::registration::Column;
    let mut opened = HashMap::new();
    for rows in chunks(fresh) {
        let identity = [Column::Netuid, Column::Uid, Column::Hotkey, Column::RegisteredBlock];
        let mut again = OnConflict::columns(identity);
        again.update_columns([Column::Capacity, Column::OpenedAt, Column::ClosedAt]);
        let coldkey = Expr::cust("COALESCE(excluded.coldkey, registration.coldkey)");
        again.value(Column::Coldkey, coldkey);
        let insert = e::registration::Entity::insert_many(rows).on_conflict(again);
        for row in insert.exec_with_returning(tx).await? {
            opened.insert((row.netuid, row.uid), row);
        }
    }
    Ok(opened)
}
