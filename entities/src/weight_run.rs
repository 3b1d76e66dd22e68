//! Calculations of the current weights, each with all that went in.

use sea_orm::entity::prelude::*;

/// One calculation.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "weight_run")]
pub struct Model {
    /// Which.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// When it was made, Unix ms.
    pub made_at: i64,
    /// Begin of the window, Unix ms.
    pub window_from: i64,
    /// End of the window, Unix ms; not in it any more.
    pub window_to: i64,
    /// Name of the policy.
    pub policy: String,
    /// SHA-256 of the policy's figures, hex.
    pub policy_hash: String,
    /// What went in and what came out, as JSON, zstd.
    pub body: Vec<u8>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
