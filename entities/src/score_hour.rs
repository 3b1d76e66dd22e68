//! Scores summed by hour: what weights of a window are made of.

use sea_orm::entity::prelude::*;

/// The scores that one voice gave one miner at one kind of work in one hour.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "score_hour")]
pub struct Model {
    /// Hours since the Unix epoch, in UTC. First in the key, so that a window is one range of it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hour: i64,
    /// Whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub registration_id: Uuid,
    /// Kind of the tasks.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// The validator that pushed them; nil for our own evaluations.
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
