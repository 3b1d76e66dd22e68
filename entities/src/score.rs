//! Scores of approved responses: where the weight pipeline begins.

use sea_orm::entity::prelude::*;

/// One merged score of one response.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "score")]
pub struct Model {
    /// The task.
    #[sea_orm(primary_key, auto_increment = false)]
    pub task_id: Uuid,
    /// The slot.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i32,
    /// Whose.
    pub registration_id: Uuid,
    /// Kind of the task.
    pub kind: String,
    /// Merged score, millionths.
    pub score: i64,
    /// How many validators judged.
    pub validators: i32,
    /// Approved, Unix ms.
    pub scored_at: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
