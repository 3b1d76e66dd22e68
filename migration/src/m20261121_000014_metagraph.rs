//! Snapshots of the metagraph that are believed.

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
        create.table(name("metagraph"));
        create.col(ColumnDef::new(name("netuid")).integer().not_null());
        create.col(ColumnDef::new(name("block")).big_integer().not_null());
        create.col(ColumnDef::new(name("adopted_at")).big_integer().not_null());
        create.col(ColumnDef::new(name("senders")).json().not_null());
        create.col(ColumnDef::new(name("body")).binary().not_null());
        create.primary_key(Index::create().col(name("netuid")).col(name("block")));
        manager.create_table(create).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(name("metagraph")).take()).await
    }
}
