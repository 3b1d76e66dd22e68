//! The audit log. Whoever writes behind its end reads that end in the same transaction; there is one
//! writer, and the key of the table refuses a second one.

use std::collections::BTreeSet;

use pithead_entities as e;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, Set,
};

use super::dialect::{Batch, Cast, chunks, statement};
use super::row::get;
use super::writer::Waiting;
use crate::domain::audit::{Entry, Fact, Head};
use crate::domain::units::Millis;
use crate::store::audit::{fresh, writer};
use crate::store::{AuditPage, AuditPlace, Note, StoreError, StoreResult};

/// Which of these actions and subjects stand in the log.
pub(super) const STANDING: Batch = Batch {
    columns: &[("writer", Cast::Text), ("action", Cast::Text), ("subject", Cast::Text)],
    body: "SELECT v.action, v.subject FROM v WHERE EXISTS (SELECT 1 FROM audit a \
           WHERE a.writer = v.writer AND a.action = v.action AND a.subject = v.subject)",
};

/// Newest first. Actions are ASCII, so that characters are counted alike everywhere.
pub(super) const PAGE: &str = "SELECT * FROM audit WHERE writer = $1 AND seq < $2 \
    AND substr(action, 1, $3) = $4 ORDER BY seq DESC LIMIT $5";

/// Writes what is new of what waits, one after the other: a later one sees what an earlier one wrote.
pub(super) async fn note(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Note, Vec<Entry>>],
) -> StoreResult<()> {
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let Note { netuid, facts, now } = &waiting.command;
        let new = unknown(tx, *netuid, facts).await?;
        let entries = append(tx, *netuid, &new, *now).await?;
        waiting.answer(entries);
    }
    Ok(())
}

/// Puts facts behind the end of a subnet's log, in the transaction of the command that they tell of.
/// They are written however often they were told before.
pub(super) async fn append(
    tx: &DatabaseTransaction,
    netuid: u16,
    facts: &[Fact],
    now: Millis,
) -> StoreResult<Vec<Entry>> {
    use e::audit::{ActiveModel, Entity};
    if facts.is_empty() {
        return Ok(Vec::new());
    }
    let writer = writer(netuid);
    let mut head = head(tx, &writer).await?;
    let link = |fact: &Fact| head.link(&writer, fact.clone(), now);
    let entries: Vec<Entry> = facts.iter().map(link).collect();
    let row = |entry: &Entry| ActiveModel {
        writer: Set(entry.writer.clone()),
        seq: Set(entry.seq),
        at: Set(entry.at.0),
        actor: Set(entry.fact.actor().to_owned()),
        action: Set(entry.fact.action().to_owned()),
        subject: Set(entry.fact.subject().to_owned()),
        detail: Set(entry.fact.detail().clone()),
        hash: Set(entry.hash.to_vec()),
    };
    for rows in chunks(entries.iter().map(row).collect()) {
        Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(entries)
}

/// The end of a log.
async fn head(tx: &DatabaseTransaction, writer: &str) -> StoreResult<Head> {
    use e::audit::{Column, Entity};
    let newest =
        Entity::find().filter(Column::Writer.eq(writer)).order_by_desc(Column::Seq).limit(1);
    let newest = newest.all(tx).await?.pop().map(read).transpose()?;
    Ok(newest.map_or_else(Head::default, |entry| Head { seq: entry.seq, hash: entry.hash }))
}

/// What of these facts does not stand in the log, each once.
pub(super) async fn unknown(
    db: &impl ConnectionTrait,
    netuid: u16,
    facts: &[Fact],
) -> StoreResult<Vec<Fact>> {
    let writer = writer(netuid);
    let row =
        |fact: &Fact| vec![writer.as_str().into(), fact.action().into(), fact.subject().into()];
    let rows = STANDING.run(db, facts.iter().map(row).collect()).await?;
    let mut standing = BTreeSet::new();
    for row in rows {
        standing.insert((get::<String>(&row, 0)?, get::<String>(&row, 1)?));
    }
    let stands =
        |fact: &Fact| standing.contains(&(fact.action().to_owned(), fact.subject().to_owned()));
    Ok(fresh(facts, stands))
}

fn read(row: e::audit::Model) -> StoreResult<Entry> {
    let hash = row.hash.try_into().map_err(|_| {
        let (writer, seq) = (&row.writer, row.seq);
        StoreError::Corrupt(format!("entry {seq} of writer `{writer}`: its hash has not 32 bytes"))
    })?;
    let fact = Fact::stored(row.actor, row.action, row.subject, row.detail);
    Ok(Entry { writer: row.writer, seq: row.seq, at: Millis(row.at), fact, hash })
}

/// Entries, newest first.
pub(super) async fn page(db: &DatabaseConnection, page: AuditPage) -> StoreResult<Vec<Entry>> {
    let long = i32::try_from(page.action.chars().count()).unwrap_or(i32::MAX);
    let values = [
        writer(page.netuid).into(),
        page.before.unwrap_or(i64::MAX).into(),
        long.into(),
        page.action.into(),
        i64::try_from(page.limit).unwrap_or(i64::MAX).into(),
    ];
    let rows = e::audit::Entity::find().from_raw_sql(statement(db, PAGE, values));
    rows.all(db).await?.into_iter().map(read).collect()
}

/// Entries behind a place, oldest first, writer by writer.
pub(super) async fn after(
    db: &DatabaseConnection,
    place: AuditPlace,
    limit: u64,
) -> StoreResult<Vec<Entry>> {
    use e::audit::{Column, Entity};
    let find = || Entity::find().order_by_asc(Column::Writer).order_by_asc(Column::Seq);
    let same = find()
        .filter(Column::Writer.eq(place.writer.as_str()))
        .filter(Column::Seq.gt(place.seq))
        .limit(limit);
    let mut rows = same.all(db).await?;
    let left = limit.saturating_sub(rows.len() as u64);
    if left > 0 {
        // Two ranges of the key; as one condition SQLite would walk the whole of it.
        let others = find().filter(Column::Writer.gt(place.writer)).limit(left);
        rows.extend(others.all(db).await?);
    }
    rows.into_iter().map(read).collect()
}
