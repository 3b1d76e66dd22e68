//! The audit log: entries linked by their hashes, a chain for each writer.

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
        create.table(name("audit"));
        create.col(ColumnDef::new(name("writer")).text().not_null());
        create.col(ColumnDef::new(name("seq")).big_integer().not_null());
        create.col(ColumnDef::new(name("at")).big_integer().not_null());
        for column in ["actor", "action", "subject"] {
            create.col(ColumnDef::new(name(column)).text().not_null());
        }
        create.col(ColumnDef::new(name("detail")).json().not_null());
        create.col(ColumnDef::new(name("hash")).binary().not_null());
        create.primary_key(Index::create().col(name("writer")).col(name("seq")));
        manager.create_table(create).await?;
        // Whether something was told before is looked up by what it is.
        let mut subject = Index::create();
        subject.name("audit_subject").table(name("audit"));
        subject.col(name("writer")).col(name("action")).col(name("subject"));
        manager.create_index(subject).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(name("audit")).take()).await
    }
}
