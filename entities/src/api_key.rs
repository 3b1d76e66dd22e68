//! API keys: only the hash of the secret is kept.

use sea_orm::entity::prelude::*;

/// One API key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    /// Public part.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// SHA-256 of the secret.
    pub secret_hash: Vec<u8>,
    /// What it is for.
    pub name: String,
    /// Scopes, separated by spaces.
    pub scopes: String,
    /// Made, Unix ms.
    pub created_at: i64,
    /// Not valid from then on, Unix ms.
    pub expires_at: Option<i64>,
    /// Taken back, Unix ms.
    pub revoked_at: Option<i64>,
    /// SHA-256 of the secret before the last rotation.
    pub old_secret_hash: Option<Vec<u8>>,
    /// Until when that one is valid too, Unix ms.
    pub old_secret_until: Option<i64>,
    /// When it got its secret, if that is not its first one, Unix ms.
    pub rotated_at: Option<i64>,
    /// Requests per minute; the server's limit when absent.
    pub requests_per_minute: Option<i64>,
    /// Requests at once; the server's limit when absent.
    pub in_flight: Option<i64>,
    /// Tasks per day; the server's limit when absent.
    pub tasks_per_day: Option<i64>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
