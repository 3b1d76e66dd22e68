//! Scores that validators gave for tasks of their own.

use sea_orm::entity::prelude::*;

/// What one validator thought of one miner's work of one moment.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pushed_score")]
pub struct Model {
    /// Who scored.
    #[sea_orm(primary_key, auto_increment = false)]
    pub validator_id: Uuid,
    /// Whose work.
    #[sea_orm(primary_key, auto_increment = false)]
    pub registration_id: Uuid,
    /// Kind of the task.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// Scored, Unix ms.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scored_at: i64,
    /// The score, millionths.
    pub score: i64,
    /// The chain's block of then, if it was said.
    pub block: Option<i64>,
    /// Received, Unix ms.
    pub received_at: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
