//! Records of miners by period: from what they did to their share of the weight, and what the chain
//! made of it.

use sea_orm::entity::prelude::*;

/// One miner in one period.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "miner_performance_stats")]
pub struct Model {
    /// Whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub registration_id: Uuid,
    /// `daily`, `weekly`, `monthly` or `all_time`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub period_type: String,
    /// Its beginning, Unix ms.
    #[sea_orm(primary_key, auto_increment = false)]
    pub period_start: i64,
    /// Its end, Unix ms; not in it any more.
    pub period_end: i64,
    /// Place in the subnet.
    pub miner_uid: i32,
    /// Hotkey.
    pub miner_hotkey: String,
    /// Share of all weights.
    pub weight: f64,
    /// The larger of the next two.
    pub raw_calculated_weight: f64,
    /// By its best kind.
    pub excellence_weight: f64,
    /// By all of its kinds.
    pub diversity_weight: f64,
    /// Which of the two counts.
    pub scoring_pathway: String,
    /// How it came about.
    pub pathway_details: Option<Json>,
    /// Bonus for several kinds.
    pub multi_task_bonus: f64,
    /// Names of kinds, a list.
    pub excellence_qualified_tasks: Json,
    /// Leases fetched.
    pub tasks_attempted: i64,
    /// Leases answered.
    pub tasks_completed: i64,
    /// Scores.
    pub tasks_scored: i64,
    /// Answered over fetched.
    pub success_rate: Option<f64>,
    /// Mean of its task values.
    pub average_score: Option<f64>,
    /// Place by weight.
    pub rank: i64,
    /// Average score less that of the period before.
    pub trend: Option<f64>,
    /// SHA-256 in hex of the policy's figures.
    pub policy_hash: String,
    /// SHA-256 in hex of the figures above: where it is the same, nothing is written.
    pub digest: String,
    /// When it was computed, Unix ms.
    pub computed_at: i64,
    /// Weight that went on chain.
    pub submitted_weight: Option<f64>,
    /// By which validator.
    pub validator_hotkey: Option<String>,
    /// In which block.
    pub weight_submission_block: Option<i64>,
    /// What the chain pays.
    pub incentive: Option<f64>,
    /// Place by that.
    pub consensus_rank: Option<i64>,
    /// As of which block.
    pub consensus_block: Option<i64>,
    /// What each validator set, a list; null for none.
    pub submissions: Option<Json>,
}

/// No relations are declared: rows are read by key, never joined through the ORM.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
