//! When submissions came to each of their steps, so that a period's records can tell how they stood at
//! its end; what records tell of them; and closed registrations by when they closed.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

fn name(name: &str) -> Alias {
    Alias::new(name)
}

const MOMENTS: [&str; 4] = ["sent_at", "revealed_at", "settled_at", "ended_at"];

/// Of rows of before is known when they changed last, which is the best there is.
const KNOWN: [&str; 4] = [
    "UPDATE submission SET sent_at = created_at WHERE state <> 'calculated'",
    "UPDATE submission SET revealed_at = updated_at WHERE revealed_block IS NOT NULL",
    "UPDATE submission SET settled_at = updated_at WHERE consensus_block IS NOT NULL",
    "UPDATE submission SET ended_at = updated_at WHERE state IN ('failed', 'reorged')",
];

const INDEXES: [(&str, &str); 3] = [
    (
        "submission_settled",
        "submission (netuid, validator_hotkey, block) WHERE settled_at IS NOT NULL",
    ),
    ("metagraph_adopted", "metagraph (netuid, adopted_at, block)"),
    ("registration_closed", "registration (closed_at, id) WHERE closed_at IS NOT NULL"),
];

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for moment in MOMENTS {
            let mut alter = Table::alter();
            let mut column = ColumnDef::new(name(moment));
            alter.table(name("submission")).add_column(column.big_integer().null());
            manager.alter_table(alter).await?;
        }
        let mut alter = Table::alter();
        let mut column = ColumnDef::new(name("submissions"));
        alter.table(name("miner_performance_stats")).add_column(column.json().null());
        manager.alter_table(alter).await?;
        for update in KNOWN {
            manager.get_connection().execute_unprepared(update).await?;
        }
        for (index, on) in INDEXES {
            let create = format!("CREATE INDEX {index} ON {on}");
            manager.get_connection().execute_unprepared(&create).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (index, _) in INDEXES {
            let drop = format!("DROP INDEX {index}");
            manager.get_connection().execute_unprepared(&drop).await?;
        }
        let columns = MOMENTS.map(|moment| ("submission", moment));
        for (table, column) in
            columns.into_iter().chain([("miner_performance_stats", "submissions")])
        {
            let mut alter = Table::alter();
            alter.table(name(table)).drop_column(name(column));
            manager.alter_table(alter).await?;
        }
        Ok(())
    }
}
