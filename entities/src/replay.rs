//! Nonces of signed requests that had an effect.

use sea_orm::entity::prelude::*;

/// One nonce.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "replay")]
pub struct Model {
    /// Signer.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hotkey: String,
    /// Nonce, Unix ns.
    #[sea_orm(primary_key, auto_increment = false)]
    pub nonce: i64,
    /// Received, Unix ms.
    pub seen_at: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
