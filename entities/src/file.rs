//! Files: names for blobs.

use sea_orm::entity::prelude::*;

/// One file; the bytes are in the blob store under their hash.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "file")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who may see it besides those who work on it.
    pub owner: String,
    /// SHA-256 of the bytes, hex.
    pub sha256: String,
    /// Bytes.
    pub size: i64,
    /// Sniffed content type.
    pub content_type: String,
    /// Name that the sender gave; never a path.
    pub name: String,
    /// Stored, Unix ms.
    pub created_at: i64,
    /// Task that it is an output of.
    pub task_id: Option<Uuid>,
    /// May be forgotten from then on, Unix ms; absent where its age decides.
    pub expires_at: Option<i64>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
