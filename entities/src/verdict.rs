//! Agreed values per miner at the last closed round.

use sea_orm::entity::prelude::*;

/// What the validators agreed about one miner.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "verdict")]
pub struct Model {
    /// Place in the subnet.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uid: i32,
    /// Round in which it was agreed.
    pub round: i64,
    /// The agreed values.
    pub body: Json,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
