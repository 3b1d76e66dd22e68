//! The record of one miner and period (seed 004): from what it was given to do, over its scores, to
//! its share of the weight. What the chain makes of the weight is no part of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bucket::{Standing, Standings};
use super::policy::Policy;
use super::record::{Calculation, Pathway, Record, TaskRecord};
use super::run::Owners;
use super::{Miner, TaskValue, WeightedKind, WeightsError, compute};
use crate::domain::ids::{Hotkey, MinerUid, RegistrationId};

/// One miner in one period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    /// Whose.
    pub registration: RegistrationId,
    /// Place in the subnet.
    pub uid: MinerUid,
    /// Hotkey.
    pub hotkey: Hotkey,
    /// The share of all, 0..=1.
    pub weight: f64,
    /// The larger of the next two.
    pub raw_calculated_weight: f64,
    /// See [`Record::excellence_weight`].
    pub excellence_weight: f64,
    /// See [`Record::diversity_weight`].
    pub diversity_weight: f64,
    /// Which of the two counts.
    pub scoring_pathway: Pathway,
    /// How it came about; absent where the configuration wants no details.
    pub pathway_details: Option<Value>,
    /// The bonus for several kinds.
    pub multi_task_bonus: f64,
    /// Kinds in which it excels.
    pub excellence_qualified_tasks: Vec<String>,
    /// Leases that it fetched.
    pub tasks_attempted: i64,
    /// Of those, how many it answered.
    pub tasks_completed: i64,
    /// Scores of all voices.
    pub tasks_scored: i64,
    /// Completed over attempted; absent when it was given nothing to do.
    pub success_rate: Option<f64>,
    /// Mean of its task values, each by how many scores it has; absent without scores.
    pub average_score: Option<f64>,
    /// Place by weight, from 1; equals share the best one.
    pub rank: i64,
    /// Average score less that of the period before; absent without one of the two.
    pub trend: Option<f64>,
    /// Its kinds, in their order.
    pub kinds: Vec<KindPerformance>,
}

/// One kind of one miner in one period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KindPerformance {
    /// Name of the kind.
    pub kind: String,
    /// The task value; absent where nobody scored.
    pub score: Option<f64>,
    /// Leases that it fetched.
    pub attempted: i64,
    /// Of those, how many it answered.
    pub completed: i64,
    /// Scores of all voices.
    pub scored: i64,
    /// Its part of the weight.
    pub weight_contribution: f64,
    /// Share of the kind's values that are not better, in per cent; absent without a value.
    pub percentile_rank: Option<f64>,
    /// Place by value, from 1; equals share the best one.
    pub rank: Option<i64>,
    /// The best hour of a day, or the best day of a longer period.
    pub best: Option<f64>,
    /// The newest hour with scores.
    pub latest: Option<f64>,
}

/// What a period's records are made of.
#[derive(Debug, Clone, Copy)]
pub struct PeriodInput<'a> {
    /// How to count.
    pub policy: &'a Policy,
    /// The kinds that count.
    pub kinds: &'a [WeightedKind],
    /// What is known of the miners.
    pub standings: &'a Standings,
    /// Who they are.
    pub owners: &'a Owners,
    /// Average scores of the period before.
    pub before: &'a BTreeMap<RegistrationId, f64>,
    /// Whether to keep how each weight came about.
    pub detailed: bool,
}

/// The records of a period, in the order of uids and registrations. Two owners of one uid are two
/// miners. Weights sum to 1 or are all 0.
///
/// # Errors
/// [`WeightsError`] when the values cannot be used.
pub fn performances(input: &PeriodInput<'_>) -> Result<Vec<Performance>, WeightsError> {
    let mut of_miners: BTreeMap<Miner, Vec<(usize, &Standing)>> = BTreeMap::new();
    for ((registration, kind), standing) in input.standings {
        let Some(owner) = input.owners.get(registration) else { continue };
        let miner = Miner { uid: owner.uid, registration: Some(*registration) };
        of_miners.entry(miner).or_default().push((*kind, standing));
    }
    let mut values = Vec::new();
    for (miner, standings) in &of_miners {
        for (kind, standing) in standings {
            let (Some(kind), Some(score)) = (input.kinds.get(*kind), standing.value) else {
                continue;
            };
            values.push(TaskValue { miner: *miner, kind: &kind.name, score });
        }
    }
    let calculation = compute(input.policy, input.kinds, &values)?;
    let weights: BTreeMap<Miner, &Record> =
        calculation.records.iter().map(|record| (record.miner, record)).collect();
    let mut records = Vec::with_capacity(of_miners.len());
    for (miner, standings) in &of_miners {
        let weighed = weights.get(miner).copied();
        records.extend(record(input, &calculation, *miner, standings, weighed));
    }
    rank(&mut records);
    Ok(records)
}

fn record(
    input: &PeriodInput<'_>,
    calculation: &Calculation,
    miner: Miner,
    standings: &[(usize, &Standing)],
    weighed: Option<&Record>,
) -> Option<Performance> {
    let registration = miner.registration?;
    let owner = input.owners.get(&registration)?;
    let all = |figure: fn(&Standing) -> i64| {
        standings.iter().fold(0_i64, |sum, (_, of)| sum.saturating_add(figure(of)))
    };
    let (attempted, completed) = (all(|of| of.attempted), all(|of| of.completed));
    let average_score = average(standings);
    let before = input.before.get(&registration);
    let kinds = standings.iter().filter_map(|(place, standing)| {
        let kind = input.kinds.get(*place)?;
        let task = weighed.and_then(|record| record.tasks.iter().find(|t| *t.kind == *kind.name));
        Some(of_kind(&kind.name, standing, task))
    });
    let weight = |figure: fn(&Record) -> f64| weighed.map_or(0.0, figure);
    let names = weighed.map(|record| record.excellence_qualified_tasks.as_slice());
    let details = weighed.filter(|_| input.detailed).map(|record| details(calculation, record));
    Some(Performance {
        registration,
        uid: miner.uid,
        hotkey: owner.hotkey.clone(),
        weight: weight(|record| record.weight),
        raw_calculated_weight: weight(|record| record.raw_calculated_weight),
        excellence_weight: weight(|record| record.excellence_weight),
        diversity_weight: weight(|record| record.diversity_weight),
        scoring_pathway: weighed.map_or(Pathway::None, |record| record.scoring_pathway),
        pathway_details: details,
        multi_task_bonus: weighed.map_or(0.0, |record| record.multi_task_bonus),
        excellence_qualified_tasks: names
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect(),
        tasks_attempted: attempted,
        tasks_completed: completed,
        tasks_scored: all(|of| of.scored),
        success_rate: (attempted > 0).then(|| completed as f64 / attempted as f64),
        average_score,
        rank: 0,
        trend: average_score.zip(before).map(|(now, before)| now - before),
        kinds: kinds.collect(),
    })
}

fn of_kind(kind: &str, standing: &Standing, task: Option<&TaskRecord>) -> KindPerformance {
    KindPerformance {
        kind: kind.to_owned(),
        score: standing.value,
        attempted: standing.attempted,
        completed: standing.completed,
        scored: standing.scored,
        weight_contribution: task.map_or(0.0, |task| task.weight_contribution),
        percentile_rank: task.map(|task| task.percentile_rank),
        rank: None,
        best: standing.best,
        latest: standing.latest,
    }
}

/// The mean of the task values, each by how many scores it has.
fn average(standings: &[(usize, &Standing)]) -> Option<f64> {
    let (mut sum, mut scored) = (0.0, 0.0);
    for (_, standing) in standings {
        if let Some(value) = standing.value {
            sum += value * standing.scored as f64;
            scored += standing.scored as f64;
        }
    }
    (scored > 0.0).then(|| sum / scored)
}

/// How one miner's weight came about, with what all miners share.
fn details(calculation: &Calculation, record: &Record) -> Value {
    let own = |name: &str| record.tasks.iter().any(|task| &*task.kind == name);
    let kinds: Vec<_> = calculation.kinds.iter().filter(|kind| own(&kind.name)).collect();
    json!({
        "miner": record,
        "kinds": kinds,
        "transform": calculation.transform,
        "excellence_boost": calculation.excellence_boost,
    })
}

/// Gives every record its places.
fn rank(records: &mut [Performance]) {
    let weights: Vec<Option<f64>> = records.iter().map(|record| Some(record.weight)).collect();
    for (record, place) in records.iter_mut().zip(places(&weights)) {
        record.rank = place.unwrap_or_default();
    }
    let mut of_kinds: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        for (place, kind) in record.kinds.iter().enumerate() {
            of_kinds.entry(kind.kind.clone()).or_default().push((index, place));
        }
    }
    for at in of_kinds.into_values() {
        let kind_at = |(index, place): &(usize, usize)| {
            records.get(*index).and_then(|record| record.kinds.get(*place))
        };
        let scores: Vec<Option<f64>> =
            at.iter().map(|at| kind_at(at).and_then(|kind| kind.score)).collect();
        for ((index, place), rank) in at.iter().zip(places(&scores)) {
            let record = records.get_mut(*index);
            if let Some(kind) = record.and_then(|record| record.kinds.get_mut(*place)) {
                kind.rank = rank;
            }
        }
    }
}

/// Places from 1 for the largest; equals share the best one, and what is not there has none.
fn places(values: &[Option<f64>]) -> Vec<Option<i64>> {
    let mut descending: Vec<f64> = values.iter().copied().flatten().collect();
    descending.sort_unstable_by(|a, b| b.total_cmp(a));
    let place = |value: f64| {
        let better = descending.partition_point(|other| *other > value);
        i64::try_from(better).unwrap_or(i64::MAX - 1) + 1
    };
    values.iter().map(|value| value.map(place)).collect()
}
