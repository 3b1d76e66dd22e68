//! Tasks.

use sea_orm::entity::prelude::*;

/// One task. Its shown status derives from `state` and its slots.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "task")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who may see it: an API key's id, or a hotkey.
    pub owner: String,
    /// Kind, with underscores.
    pub kind: String,
    /// open, done, approved, failed, cancelled, expired.
    pub state: String,
    /// low, normal, high, urgent.
    pub priority: String,
    /// Answers wanted.
    pub slots: i32,
    /// Answers that end it at once.
    pub enough: i32,
    /// Answers without which it fails.
    pub min_responses: i32,
    /// Answers so far.
    pub answered: i32,
    /// Slots given up so far.
    pub failed: i32,
    /// Language of the input.
    pub source_language: String,
    /// Language of the output, for translations.
    pub target_language: Option<String>,
    /// Model wished.
    pub model_id: Option<String>,
    /// Voice wished.
    pub voice_name: Option<String>,
    /// Input, when it is text.
    pub input_text: Option<String>,
    /// Input, when it is a file.
    pub input_file: Option<Uuid>,
    /// Time that a miner has for it, ms.
    pub run_millis: i64,
    /// Submitted, Unix ms.
    pub created_at: i64,
    /// Must have ended by then, Unix ms.
    pub deadline: i64,
    /// The failed task of which this is another try.
    pub retry_of: Option<Uuid>,
    /// Not given to miners before then, Unix ms; absent in old rows, which began at once.
    pub start_at: Option<i64>,
    /// Answers wanted when the first miner is not trusted, where its trust decides.
    pub adaptive_slots: Option<i32>,
    /// Answers that end it then.
    pub adaptive_enough: Option<i32>,
    /// Who is told when it ends.
    pub callback_url: Option<String>,
    /// First answer, Unix ms.
    pub first_response_at: Option<i64>,
    /// Ended, Unix ms.
    pub finished_at: Option<i64>,
    /// Slot of the best response, once evaluated.
    pub best_slot: Option<i32>,
    /// The writer's transaction in which it ended by itself or at its deadline; 0 in older rows.
    pub done_order: i64,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
