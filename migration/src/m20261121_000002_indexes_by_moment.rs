//! The partial indexes of open work get a condition that no lookup by key implies.
//!
//! With `WHERE state IN (..)` as their condition, PostgreSQL takes them for a short list of
//! candidates whenever a statement names a state; but each finished lease leaves a dead entry until
//! the next vacuum, and the walk grows with the work done. Who looks for what is due names a moment,
//! and that implies the new condition.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

const UP: [&str; 4] = [
    "DROP INDEX slot_due",
    "CREATE INDEX slot_due ON slot (expires_at) WHERE expires_at IS NOT NULL",
    "DROP INDEX task_open",
    "CREATE INDEX task_open ON task (deadline) WHERE finished_at IS NULL",
];

const DOWN: [&str; 4] = [
    "DROP INDEX task_open",
    "CREATE INDEX task_open ON task (deadline) WHERE state = 'open'",
    "DROP INDEX slot_due",
    "CREATE INDEX slot_due ON slot (expires_at) WHERE state IN ('offered','running')",
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
