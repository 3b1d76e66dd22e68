//! The little that differs between SQLite and PostgreSQL, and the one shape of statement that group
//! commit needs: `WITH v(..) AS (VALUES ..)` followed by whatever uses `v`.
//!
//! A statement costs a hop to the database's thread or process, far more than its rows do. So all
//! rows of a batch go out in one, and the driver's cache is large enough to keep the prepared text of
//! every size ([`STATEMENTS_CACHED`]).

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

use crate::domain::limits::BATCH_ROWS_MAX;

/// Prepared texts that a connection keeps: a dozen statements in all their sizes, and the reads.
pub(super) const STATEMENTS_CACHED: usize = 16 * BATCH_ROWS_MAX;

/// Type of a column of `v`; PostgreSQL wants it said.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cast {
    Uuid,
    Int,
    Big,
    Text,
    Json,
    Bytes,
}

impl Cast {
    const fn name(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Int => "integer",
            Self::Big => "bigint",
            Self::Text => "text",
            Self::Json => "json",
            Self::Bytes => "bytea",
        }
    }
}

/// Columns of `v` and the statement that uses it.
pub(super) struct Batch {
    pub(super) columns: &'static [(&'static str, Cast)],
    pub(super) body: &'static str,
}

impl Batch {
    /// Runs the statement over all rows and collects what it returns.
    pub(super) async fn run(
        &self,
        db: &impl ConnectionTrait,
        rows: Vec<Vec<Value>>,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let mut returned = Vec::with_capacity(rows.len());
        let mut left = rows.into_iter();
        while left.len() > 0 {
            let size = left.len().min(BATCH_ROWS_MAX);
            let backend = db.get_database_backend();
            let values: Vec<Value> = left.by_ref().take(size).flatten().collect();
            let statement =
                Statement::from_sql_and_values(backend, self.text(backend, size), values);
            returned.extend(db.query_all_raw(statement).await?);
        }
        Ok(returned)
    }

    /// The statement for so many rows.
    pub(super) fn text(&self, backend: DbBackend, rows: usize) -> String {
        let mut text = String::with_capacity(64 + rows * self.columns.len() * 5 + self.body.len());
        text.push_str("WITH v(");
        for (place, (name, _)) in self.columns.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            text.push_str(name);
        }
        text.push_str(") AS (VALUES ");
        let mut number = 0;
        for row in 0..rows {
            text.push_str(if row > 0 { ",(" } else { "(" });
            for (place, (_, cast)) in self.columns.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                number += 1;
                // SQLite looks named parameters up one by one, in a list: plain ones are free.
                if backend == DbBackend::Sqlite {
                    text.push('?');
                    continue;
                }
                text.push('$');
                text.push_str(&number.to_string());
                // The first row's types are the column's types; but JSON arrives as `jsonb`, and does
                // not match a column that is `json` without being told in every row.
                if row == 0 || matches!(cast, Cast::Json) {
                    text.push_str("::");
                    text.push_str(cast.name());
                }
            }
            text.push(')');
        }
        text.push_str(") ");
        text.push_str(self.body);
        text
    }
}

/// Splits rows for `insert_many` in the same way.
pub(super) fn chunks<T>(rows: Vec<T>) -> Vec<Vec<T>> {
    let mut chunks = Vec::new();
    let mut left = rows.into_iter();
    while left.len() > 0 {
        let size = left.len().min(BATCH_ROWS_MAX);
        chunks.push(left.by_ref().take(size).collect());
    }
    chunks
}

/// One plain statement with numbered parameters.
pub(super) fn statement(
    db: &impl ConnectionTrait,
    text: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), text, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_statement_has_more_rows_than_its_limit() {
        let sizes: Vec<_> = chunks((0..300).collect()).iter().map(Vec::len).collect();
        assert_eq!(sizes, [128, 128, 44]);
    }

    #[test]
    fn postgresql_is_told_of_json_in_every_row() {
        let batch = Batch { columns: &[("a", Cast::Int), ("b", Cast::Json)], body: "TABLE v" };
        assert_eq!(
            batch.text(DbBackend::Postgres, 2),
            "WITH v(a,b) AS (VALUES ($1::integer,$2::json),($3,$4::json)) TABLE v"
        );
    }

    #[test]
    fn only_postgresql_is_told_the_types() {
        let batch =
            Batch { columns: &[("a", Cast::Uuid), ("b", Cast::Int)], body: "SELECT a FROM v" };
        assert_eq!(
            batch.text(DbBackend::Sqlite, 2),
            "WITH v(a,b) AS (VALUES (?,?),(?,?)) SELECT a FROM v"
        );
        assert_eq!(
            batch.text(DbBackend::Postgres, 1),
            "WITH v(a,b) AS (VALUES ($1::uuid,$2::integer)) SELECT a FROM v"
        );
    }
}
