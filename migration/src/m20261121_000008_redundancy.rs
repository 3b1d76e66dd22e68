//! Tasks that begin later, tasks whose redundancy depends on the miner, and hedged slots.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

// SQLite adds and drops one column per statement.
const COLUMNS: [(&str, &str, ColumnType); 5] = [
    ("task", "start_at", ColumnType::BigInteger),
    ("task", "adaptive_slots", ColumnType::Integer),
    ("task", "adaptive_enough", ColumnType::Integer),
    ("slot", "hedge_of", ColumnType::Integer),
    ("slot", "hedged_by", ColumnType::Integer),
];

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column, kind) in COLUMNS {
            let mut alter = Table::alter();
            alter.table(Alias::new(table));
            let mut column = ColumnDef::new_with_type(Alias::new(column), kind);
            manager.alter_table(alter.add_column(column.null()).take()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column, _) in COLUMNS {
            let mut alter = Table::alter();
            alter.table(Alias::new(table)).drop_column(Alias::new(column));
            manager.alter_table(alter).await?;
        }
        Ok(())
    }
}
