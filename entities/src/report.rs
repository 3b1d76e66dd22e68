//! Reports of validators: one append-only row per report, the audit trail.

use sea_orm::entity::prelude::*;

/// One report batch.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "report")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who reported.
    pub validator_id: Uuid,
    /// Signed time (ns) or receipt: what orders a validator's reports.
    pub signed_order: i64,
    /// The validator's own label.
    pub epoch: i64,
    /// The validator's own count inside the epoch.
    pub sequence: Option<i64>,
    /// Whether missing miners mean nothing.
    pub partial: bool,
    /// Receipt, Unix ms.
    pub received_at: i64,
    /// How many statuses were taken.
    pub statuses: i32,
    /// SHA-256 of the body as received.
    pub body_hash: Vec<u8>,
    /// The accepted statuses as canonical JSON, zstd.
    pub body: Vec<u8>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
