//! Slots: the k answers that a task wants, each with its one live lease.

use sea_orm::entity::prelude::*;

/// One slot. A live lease is part of the row, so that two can never exist.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "slot")]
pub struct Model {
    /// The task.
    #[sea_orm(primary_key, auto_increment = false)]
    pub task_id: Uuid,
    /// Which of its slots, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i32,
    /// queued, offered, running, answered, failed, superseded.
    pub state: String,
    /// Fencing number of the current or last lease; 0 before the first.
    pub attempt: i32,
    /// Leases lost by their holders' fault.
    pub failures: i32,
    /// Not leased before then, Unix ms.
    pub not_before: i64,
    /// miner or validator.
    pub holder_kind: Option<String>,
    /// Registration or validator that holds (or answered) it.
    pub holder: Option<Uuid>,
    /// Leased, Unix ms.
    pub granted_at: Option<i64>,
    /// Fetched, Unix ms.
    pub fetched_at: Option<i64>,
    /// The sweep may take the lease from then on, Unix ms.
    pub expires_at: Option<i64>,
    /// The slot for whose straggler this one was opened beside the `slots` of the task.
    pub hedge_of: Option<i32>,
    /// The slot that was opened for this one's straggler.
    pub hedged_by: Option<i32>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
