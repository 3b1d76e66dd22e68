//! Pushed scores summed by day: what weights of all time are made of, beside our own by day.

use sea_orm::entity::prelude::*;

/// The scores that one validator gave one miner at one kind of work on one day.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "voice_day")]
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
    /// The validator that pushed them.
    #[sea_orm(primary_key, auto_increment = false)]
    pub voice: Uuid,
    /// How many.
    pub scored: i64,
    /// Their sum, millionths.
    pub score_sum: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
