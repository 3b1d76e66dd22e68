//! Steps 1 to 4: percentile ranks, excellence, diversity, and the larger of the two.

use std::sync::Arc;

use super::input::{Cell, WeightedKind};
use super::number::{mean, percentile, percentile_rank, population_std};
use super::policy::Policy;
use super::record::{KindRecord, Pathway, Record, Sigmoid, TaskRecord};

/// One kind with all of its scores.
pub(super) struct Column {
    pub(super) record: KindRecord,
    ascending: Vec<f64>,
}

impl Column {
    /// `scores` in the order of miners.
    fn new(policy: &Policy, kind: &WeightedKind, scores: Vec<f64>) -> Self {
        let sigmoid = kind.sigmoid.then(|| {
            let std = population_std(&scores).max(policy.sigmoid_std_min);
            let slope = (policy.sigmoid_scale / std)
                .max(policy.sigmoid_slope_min)
                .min(policy.sigmoid_slope_max);
            Sigmoid { midpoint: mean(&scores), slope }
        });
        let mut ascending = scores;
        ascending.sort_unstable_by(f64::total_cmp);
        let scored = ascending.len();
        let enough = scored >= policy.excellence_min as usize;
        let threshold = percentile(&ascending, policy.excellence_percentile);
        let record = KindRecord {
            name: Arc::from(kind.name.as_str()),
            // A weight of -0 is one of 0.
            weight: kind.weight + 0.0,
            scored,
            ranked: scored >= policy.ranked_min as usize,
            excellence_threshold: threshold.filter(|_| enough),
            sigmoid,
        };
        Self { record, ascending }
    }

    /// One miner's score of this kind, worth so much by the bonus and the boost.
    fn judge(&self, policy: &Policy, score: f64, bonus: f64, boost: f64) -> TaskRecord {
        let kind = &self.record;
        let percentile_rank = if kind.ranked {
            percentile_rank(&self.ascending, score)
        } else {
            policy.percentile_unranked
        };
        let multiplier = policy.multiplier(percentile_rank);
        let spread_score = kind.sigmoid.map_or(score, |sigmoid| sigmoid.at(score));
        let excels = kind.excellence_threshold.is_some_and(|threshold| score >= threshold);
        TaskRecord {
            kind: Arc::clone(&kind.name),
            score,
            percentile_rank,
            multiplier,
            spread_score,
            // The bonus goes to the multiplier as the largest boost does: where the two are equal
            // by their formulas, they are so to the bit, and the pathway is no matter of rounding.
            diversity_part: spread_score * kind.weight * (multiplier * bonus),
            excellence_part: if excels { score * kind.weight * boost } else { 0.0 },
            weight_contribution: 0.0,
        }
    }
}

/// The kinds with their scores, from the cells in the order of miners.
pub(super) fn columns(policy: &Policy, kinds: &[WeightedKind], cells: &[Cell]) -> Vec<Column> {
    let mut scores: Vec<Vec<f64>> = vec![Vec::new(); kinds.len()];
    for cell in cells {
        if let Some(column) = scores.get_mut(cell.kind) {
            column.push(cell.score);
        }
    }
    kinds.iter().zip(scores).map(|(kind, scores)| Column::new(policy, kind, scores)).collect()
}

/// The raw weight of one miner from its cells, which are not empty; the final one is still 0.
pub(super) fn raw(policy: &Policy, columns: &[Column], boost: f64, row: &[Cell]) -> Option<Record> {
    let miner = row.first()?.miner;
    let own = || row.iter().filter_map(|cell| columns.get(cell.kind).map(|column| (column, cell)));
    let kinds = own().filter(|(column, _)| column.record.weight > 0.0).count();
    let bonus = policy.bonus(kinds);
    let mut tasks = Vec::with_capacity(row.len());
    let mut excellence_qualified_tasks = Vec::new();
    let mut excellence = 0.0_f64;
    for (column, cell) in own() {
        let task = column.judge(policy, cell.score, bonus, boost);
        if task.excellence_part > 0.0 {
            excellence_qualified_tasks.push(Arc::clone(&task.kind));
        }
        excellence = excellence.max(task.excellence_part);
        tasks.push(task);
    }
    // From the smallest part on: whoever has the same parts at other kinds has the same sum to the
    // bit, and shares its place.
    let mut parts: Vec<f64> = tasks.iter().map(|task: &TaskRecord| task.diversity_part).collect();
    parts.sort_unstable_by(f64::total_cmp);
    let diversity = parts.iter().sum::<f64>();
    let scoring_pathway = if excellence > diversity {
        Pathway::Excellence
    } else if diversity > 0.0 {
        Pathway::Diversity
    } else {
        Pathway::None
    };
    Some(Record {
        miner,
        excellence_weight: excellence,
        diversity_weight: diversity,
        raw_calculated_weight: excellence.max(diversity),
        scoring_pathway,
        weight: 0.0,
        weight_u16: 0,
        multi_task_bonus: bonus,
        excellence_qualified_tasks,
        relative_weight: 0.0,
        transformed_weight: 0.0,
        place: None,
        tasks,
    })
}

/// Tells the final weight of a miner apart by kinds: excellence owes all to the kind that was the
/// best, the first of equals, and diversity to each kind its part.
pub(super) fn contribute(record: &mut Record) {
    let (weight, raw) = (record.weight, record.raw_calculated_weight);
    match record.scoring_pathway {
        Pathway::Excellence => {
            let best = record.tasks.iter_mut().find(|task| task.excellence_part >= raw);
            if let Some(best) = best {
                best.weight_contribution = weight;
            }
        }
        Pathway::Diversity => {
            for task in &mut record.tasks {
                task.weight_contribution = weight * (task.diversity_part / raw);
            }
        }
        Pathway::None => {}
    }
}
