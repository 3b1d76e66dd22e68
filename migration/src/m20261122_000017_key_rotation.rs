//! API keys: a second secret while one takes the place of the other, and limits of their own.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

fn name(name: &str) -> Alias {
    Alias::new(name)
}

const NUMBERS: [&str; 5] =
    ["old_secret_until", "rotated_at", "requests_per_minute", "in_flight", "tasks_per_day"];

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut hash = ColumnDef::new(name("old_secret_hash"));
        hash.binary().null();
        let mut columns = vec![hash];
        for column in NUMBERS {
            let mut column = ColumnDef::new(name(column));
            column.big_integer().null();
            columns.push(column);
        }
        for column in columns {
            let mut alter = Table::alter();
            alter.table(name("api_key")).add_column(column);
            manager.alter_table(alter).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in NUMBERS.into_iter().chain(["old_secret_hash"]) {
            let mut alter = Table::alter();
            alter.table(name("api_key")).drop_column(name(column));
            manager.alter_table(alter).await?;
        }
        Ok(())
    }
}
