//! Leases that ended without an answer.

use sea_orm::entity::prelude::*;

/// One lost lease: what the timeline shows and what exclusion is rebuilt from.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempt")]
pub struct Model {
    /// The task.
    #[sea_orm(primary_key, auto_increment = false)]
    pub task_id: Uuid,
    /// The slot.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i32,
    /// The lease's fencing number.
    #[sea_orm(primary_key, auto_increment = false)]
    pub attempt: i32,
    /// miner or validator.
    pub holder_kind: String,
    /// Registration or validator that held it.
    pub holder: Uuid,
    /// Why it ended.
    pub reason: String,
    /// Leased, Unix ms.
    pub granted_at: i64,
    /// Fetched, Unix ms.
    pub fetched_at: Option<i64>,
    /// Ended, Unix ms.
    pub ended_at: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
