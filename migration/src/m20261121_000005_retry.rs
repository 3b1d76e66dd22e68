//! A task may be another try of one that failed.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut task = Table::alter();
        task.table(Alias::new("task"));
        task.add_column(ColumnDef::new(Alias::new("retry_of")).uuid().null());
        manager.alter_table(task).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut task = Table::alter();
        task.table(Alias::new("task")).drop_column(Alias::new("retry_of"));
        manager.alter_table(task).await
    }
}
