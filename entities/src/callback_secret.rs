//! Secrets that sign callbacks, one per owner.

use sea_orm::entity::prelude::*;

/// One owner's secret.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "callback_secret")]
pub struct Model {
    /// Whose: an API key's id, or a hotkey.
    #[sea_orm(primary_key, auto_increment = false)]
    pub owner: String,
    /// `whsec_` and the secret in base64.
    pub secret: String,
    /// Made, Unix ms.
    pub created_at: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
