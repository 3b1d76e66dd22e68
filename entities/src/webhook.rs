//! Endpoints of clients that want to be told.

use sea_orm::entity::prelude::*;

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose: an API key's id, or a hotkey.
    pub owner: String,
    /// Where to.
    pub url: String,
    /// Types of events, separated by spaces; empty for all.
    pub events: String,
    /// `whsec_` and the secret in base64.
    pub secret: String,
    /// The secret before the last rotation.
    pub old_secret: Option<String>,
    /// Until when the old secret signs too, Unix ms.
    pub old_until: Option<i64>,
    /// Made, Unix ms.
    pub created_at: i64,
    /// Not told any more since then, Unix ms.
    pub disabled_at: Option<i64>,
    /// Why not.
    pub disabled_reason: Option<String>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
