//! The audit log: entries linked by their hashes, a chain for each writer.

use sea_orm::entity::prelude::*;

/// One entry.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit")]
pub struct Model {
    /// Whose chain: the subnet.
    #[sea_orm(primary_key, auto_increment = false)]
    pub writer: String,
    /// Its number there, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// Written at, Unix ms.
    pub at: i64,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// What else is to be known of it.
    pub detail: Json,
    /// SHA-256 over all of the above and the hash of the entry before it.
    pub hash: Vec<u8>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
