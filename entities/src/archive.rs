//! Tasks that ended long ago, each with all its rows in one.

use sea_orm::entity::prelude::*;

/// One archived task.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "archive")]
pub struct Model {
    /// The task.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who may see it: an API key's id, or a hotkey.
    pub owner: String,
    /// Ended, Unix ms.
    pub ended_at: i64,
    /// The task with its slots, attempts, responses and evaluations as JSON, zstd.
    pub body: Vec<u8>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
