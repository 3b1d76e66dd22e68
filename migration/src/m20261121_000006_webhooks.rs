//! Telling clients: their endpoints, their callbacks, and what is to be delivered to whom.

use sea_orm_migration::prelude::*;

/// The migration.
#[derive(Debug, DeriveMigrationName)]
pub(crate) struct Migration;

// What waits is found by lane, so that a lane with a long queue hides no other; both by a moment.
const INDEXES: [&str; 4] = [
    "CREATE INDEX webhook_owner ON webhook (owner, id)",
    "CREATE INDEX delivery_due ON delivery (lane, next_at) WHERE next_at IS NOT NULL",
    "CREATE INDEX delivery_of_webhook ON delivery (webhook_id, id) WHERE webhook_id IS NOT NULL",
    "CREATE INDEX delivery_age ON delivery (created_at)",
];

fn name(name: &str) -> Alias {
    Alias::new(name)
}

fn webhook() -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name("webhook"));
    table.col(ColumnDef::new(name("id")).uuid().not_null().primary_key());
    for column in ["owner", "url", "events", "secret"] {
        table.col(ColumnDef::new(name(column)).text().not_null());
    }
    table.col(ColumnDef::new(name("old_secret")).text().null());
    table.col(ColumnDef::new(name("old_until")).big_integer().null());
    table.col(ColumnDef::new(name("created_at")).big_integer().not_null());
    table.col(ColumnDef::new(name("disabled_at")).big_integer().null());
    table.col(ColumnDef::new(name("disabled_reason")).text().null());
    table.take()
}

fn delivery() -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name("delivery"));
    table.col(ColumnDef::new(name("id")).uuid().not_null().primary_key());
    for column in ["owner", "lane", "event", "status"] {
        table.col(ColumnDef::new(name(column)).text().not_null());
    }
    table.col(ColumnDef::new(name("webhook_id")).uuid().null());
    table.col(ColumnDef::new(name("url")).text().null());
    table.col(ColumnDef::new(name("task_id")).uuid().not_null());
    table.col(ColumnDef::new(name("responses")).integer().not_null());
    table.col(ColumnDef::new(name("created_at")).big_integer().not_null());
    table.col(ColumnDef::new(name("attempts")).integer().not_null());
    for column in ["next_at", "delivered_at", "given_up_at", "tried_at"] {
        table.col(ColumnDef::new(name(column)).big_integer().null());
    }
    table.col(ColumnDef::new(name("last_status")).integer().null());
    table.col(ColumnDef::new(name("last_error")).text().null());
    table.col(ColumnDef::new(name("last_answer")).text().null());
    table.take()
}

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut task = Table::alter();
        task.table(name("task"));
        task.add_column(ColumnDef::new(name("callback_url")).text().null());
        manager.alter_table(task).await?;
        manager.create_table(webhook()).await?;
        manager.create_table(delivery()).await?;
        let mut secret = Table::create();
        secret.table(name("callback_secret"));
        secret.col(ColumnDef::new(name("owner")).text().not_null().primary_key());
        secret.col(ColumnDef::new(name("secret")).text().not_null());
        secret.col(ColumnDef::new(name("created_at")).big_integer().not_null());
        manager.create_table(secret).await?;
        for statement in INDEXES {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["callback_secret", "delivery", "webhook"] {
            manager.drop_table(Table::drop().table(name(table)).take()).await?;
        }
        let mut task = Table::alter();
        task.table(name("task")).drop_column(name("callback_url"));
        manager.alter_table(task).await
    }
}
