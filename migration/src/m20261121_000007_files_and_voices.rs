//! Files that end, voices, and idempotency keys for more than tasks.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

/// What is looked for by moment has a partial index of its own. Files of before have no moment:
/// their age decides, and each that goes leaves the second index.
const UP: [&str; 7] = [
    "CREATE INDEX file_expiry ON file (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE INDEX file_undated ON file (created_at) WHERE expires_at IS NULL",
    "CREATE UNIQUE INDEX voice_name ON voice (owner, name)",
    "CREATE INDEX voice_shared ON voice (name) WHERE shared_at IS NOT NULL",
    "CREATE INDEX voice_sample ON voice (sample_file) WHERE sample_file IS NOT NULL",
    "ALTER TABLE idempotency RENAME COLUMN task_id TO made_id",
    "ALTER TABLE idempotency ADD COLUMN made text NOT NULL DEFAULT 'task'",
];

const DOWN: [&str; 6] = [
    "DELETE FROM idempotency WHERE made <> 'task'",
    "ALTER TABLE idempotency DROP COLUMN made",
    "ALTER TABLE idempotency RENAME COLUMN made_id TO task_id",
    "DROP INDEX file_undated",
    "DROP INDEX file_expiry",
    "ALTER TABLE file DROP COLUMN expires_at",
];

fn name(text: &str) -> Alias {
    Alias::new(text)
}

fn voice() -> TableCreateStatement {
    Table::create()
        .table(name("voice"))
        .col(ColumnDef::new(name("id")).uuid().not_null().primary_key())
        .col(ColumnDef::new(name("owner")).text().not_null())
        .col(ColumnDef::new(name("name")).text().not_null())
        .col(ColumnDef::new(name("language")).text().not_null())
        .col(ColumnDef::new(name("description")).text().null())
        .col(ColumnDef::new(name("sample_file")).uuid().null())
        .col(ColumnDef::new(name("created_at")).big_integer().not_null())
        .col(ColumnDef::new(name("shared_at")).big_integer().null())
        .take()
}

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut file = Table::alter();
        file.table(name("file"));
        file.add_column(ColumnDef::new(name("expires_at")).big_integer().null());
        manager.alter_table(file).await?;
        manager.create_table(voice()).await?;
        run(manager, &UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &DOWN).await?;
        manager.drop_table(Table::drop().table(name("voice")).take()).await
    }
}

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for &statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
