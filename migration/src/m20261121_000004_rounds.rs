//! Minutes of consensus rounds, and what each validator earned.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut round = Table::create();
        round.table(Alias::new("round"));
        round.col(ColumnDef::new(Alias::new("round")).big_integer().not_null().primary_key());
        round.col(ColumnDef::new(Alias::new("closed_at")).big_integer().not_null());
        round.col(ColumnDef::new(Alias::new("body")).binary().not_null());
        manager.create_table(round).await?;
        manager
            .get_connection()
            .execute_unprepared("CREATE INDEX round_age ON round (closed_at)")
            .await?;
        let mut validator = Table::alter();
        validator.table(Alias::new("validator"));
        validator.add_column(ColumnDef::new(Alias::new("track")).json().null());
        manager.alter_table(validator).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut validator = Table::alter();
        validator.table(Alias::new("validator")).drop_column(Alias::new("track"));
        manager.alter_table(validator).await?;
        manager.drop_table(Table::drop().table(Alias::new("round")).take()).await
    }
}
