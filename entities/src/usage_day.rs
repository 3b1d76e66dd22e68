//! What clients had done, by day: what bills add up.

use sea_orm::entity::prelude::*;

/// One client's tasks of one kind on one day.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "usage_day")]
pub struct Model {
    /// Whose: an API key's id, or a hotkey.
    #[sea_orm(primary_key, auto_increment = false)]
    pub owner: String,
    /// Days since the Unix epoch, in UTC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: i64,
    /// Kind of the tasks.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// Tasks taken in.
    pub submitted: i64,
    /// Characters of their texts, bytes of their files.
    pub input_units: i64,
    /// Tasks that ended with answers.
    pub done: i64,
    /// Tasks that ended otherwise.
    pub failed: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
