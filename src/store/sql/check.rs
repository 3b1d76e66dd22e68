//! The invariants of `invariants.sql`, asked of the database.

use pithead_entities as e;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::dialect::statement;
use super::row::{self, get};
use crate::domain::ids::FileId;
use crate::store::{FileRow, StoreResult};

const QUERIES: &str = include_str!("../invariants.sql");

/// The queries with their names, in the order of the file.
fn queries() -> impl Iterator<Item = (&'static str, &'static str)> {
    QUERIES.split("\n-- name:").skip(1).filter_map(|part| part.trim().split_once('\n'))
}

/// How many rows offend each invariant.
pub(super) async fn run(db: &DatabaseConnection) -> StoreResult<Vec<(String, u64)>> {
    let mut counts = Vec::new();
    for (name, query) in queries() {
        let text = format!("SELECT COUNT(*) FROM (\n{query}\n) AS offenders");
        let row = db.query_one_raw(statement(db, &text, [])).await?;
        let count = row.map(|row| get::<i64>(&row, 0)).transpose()?.unwrap_or_default();
        counts.push((name.to_owned(), u64::try_from(count).unwrap_or_default()));
    }
    Ok(counts)
}

/// One page of all files, by id.
pub(super) async fn files(
    db: &DatabaseConnection,
    after: Option<FileId>,
    limit: u64,
) -> StoreResult<Vec<FileRow>> {
    let mut find = e::file::Entity::find().order_by_asc(e::file::Column::Id).limit(limit);
    if let Some(FileId(after)) = after {
        find = find.filter(e::file::Column::Id.gt(after));
    }
    find.all(db).await?.into_iter().map(row::file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_has_a_name_and_says_what_it_holds() {
        assert_eq!(queries().count(), QUERIES.matches("\n-- name:").count());
        for (name, query) in queries() {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(query.starts_with("-- ") && query.contains("\nSELECT "), "{name}");
            assert!(!query.ends_with(';'), "{name}");
        }
    }
}
