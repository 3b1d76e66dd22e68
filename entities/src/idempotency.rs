//! Idempotency keys and what they made.

use sea_orm::entity::prelude::*;

/// One idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency")]
pub struct Model {
    /// Who sent it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller: String,
    /// The key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// SHA-256 of the request's meaning, hex.
    pub body_hash: String,
    /// What it made: `task`, `file` or `voice`.
    pub made: String,
    /// The id of that.
    pub made_id: Uuid,
    /// Received, Unix ms.
    pub created_at: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
