//! Hotkeys that an operator shut out.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

fn name(name: &str) -> Alias {
    Alias::new(name)
}

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut create = Table::create();
        create.table(name("quarantine"));
        create.col(ColumnDef::new(name("hotkey")).text().not_null().primary_key());
        create.col(ColumnDef::new(name("reason")).text().not_null());
        create.col(ColumnDef::new(name("until")).big_integer().null());
        create.col(ColumnDef::new(name("by")).text().not_null());
        create.col(ColumnDef::new(name("created_at")).big_integer().not_null());
        manager.create_table(create).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(name("quarantine")).take()).await
    }
}
