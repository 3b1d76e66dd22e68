//! Voices that clients have put down for speech.

use sea_orm::entity::prelude::*;

/// One voice.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "voice")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose; unique together with the name.
    pub owner: String,
    /// What tasks call it.
    pub name: String,
    /// Language that it speaks.
    pub language: String,
    /// How it sounds, in words.
    pub description: Option<String>,
    /// A recording of it.
    pub sample_file: Option<Uuid>,
    /// Put down, Unix ms.
    pub created_at: i64,
    /// Everybody sees it since then, Unix ms; absent for the owner's alone.
    pub shared_at: Option<i64>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
