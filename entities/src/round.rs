//! Minutes of consensus rounds: what their verdicts depended on.

use sea_orm::entity::prelude::*;

/// One closed round in which something was merged.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "round")]
pub struct Model {
    /// Minutes since the Unix epoch, as the policy's length of a round goes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub round: i64,
    /// When it was closed, Unix ms.
    pub closed_at: i64,
    /// The minutes as JSON, zstd.
    pub body: Vec<u8>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
