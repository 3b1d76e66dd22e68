//! Weights as validators set them on chain.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

/// Newest first, of everybody.
const NEWEST: &str = "CREATE INDEX submission_newest ON submission (block, validator_hotkey)";

fn name(name: &str) -> Alias {
    Alias::new(name)
}

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut create = Table::create();
        create.table(name("submission"));
        for column in ["netuid", "validator_uid"] {
            create.col(ColumnDef::new(name(column)).integer().not_null());
        }
        for column in ["validator_hotkey", "mode", "state"] {
            create.col(ColumnDef::new(name(column)).text().not_null());
        }
        for column in ["block", "created_at", "updated_at"] {
            create.col(ColumnDef::new(name(column)).big_integer().not_null());
        }
        for column in ["version_key", "revealed_block", "consensus_block", "delay_blocks"] {
            create.col(ColumnDef::new(name(column)).big_integer());
        }
        create.col(ColumnDef::new(name("weights")).json().not_null());
        create.col(ColumnDef::new(name("run")).uuid());
        create.col(ColumnDef::new(name("error")).text());
        let mut key = Index::create();
        for column in ["netuid", "validator_hotkey", "block"] {
            key.col(name(column));
        }
        create.primary_key(&mut key);
        manager.create_table(create).await?;
        manager.get_connection().execute_unprepared(NEWEST).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(name("submission")).take()).await
    }
}
