//! What is to be delivered to whom: the outbox.

use sea_orm::entity::prelude::*;

/// One event for one receiver.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery")]
pub struct Model {
    /// Key, ordered by time; follows from the event and the receiver.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose.
    pub owner: String,
    /// What is delivered beside each other only a little: an endpoint, or a host of callbacks.
    pub lane: String,
    /// Type of the event.
    pub event: String,
    /// Status of the task then.
    pub status: String,
    /// The endpoint; absent for a callback.
    pub webhook_id: Option<Uuid>,
    /// Where to, for a callback.
    pub url: Option<String>,
    /// The task.
    pub task_id: Uuid,
    /// Responses then.
    pub responses: i32,
    /// When it happened, Unix ms.
    pub created_at: i64,
    /// Tries so far.
    pub attempts: i32,
    /// Due, Unix ms; absent when there is nothing left to do.
    pub next_at: Option<i64>,
    /// Taken by its receiver, Unix ms.
    pub delivered_at: Option<i64>,
    /// Given up, Unix ms.
    pub given_up_at: Option<i64>,
    /// Last tried, Unix ms.
    pub tried_at: Option<i64>,
    /// HTTP status of the last try.
    pub last_status: Option<i32>,
    /// What was wrong with the last try.
    pub last_error: Option<String>,
    /// Beginning of the last answer.
    pub last_answer: Option<String>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
