//! The order in which tasks became done, so that a validator's list goes on where it was; and an index
//! of each client's open tasks.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

// Old rows have no order among them but that of their ids, and come before all others.
const UP: [&str; 4] = [
    "ALTER TABLE task ADD COLUMN done_order BIGINT NOT NULL DEFAULT 0",
    "DROP INDEX task_done",
    "CREATE INDEX task_done ON task (done_order, id) WHERE state = 'done'",
    "CREATE INDEX task_owner_open ON task (owner, id) WHERE finished_at IS NULL",
];

// SQLite drops no column that an index has.
const DOWN: [&str; 4] = [
    "DROP INDEX task_owner_open",
    "DROP INDEX task_done",
    "ALTER TABLE task DROP COLUMN done_order",
    "CREATE INDEX task_done ON task (id) WHERE state = 'done'",
];

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &DOWN).await
    }
}

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for &statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
