//! Weights as validators set them on chain.

use sea_orm::entity::prelude::*;

/// One vector of one validator.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "submission")]
pub struct Model {
    /// Subnet.
    #[sea_orm(primary_key, auto_increment = false)]
    pub netuid: i32,
    /// Whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub validator_hotkey: String,
    /// For which block.
    #[sea_orm(primary_key, auto_increment = false)]
    pub block: i64,
    /// Its uid then.
    pub validator_uid: i32,
    /// How it goes onto the chain.
    pub mode: String,
    /// How far it came.
    pub state: String,
    /// Version of the program that set it.
    pub version_key: Option<i64>,
    /// Pairs of uid and 16-bit weight.
    pub weights: Json,
    /// The calculation that it comes from.
    pub run: Option<Uuid>,
    /// Opened at this block.
    pub revealed_block: Option<i64>,
    /// The epoch that counted it, its block.
    pub consensus_block: Option<i64>,
    /// Blocks from the moment at which it could count to that epoch.
    pub delay_blocks: Option<i64>,
    /// What the chain said against it.
    pub error: Option<String>,
    /// First heard of, Unix ms.
    pub created_at: i64,
    /// Last changed, Unix ms.
    pub updated_at: i64,
    /// Heard to be on the chain, Unix ms.
    pub sent_at: Option<i64>,
    /// Heard to be opened, Unix ms.
    pub revealed_at: Option<i64>,
    /// Heard to be counted by an epoch, Unix ms.
    pub settled_at: Option<i64>,
    /// Heard to have failed or to be forgotten, Unix ms.
    pub ended_at: Option<i64>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
