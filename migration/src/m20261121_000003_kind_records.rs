//! What this server saw of its miners, by kind of work.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

const TABLE: &str = "miner_kind_record";

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let name = Alias::new;
        let create = Table::create()
            .table(name(TABLE))
            .col(ColumnDef::new(name("registration_id")).uuid().not_null())
            .col(ColumnDef::new(name("kind")).text().not_null())
            .col(ColumnDef::new(name("body")).json().not_null())
            .col(ColumnDef::new(name("updated_at")).big_integer().not_null())
            .primary_key(Index::create().col(name("registration_id")).col(name("kind")))
            .take();
        manager.create_table(create).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Alias::new(TABLE)).take()).await
    }
}
