//! Registrations: miners by (netuid, uid, hotkey, block).

use sea_orm::entity::prelude::*;

/// One registration of a miner. `live` is the authority over its load.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "registration")]
pub struct Model {
    /// Surrogate key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Subnet.
    pub netuid: i32,
    /// Place in the subnet.
    pub uid: i32,
    /// Hotkey text.
    pub hotkey: String,
    /// Block of registration; 0 when not known yet.
    pub registered_block: i64,
    /// Owner, where known.
    pub coldkey: Option<String>,
    /// Leases that it may hold at once.
    pub capacity: i32,
    /// Leases that it holds.
    pub live: i32,
    /// Leases answered.
    pub answered: i64,
    /// Leases lost by its own fault.
    pub lost: i64,
    /// Responses scored.
    pub scored: i64,
    /// Sum of those scores, millionths.
    pub score_sum: i64,
    /// Opened, Unix ms.
    pub opened_at: i64,
    /// Closed, Unix ms.
    pub closed_at: Option<i64>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
