//! Calculations of weights, and the records of miners by period.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy)]
enum Kind {
    Uuid,
    Text,
    TextOrNull,
    Int,
    Big,
    BigOrNull,
    Real,
    RealOrNull,
    Json,
    JsonOrNull,
    Bytes,
}
use Kind::{
    Big, BigOrNull, Bytes, Int, Json, JsonOrNull, Real, RealOrNull, Text, TextOrNull, Uuid,
};

impl Kind {
    fn column(self, name: &str) -> ColumnDef {
        let mut column = ColumnDef::new(Alias::new(name));
        match self {
            Uuid => column.uuid().not_null(),
            Text => column.text().not_null(),
            TextOrNull => column.text().null(),
            Int => column.integer().not_null(),
            Big => column.big_integer().not_null(),
            BigOrNull => column.big_integer().null(),
            Real => column.double().not_null(),
            RealOrNull => column.double().null(),
            Json => column.json().not_null(),
            JsonOrNull => column.json().null(),
            Bytes => column.binary().not_null(),
        };
        column
    }
}

/// Name, columns, and how many of the first of them are the key.
type Columns = &'static [(&'static str, Kind)];
const TABLES: [(&str, Columns, usize); 3] = [
    (
        "weight_run",
        &[
            ("id", Uuid),
            ("made_at", Big),
            ("window_from", Big),
            ("window_to", Big),
            ("policy", Text),
            ("policy_hash", Text),
            ("body", Bytes),
        ],
        1,
    ),
    (
        "miner_performance_stats",
        &[
            ("registration_id", Uuid),
            ("period_type", Text),
            ("period_start", Big),
            ("period_end", Big),
            ("miner_uid", Int),
            ("miner_hotkey", Text),
            ("weight", Real),
            ("raw_calculated_weight", Real),
            ("excellence_weight", Real),
            ("diversity_weight", Real),
            ("scoring_pathway", Text),
            ("pathway_details", JsonOrNull),
            ("multi_task_bonus", Real),
            ("excellence_qualified_tasks", Json),
            ("tasks_attempted", Big),
            ("tasks_completed", Big),
            ("tasks_scored", Big),
            ("success_rate", RealOrNull),
            ("average_score", RealOrNull),
            ("rank", Big),
            ("trend", RealOrNull),
            ("policy_hash", Text),
            ("digest", Text),
            ("computed_at", Big),
            ("submitted_weight", RealOrNull),
            ("validator_hotkey", TextOrNull),
            ("weight_submission_block", BigOrNull),
            ("incentive", RealOrNull),
            ("consensus_rank", BigOrNull),
            ("consensus_block", BigOrNull),
        ],
        3,
    ),
    (
        "miner_performance_kind",
        &[
            ("registration_id", Uuid),
            ("period_type", Text),
            ("period_start", Big),
            ("kind", Text),
            ("place", Int),
            ("score", RealOrNull),
            ("attempted", Big),
            ("completed", Big),
            ("scored", Big),
            ("weight_contribution", Real),
            ("percentile_rank", RealOrNull),
            ("rank", BigOrNull),
            ("best", RealOrNull),
            ("latest", RealOrNull),
        ],
        4,
    ),
];

const INDEXES: [&str; 4] = [
    "CREATE INDEX weight_run_age ON weight_run (made_at, id)",
    "CREATE INDEX performance_period ON miner_performance_stats (period_type, period_start)",
    "CREATE INDEX performance_uid ON miner_performance_stats (miner_uid, period_type, period_start)",
    "CREATE INDEX performance_kind_period ON miner_performance_kind (period_type, period_start)",
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
                create.col(kind.column(name));
                if place < key_columns {
                    key.col(Alias::new(*name));
                }
            }
            manager.create_table(create.primary_key(&mut key).take()).await?;
        }
        for index in INDEXES {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, ..) in TABLES {
            manager.drop_table(Table::drop().table(Alias::new(table)).take()).await?;
        }
        Ok(())
    }
}
