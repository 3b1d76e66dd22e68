//! Evaluations: one per (task, slot, validator).

use sea_orm::entity::prelude::*;

/// One validator's judgement of one response, with its reward.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "evaluation")]
pub struct Model {
    /// The task.
    #[sea_orm(primary_key, auto_increment = false)]
    pub task_id: Uuid,
    /// The slot.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i32,
    /// Who judged.
    #[sea_orm(primary_key, auto_increment = false)]
    pub validator_id: Uuid,
    /// Accuracy or the single score, millionths.
    pub accuracy: i64,
    /// Whether `accuracy` is the whole score.
    pub whole: bool,
    /// Score with our own timing, millionths.
    pub score: i64,
    /// Score times the kind's weight, millionths.
    pub reward: i64,
    /// Received, Unix ms.
    pub created_at: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
