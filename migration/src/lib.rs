//! Migrations of Pithead's database, for SQLite and PostgreSQL. Table names are text on purpose: a
//! migration must mean the same for ever, whatever the entities become.

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

mod m20261121_000001_main_job;
mod m20261121_000002_indexes_by_moment;
mod m20261121_000003_kind_records;
mod m20261121_000004_rounds;
mod m20261121_000005_retry;
mod m20261121_000006_webhooks;
mod m20261121_000007_files_and_voices;
mod m20261121_000008_redundancy;
mod m20261121_000009_history;
mod m20261121_000010_done_order;
mod m20261121_000011_ledger;
mod m20261121_000012_weight_runs;
mod m20261121_000013_submissions;
mod m20261121_000014_metagraph;
mod m20261121_000015_audit;
mod m20261121_000016_credit;
mod m20261122_000017_key_rotation;
mod m20261122_000018_quarantine;

/// All migrations, in order.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_main_job::Migration),
            Box::new(m20261121_000002_indexes_by_moment::Migration),
            Box::new(m20261121_000003_kind_records::Migration),
            Box::new(m20261121_000004_rounds::Migration),
            Box::new(m20261121_000005_retry::Migration),
            Box::new(m20261121_000006_webhooks::Migration),
            Box::new(m20261121_000007_files_and_voices::Migration),
            Box::new(m20261121_000008_redundancy::Migration),
            Box::new(m20261121_000009_history::Migration),
            Box::new(m20261121_000010_done_order::Migration),
            Box::new(m20261121_000011_ledger::Migration),
            Box::new(m20261121_000012_weight_runs::Migration),
            Box::new(m20261121_000013_submissions::Migration),
            Box::new(m20261121_000014_metagraph::Migration),
            Box::new(m20261121_000015_audit::Migration),
            Box::new(m20261121_000016_credit::Migration),
            Box::new(m20261122_000017_key_rotation::Migration),
            Box::new(m20261122_000018_quarantine::Migration),
        ]
    }
}
