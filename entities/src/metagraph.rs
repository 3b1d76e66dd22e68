//! Snapshots of the metagraph that are believed.

use sea_orm::entity::prelude::*;

/// One look at a subnet.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "metagraph")]
pub struct Model {
    /// Subnet.
    #[sea_orm(primary_key, auto_increment = false)]
    pub netuid: i32,
    /// Seen at this block.
    #[sea_orm(primary_key, auto_increment = false)]
    pub block: i64,
    /// Believed since, Unix ms.
    pub adopted_at: i64,
    /// Hotkeys of the validators that sent it.
    pub senders: Json,
    /// What they sent, as JSON compressed with zstd.
    pub body: Vec<u8>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
