//! Work of miners summed by day: what success rates are made of.

use sea_orm::entity::prelude::*;

/// What one miner tried and finished at one kind of work on one day.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "work_day")]
pub struct Model {
    /// Whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub registration_id: Uuid,
    /// Kind of the tasks.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// Days since the Unix epoch, in UTC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: i64,
    /// Leases that ended by its own doing.
    pub attempted: i64,
    /// Those of them that it answered.
    pub completed: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
