//! The ledger's sums: scores by hour and by day, whoever gave them, and work by day.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy)]
enum Kind {
    Uuid,
    Text,
    Big,
    /// May be null.
    MaybeBig,
}
use Kind::{Big, MaybeBig, Text, Uuid};

/// Name, columns, and how many of the first of them are the key.
type Columns = &'static [(&'static str, Kind)];
const TABLES: [(&str, Columns, usize); 4] = [
    (
        "pushed_score",
        &[
            ("validator_id", Uuid),
            ("registration_id", Uuid),
            ("kind", Text),
            ("scored_at", Big),
            ("score", Big),
            ("block", MaybeBig),
            ("received_at", Big),
        ],
        4,
    ),
    (
        "score_hour",
        &[
            ("hour", Big),
            ("registration_id", Uuid),
            ("kind", Text),
            ("voice", Uuid),
            ("scored", Big),
            ("score_sum", Big),
        ],
        4,
    ),
    (
        "voice_day",
        &[
            ("registration_id", Uuid),
            ("kind", Text),
            ("day", Big),
            ("voice", Uuid),
            ("scored", Big),
            ("score_sum", Big),
        ],
        4,
    ),
    (
        "work_day",
        &[
            ("registration_id", Uuid),
            ("kind", Text),
            ("day", Big),
            ("attempted", Big),
            ("completed", Big),
        ],
        3,
    ),
];

/// Scores are summed hour by hour; by miner nobody ever looked for them.
const UP: [&str; 6] = [
    "DROP INDEX score_of",
    "CREATE INDEX score_at ON score (scored_at)",
    "CREATE INDEX pushed_score_at ON pushed_score (scored_at)",
    "CREATE INDEX score_hour_voice ON score_hour (voice, hour)",
    "CREATE INDEX voice_day_day ON voice_day (day)",
    "CREATE INDEX work_day_day ON work_day (day)",
];
const DOWN: [&str; 2] =
    ["DROP INDEX score_at", "CREATE INDEX score_of ON score (registration_id, kind, scored_at)"];

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
                    Uuid => column.uuid().not_null(),
                    Text => column.text().not_null(),
                    Big => column.big_integer().not_null(),
                    MaybeBig => column.big_integer().null(),
                };
                create.col(column);
                if place < key_columns {
                    key.col(Alias::new(*name));
                }
            }
            manager.create_table(create.primary_key(&mut key).take()).await?;
        }
        run(manager, &UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &DOWN).await?;
        for (table, ..) in TABLES {
            manager.drop_table(Table::drop().table(Alias::new(table)).take()).await?;
        }
        Ok(())
    }
}

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for &statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
