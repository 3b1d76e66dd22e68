//! The archive of ended tasks, and sums by day of scores and of usage.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy)]
enum Kind {
    Uuid,
    Text,
    Big,
    Bytes,
}
use Kind::{Big, Bytes, Text, Uuid};

/// Name, columns, and how many of the first of them are the key.
type Columns = &'static [(&'static str, Kind)];
const TABLES: [(&str, Columns, usize); 3] = [
    ("archive", &[("id", Uuid), ("owner", Text), ("ended_at", Big), ("body", Bytes)], 1),
    (
        "score_day",
        &[
            ("registration_id", Uuid),
            ("kind", Text),
            ("day", Big),
            ("scored", Big),
            ("score_sum", Big),
        ],
        3,
    ),
    (
        "usage_day",
        &[
            ("owner", Text),
            ("day", Big),
            ("kind", Text),
            ("submitted", Big),
            ("input_units", Big),
            ("done", Big),
            ("failed", Big),
        ],
        3,
    ),
];

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, columns, key_columns) in TABLES {
            let mut create = Table::create();
            create.table(Alias::new(table));
            let mut key = Index::create();
            for (place, (name, kind)) in columns.iter().enumerate() {
                let mut column = ColumnDef::new(Alias::new(*name));
                match kind {
                    Uuid => column.uuid(),
                    Text => column.text(),
                    Big => column.big_integer(),
                    Bytes => column.binary(),
                };
                create.col(column.not_null());
                if place < key_columns {
                    key.col(Alias::new(*name));
                }
            }
            manager.create_table(create.primary_key(&mut key).take()).await?;
        }
        let days = "CREATE INDEX score_day_day ON score_day (day)";
        manager.get_connection().execute_unprepared(days).await.map(|_| ())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, ..) in TABLES {
            manager.drop_table(Table::drop().table(Alias::new(table)).take()).await?;
        }
        Ok(())
    }
}
