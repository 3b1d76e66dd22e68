//! Responses: at most one per slot.

use sea_orm::entity::prelude::*;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "response")]
pub struct Model {
    /// The task.
    #[sea_orm(primary_key, auto_increment = false)]
    pub task_id: Uuid,
    /// The slot.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i32,
    /// The lease's fencing number.
    pub attempt: i32,
    /// Registration or validator that held the lease.
    pub holder: Uuid,
    /// Registration that did the work, where known.
    pub registration_id: Option<Uuid>,
    /// Its uid.
    pub miner_uid: i32,
    /// The answer.
    pub body: Json,
    /// SHA-256 of the answer as received.
    pub body_hash: Vec<u8>,
    /// What the miner says of itself; kept, never used.
    pub claims: Option<Json>,
    /// From fetch to answer by our clock, ms.
    pub elapsed_millis: i64,
    /// Received, Unix ms.
    pub created_at: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
