//! Hotkeys that an operator shut out.

use sea_orm::entity::prelude::*;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "quarantine")]
pub struct Model {
    /// Whom.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hotkey: String,
    /// Why, in the operator's words.
    pub reason: String,
    /// Free from then on, Unix ms; until it is let in when absent.
    pub until: Option<i64>,
    /// Who did it, in the words of the audit log.
    pub by: String,
    /// Since when, Unix ms.
    pub created_at: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
