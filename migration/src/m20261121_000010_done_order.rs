//! The order in which tasks became done, so that a validator's list goes on where it was; and an index
//! of each client's open tasks.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

const DONE: &str = "CREATE INDEX task_done ON task (done_order, id) WHERE state = 'done'";
const DONE_BEFORE: &str = "CREATE INDEX task_done ON task (id) WHERE state = 'done'";
const OPEN: &str = "CREATE INDEX task_owner_open ON task (owner, id) WHERE finished_at IS NULL";

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut alter = Table::alter();
        // Old rows have no order among them but that of their ids, and come before all others.
        let mut column = ColumnDef::new(Alias::new("done_order"));
        column.big_integer().not_null().default(0);
        alter.table(Alias::new("task")).add_column(column);
        manager.alter_table(alter).await?;
        run(manager, &["DROP INDEX task_done", DONE, OPEN]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite drops no column that an index has.
        run(manager, &["DROP INDEX task_owner_open", "DROP INDEX task_done"]).await?;
        let mut alter = Table::alter();
        alter.table(Alias::new("task")).drop_column(Alias::new("done_order"));
        manager.alter_table(alter).await?;
        run(manager, &[DONE_BEFORE]).await
    }
}

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for &statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
