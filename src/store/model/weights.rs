//! Calculations of weights, and the records of miners by period.

use super::dump::{Dump, line};
use super::{Cell, Tables};
use crate::domain::ids::{RegistrationId, RunId};
use crate::domain::period::{Period, begin_of};
use crate::domain::units::Millis;
use crate::store::weights::digest;
use crate::store::{
    AverageScores, ForgetRecords, PerformancePage, PerformanceRow, PutRecords, RegistrationRow,
    WeightRunRow,
};

/// Period, begin, whose.
pub(super) type PerformanceKey = (Period, Millis, RegistrationId);

impl Tables {
    pub(super) fn put_run(&mut self, run: WeightRunRow) {
        self.weight_runs.entry(run.id).or_insert(run);
    }

    /// The last record of each registration stands; what is the same already is not touched.
    pub(super) fn put_records(&mut self, put: PutRecords) -> u64 {
        let PutRecords { period, start, end, policy_hash, now, records, mut chain } = put;
        let last = records.into_iter().map(|record| (record.registration, record));
        let last: std::collections::BTreeMap<_, _> = last.collect();
        let mut changed = 0;
        for (registration, record) in last {
            let known = self.performances.get(&(period, start, registration));
            let chain = chain.remove(&registration).unwrap_or_default();
            let same = |known: &PerformanceRow| {
                digest(&known.record, &known.chain) == digest(&record, &chain)
            };
            if known.is_some_and(same) {
                continue;
            }
            changed += 1;
            let (policy_hash, computed_at) = (policy_hash.clone(), now);
            let row =
                PerformanceRow { period, start, end, policy_hash, computed_at, record, chain };
            self.performances.insert((period, start, registration), row);
        }
        changed
    }

    pub(super) fn weight_run(&self, id: Option<RunId>) -> Option<WeightRunRow> {
        match id {
            Some(id) => self.weight_runs.get(&id).cloned(),
            None => self.weight_runs.values().max_by_key(|run| (run.made_at, run.id)).cloned(),
        }
    }

    pub(super) fn performances(&self, page: &PerformancePage) -> Vec<PerformanceRow> {
        let place = |row: &PerformanceRow| {
            (page.order.value(&row.record), row.start, row.record.registration)
        };
        let compare = |a: (f64, Millis, RegistrationId), b: (f64, Millis, RegistrationId)| {
            let ascending = a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2));
            if page.order.descends() { ascending.reverse() } else { ascending }
        };
        let wanted = self.performances.values().filter(|row| {
            let record = &row.record;
            let with = |kind: &String| record.kinds.iter().any(|of| of.kind == *kind);
            row.period == page.period
                && (page.from..page.to).contains(&row.start)
                && page.uid.is_none_or(|uid| uid == record.uid)
                && page.registration.is_none_or(|id| id == record.registration)
                && page.kind.as_ref().is_none_or(with)
                && page.after.is_none_or(|after| {
                    compare((after.value, after.start, after.registration), place(row)).is_lt()
                })
        });
        let mut rows: Vec<PerformanceRow> = wanted.cloned().collect();
        rows.sort_by(|a, b| compare(place(a), place(b)));
        rows.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        rows
    }

    pub(super) fn newest_periods(&self) -> Vec<(Period, Millis)> {
        let newest = |period: Period| {
            let starts = self.performances.keys().filter(|key| key.0 == period).map(|key| key.1);
            starts.max().map(|start| (period, start))
        };
        Period::ALL.iter().filter_map(|period| newest(*period)).collect()
    }

    pub(super) fn average_scores(&self, period: Period, start: Millis) -> AverageScores {
        let of_period =
            self.performances.iter().filter(|(key, _)| (key.0, key.1) == (period, start));
        of_period.filter_map(|(key, row)| Some((key.2, row.record.average_score?))).collect()
    }

    pub(super) fn registrations_of(&self, ids: &[RegistrationId]) -> Vec<RegistrationRow> {
        let known = self.registrations.iter().filter(|(id, _)| ids.contains(id));
        known.map(|(_, known)| known.row.clone()).collect()
    }

    pub(super) fn forget_records(&mut self, ForgetRecords { before }: ForgetRecords) -> u64 {
        let newest = self.weight_run(None).map(|run| run.id);
        let had = self.weight_runs.len() + self.performances.len();
        self.weight_runs.retain(|id, run| run.made_at >= before || Some(*id) == newest);
        self.performances.retain(|(period, start, _), _| begin_of(period.days(*start).1) >= before);
        (had - self.weight_runs.len() - self.performances.len()) as u64
    }

    pub(super) fn dump_weights(&self, dump: &mut Dump) {
        let runs = self.weight_runs.values().map(|run| {
            line!(
                id = run.id.0,
                made_at = run.made_at,
                window_from = run.window_from,
                window_to = run.window_to,
                policy = run.policy,
                policy_hash = run.policy_hash,
                body = run.body.as_slice(),
            )
        });
        dump.table("weight_run", runs.collect());
        dump.table("miner_performance_stats", self.performances.values().map(stats).collect());
        let kinds = self.performances.values().flat_map(kinds);
        dump.table("miner_performance_kind", kinds.collect());
    }
}

fn stats(row: &PerformanceRow) -> String {
    let (of, chain) = (&row.record, &row.chain);
    line!(
        registration_id = of.registration.0,
        period_type = row.period.as_str(),
        period_start = row.start,
        period_end = row.end,
        miner_uid = of.uid.0,
        miner_hotkey = of.hotkey.as_str(),
        weight = of.weight,
        raw_calculated_weight = of.raw_calculated_weight,
        excellence_weight = of.excellence_weight,
        diversity_weight = of.diversity_weight,
        scoring_pathway = of.scoring_pathway.as_str(),
        pathway_details = of.pathway_details,
        multi_task_bonus = of.multi_task_bonus,
        excellence_qualified_tasks = serde_json::json!(of.excellence_qualified_tasks),
        tasks_attempted = of.tasks_attempted,
        tasks_completed = of.tasks_completed,
        tasks_scored = of.tasks_scored,
        success_rate = of.success_rate,
        average_score = of.average_score,
        rank = of.rank,
        trend = of.trend,
        policy_hash = row.policy_hash,
        digest = digest(of, chain),
        computed_at = row.computed_at,
        submitted_weight = chain.submitted_weight,
        validator_hotkey = chain.validator_hotkey.as_ref().map(|key| key.as_str()),
        weight_submission_block = chain.weight_submission_block,
        incentive = chain.incentive,
        consensus_rank = chain.consensus_rank,
        consensus_block = chain.consensus_block,
        submissions = (!chain.submissions.is_empty()).then(|| serde_json::json!(chain.submissions)),
    )
}

fn kinds(row: &PerformanceRow) -> Vec<String> {
    let kind = |(place, of): (i32, &crate::domain::weights::KindPerformance)| {
        line!(
            registration_id = row.record.registration.0,
            period_type = row.period.as_str(),
            period_start = row.start,
            kind = of.kind,
            place = place,
            score = of.score,
            attempted = of.attempted,
            completed = of.completed,
            scored = of.scored,
            weight_contribution = of.weight_contribution,
            percentile_rank = of.percentile_rank,
            rank = of.rank,
            best = of.best,
            latest = of.latest,
        )
    };
    (0..).zip(&row.record.kinds).map(kind).collect()
}
