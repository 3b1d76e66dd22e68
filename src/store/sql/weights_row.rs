//! Between rows of runs and records and the store's values.

use pithead_entities as e;
use sea_orm::Set;

use super::row::{small, text};
use crate::domain::ids::{MinerUid, RegistrationId, RunId};
use crate::domain::units::Millis;
use crate::domain::weights::{KindPerformance, Performance};
use crate::store::{
    ChainFigures, PerformanceRow, PutRecords, StoreError, StoreResult, WeightRunRow,
};

fn damaged(what: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{what}: {error}"))
}

pub(super) fn run(row: e::weight_run::Model) -> StoreResult<WeightRunRow> {
    let body = zstd::decode_all(row.body.as_slice());
    Ok(WeightRunRow {
        id: RunId(row.id),
        made_at: Millis(row.made_at),
        window_from: Millis(row.window_from),
        window_to: Millis(row.window_to),
        policy: row.policy,
        policy_hash: row.policy_hash,
        body: body.map_err(|error| damaged("weight_run", error))?,
    })
}

/// A record as it is written.
pub(super) fn active(
    put: &PutRecords,
    of: &Performance,
    digest: String,
) -> e::miner_performance_stats::ActiveModel {
    let chain = put.chain_of(of);
    let told = !chain.submissions.is_empty();
    let submissions = told.then(|| serde_json::json!(chain.submissions));
    e::miner_performance_stats::ActiveModel {
        registration_id: Set(of.registration.0),
        period_type: Set(put.period.as_str().to_owned()),
        period_start: Set(put.start.0),
        period_end: Set(put.end.0),
        miner_uid: Set(of.uid.0.into()),
        miner_hotkey: Set(of.hotkey.to_string()),
        weight: Set(of.weight),
        raw_calculated_weight: Set(of.raw_calculated_weight),
        excellence_weight: Set(of.excellence_weight),
        diversity_weight: Set(of.diversity_weight),
        scoring_pathway: Set(of.scoring_pathway.as_str().to_owned()),
        pathway_details: Set(of.pathway_details.clone()),
        multi_task_bonus: Set(of.multi_task_bonus),
        excellence_qualified_tasks: Set(serde_json::json!(of.excellence_qualified_tasks)),
        tasks_attempted: Set(of.tasks_attempted),
        tasks_completed: Set(of.tasks_completed),
        tasks_scored: Set(of.tasks_scored),
        success_rate: Set(of.success_rate),
        average_score: Set(of.average_score),
        rank: Set(of.rank),
        trend: Set(of.trend),
        policy_hash: Set(put.policy_hash.clone()),
        digest: Set(digest),
        computed_at: Set(put.now.0),
        submitted_weight: Set(chain.submitted_weight),
        validator_hotkey: Set(chain.validator_hotkey.map(|hotkey| hotkey.to_string())),
        weight_submission_block: Set(chain.weight_submission_block),
        incentive: Set(chain.incentive),
        consensus_rank: Set(chain.consensus_rank),
        consensus_block: Set(chain.consensus_block),
        submissions: Set(submissions),
    }
}

/// The kinds of a record as they are written.
pub(super) fn kinds_of(
    put: &PutRecords,
    of: &Performance,
) -> Vec<e::miner_performance_kind::ActiveModel> {
    let kind = |(place, kind): (i32, &KindPerformance)| e::miner_performance_kind::ActiveModel {
        registration_id: Set(of.registration.0),
        period_type: Set(put.period.as_str().to_owned()),
        period_start: Set(put.start.0),
        kind: Set(kind.kind.clone()),
        place: Set(place),
        score: Set(kind.score),
        attempted: Set(kind.attempted),
        completed: Set(kind.completed),
        scored: Set(kind.scored),
        weight_contribution: Set(kind.weight_contribution),
        percentile_rank: Set(kind.percentile_rank),
        rank: Set(kind.rank),
        best: Set(kind.best),
        latest: Set(kind.latest),
    };
    (0..).zip(&of.kinds).map(kind).collect()
}

pub(super) fn stats(
    row: e::miner_performance_stats::Model,
    kinds: Vec<e::miner_performance_kind::Model>,
) -> StoreResult<PerformanceRow> {
    let kind = |kind: e::miner_performance_kind::Model| KindPerformance {
        kind: kind.kind,
        score: kind.score,
        attempted: kind.attempted,
        completed: kind.completed,
        scored: kind.scored,
        weight_contribution: kind.weight_contribution,
        percentile_rank: kind.percentile_rank,
        rank: kind.rank,
        best: kind.best,
        latest: kind.latest,
    };
    let qualified = serde_json::from_value(row.excellence_qualified_tasks);
    let record = Performance {
        registration: RegistrationId(row.registration_id),
        uid: MinerUid(small("miner_uid", row.miner_uid)?),
        hotkey: text("miner_hotkey", &row.miner_hotkey)?,
        weight: row.weight,
        raw_calculated_weight: row.raw_calculated_weight,
        excellence_weight: row.excellence_weight,
        diversity_weight: row.diversity_weight,
        scoring_pathway: text("scoring_pathway", &row.scoring_pathway)?,
        pathway_details: row.pathway_details,
        multi_task_bonus: row.multi_task_bonus,
        excellence_qualified_tasks: qualified
            .map_err(|error| damaged("excellence_qualified_tasks", error))?,
        tasks_attempted: row.tasks_attempted,
        tasks_completed: row.tasks_completed,
        tasks_scored: row.tasks_scored,
        success_rate: row.success_rate,
        average_score: row.average_score,
        rank: row.rank,
        trend: row.trend,
        kinds: kinds.into_iter().map(kind).collect(),
    };
    let submissions = row.submissions.map(serde_json::from_value).transpose();
    let submissions = submissions.map_err(|error| damaged("submissions", error))?;
    let validator = row.validator_hotkey.map(|key| text("validator_hotkey", &key));
    Ok(PerformanceRow {
        period: text("period_type", &row.period_type)?,
        start: Millis(row.period_start),
        end: Millis(row.period_end),
        policy_hash: row.policy_hash,
        computed_at: Millis(row.computed_at),
        record,
        chain: ChainFigures {
            submitted_weight: row.submitted_weight,
            validator_hotkey: validator.transpose()?,
            weight_submission_block: row.weight_submission_block,
            incentive: row.incentive,
            consensus_rank: row.consensus_rank,
            consensus_block: row.consensus_block,
            submissions: submissions.unwrap_or_default(),
        },
    })
}
