//! Validators that ever spoke.

use sea_orm::entity::prelude::*;

/// One validator, by hotkey.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "validator")]
pub struct Model {
    /// Surrogate key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Hotkey text, unique.
    pub hotkey: String,
    /// Its own uid in the subnet.
    pub uid: i32,
    /// First seen, Unix ms.
    pub created_at: i64,
    /// Its track record.
    pub track: Option<Json>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
