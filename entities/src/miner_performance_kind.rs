//! The kinds of a miner's record: a new kind is a new row, never a new column.

use sea_orm::entity::prelude::*;

/// One kind of one miner in one period.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "miner_performance_kind")]
pub struct Model {
    /// Whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub registration_id: Uuid,
    /// As the record has it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub period_type: String,
    /// As the record has it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub period_start: i64,
    /// Name of the kind.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// Its place among the kinds of the record.
    pub place: i32,
    /// Task value.
    pub score: Option<f64>,
    /// Leases fetched.
    pub attempted: i64,
    /// Leases answered.
    pub completed: i64,
    /// Scores.
    pub scored: i64,
    /// Part of the weight.
    pub weight_contribution: f64,
    /// Share of the kind's values that are not better, in per cent.
    pub percentile_rank: Option<f64>,
    /// Place by value.
    pub rank: Option<i64>,
    /// The best hour.
    pub best: Option<f64>,
    /// The newest hour.
    pub latest: Option<f64>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
