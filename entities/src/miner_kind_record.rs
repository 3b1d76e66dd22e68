//! What this server saw of a miner at one kind of work.

use sea_orm::entity::prelude::*;

/// One miner's record at one kind.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "miner_kind_record")]
pub struct Model {
    /// Whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub registration_id: Uuid,
    /// Kind of the tasks.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// The record.
    pub body: Json,
    /// Last written.
    pub updated_at: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
