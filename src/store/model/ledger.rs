//! The ledger's sums.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::dump::{Dump, line};
use super::{Cell, Tables};
use crate::domain::ids::{MinerUid, RegistrationId, ValidatorId};
use crate::domain::period::{day_of, hour_of};
use crate::domain::units::{DAY, HOUR, Millis, Score};
use crate::store::history::PRUNED_MILLIS;
use crate::store::{
    HourSum, Prune, PushedScore, PutHour, PutScores, RegistrationRow, ScoreBucket, ScoreHours,
    ScorePut, ScoreSum, ScoredHour, WorkDay, WorkSum,
};

/// Who scored whose work of which kind, and when.
pub(super) type PushedKey = (ValidatorId, RegistrationId, String, Millis);

/// The rest of a pushed score.
#[derive(Debug)]
pub(super) struct Pushed {
    score: Score,
    block: Option<i64>,
    received_at: Millis,
}

/// Attempted and completed.
pub(super) type Work = (i64, i64);

impl Tables {
    /// Of the scores under one key the first stands; only that one is added to the sums.
    pub(super) fn put_scores(&mut self, command: &PutScores) -> Vec<ScorePut> {
        let voice = command.validator;
        let put = |score: &PushedScore| {
            let (registration, kind, at) = (score.registration, &score.kind, score.scored_at);
            let fresh = match self.pushed_scores.entry((voice, registration, kind.clone(), at)) {
                Entry::Occupied(stands) if stands.get().score == score.score => {
                    return ScorePut::Same;
                }
                Entry::Occupied(_) => return ScorePut::Conflict,
                Entry::Vacant(fresh) => fresh,
            };
            let (block, received_at) = (score.block, command.now);
            fresh.insert(Pushed { score: score.score, block, received_at });
            let hour = (hour_of(at), registration, kind.clone(), Some(voice));
            let day = (registration, kind.clone(), day_of(at), voice);
            for sum in
                [self.score_hours.entry(hour).or_default(), self.voice_days.entry(day).or_default()]
            {
                sum.scored += 1;
                sum.score_sum += score.score.millionths();
            }
            ScorePut::New
        };
        command.scores.iter().map(put).collect()
    }

    /// What stood of our own for the hour goes.
    pub(super) fn put_hour(&mut self, PutHour { hour, sums }: PutHour) {
        self.score_hours.retain(|(of, _, _, voice), _| *of != hour || voice.is_some());
        for HourSum { registration, kind, scored, score_sum } in sums {
            self.score_hours
                .insert((hour, registration, kind, None), ScoreSum { scored, score_sum });
        }
    }

    pub(super) fn add_work(&mut self, of: WorkDay) {
        let work = self.work_days.entry((of.registration, of.kind, of.day)).or_default();
        *work = (work.0 + of.attempted, work.1 + of.completed);
    }

    pub(super) fn summed_hour(&self) -> Option<i64> {
        let own = self.score_hours.keys().filter(|(.., voice)| voice.is_none());
        own.map(|(hour, ..)| *hour).max()
    }

    pub(super) fn hour_of_scores(&self, hours: ScoreHours) -> Option<PutHour> {
        let within = self.scores.values().map(|score| (hour_of(score.scored_at), score));
        let within = within.filter(|(hour, _)| (hours.from..hours.to).contains(hour));
        let hour = within.clone().map(|(hour, _)| hour).min()?;
        let mut sums: BTreeMap<(RegistrationId, &str), ScoreSum> = BTreeMap::new();
        for (_, score) in within.filter(|(of, _)| *of == hour) {
            let sum = sums.entry((score.registration, &score.kind)).or_default();
            sum.scored += 1;
            sum.score_sum += score.score.millionths();
        }
        let sums = sums.into_iter().map(|((registration, kind), sum)| {
            let ScoreSum { scored, score_sum } = sum;
            HourSum { registration, kind: kind.to_owned(), scored, score_sum }
        });
        Some(PutHour { hour, sums: sums.collect() })
    }

    /// Of each table a day's rows at most.
    pub(super) fn prune_ledger(&mut self, before: Prune) -> u64 {
        let Prune { scores, hours, days, .. } = before;
        let mut gone = 0;
        gone += forget(&mut self.scores, 1, scores, |_, row| row.scored_at.0);
        gone += forget(&mut self.pushed_scores, 1, hours, |(.., at), _| at.0);
        gone += forget(&mut self.score_hours, HOUR, hours, |(hour, ..), _| *hour);
        gone += forget(&mut self.voice_days, DAY, days, |(_, _, day, _), _| *day);
        gone += forget(&mut self.work_days, DAY, days, |(.., day), _| *day);
        gone
    }

    pub(super) fn score_hours(&self, hours: ScoreHours) -> Vec<ScoreBucket> {
        let within = self.score_hours.iter();
        let within = within.filter(|((hour, ..), _)| (hours.from..hours.to).contains(hour));
        let mut buckets: Vec<_> = within
            .map(|((hour, registration, kind, voice), sum)| {
                bucket(*registration, kind, *voice, *hour, *sum)
            })
            .collect();
        buckets.sort();
        buckets
    }

    pub(super) fn scored_hours(&self, hours: ScoreHours) -> Vec<ScoredHour> {
        let all = self.score_hours(hours).into_iter();
        let all: BTreeSet<_> =
            all.map(|ScoreBucket { voice, hour, .. }| ScoredHour { voice, hour }).collect();
        all.into_iter().collect()
    }

    pub(super) fn score_days(&self, from_day: i64, to_day: i64) -> Vec<ScoreBucket> {
        let own = self.score_days.iter();
        let own = own.map(|((registration, kind, day), sum)| {
            (*day, bucket(*registration, kind, None, day * 24, *sum))
        });
        let pushed = self.voice_days.iter().map(|((registration, kind, day, voice), sum)| {
            (*day, bucket(*registration, kind, Some(*voice), day * 24, *sum))
        });
        let within = own.chain(pushed).filter(|(day, _)| (from_day..to_day).contains(day));
        let mut buckets: Vec<_> = within.map(|(_, bucket)| bucket).collect();
        buckets.sort();
        buckets
    }

    pub(super) fn work(&self, from_day: i64, to_day: i64) -> Vec<WorkSum> {
        let mut sums: BTreeMap<(RegistrationId, &str), Work> = BTreeMap::new();
        for ((registration, kind, day), (attempted, completed)) in &self.work_days {
            if (from_day..to_day).contains(day) {
                let sum = sums.entry((*registration, kind)).or_default();
                *sum = (sum.0 + attempted, sum.1 + completed);
            }
        }
        let sums = sums.into_iter().map(|((registration, kind), (attempted, completed))| WorkSum {
            registration,
            kind: kind.to_owned(),
            attempted,
            completed,
        });
        sums.collect()
    }

    pub(super) fn registered(&self, uids: &[MinerUid]) -> Vec<RegistrationRow> {
        let rows = self.registrations.values().map(|known| &known.row);
        let open = rows.filter(|row| row.closed_at.is_none() && uids.contains(&row.uid));
        let mut open: Vec<_> = open.cloned().collect();
        open.sort_by_key(|row| row.uid);
        open
    }

    pub(super) fn dump_ledger(&self, dump: &mut Dump) {
        let pushed = self.pushed_scores.iter().map(|((validator, registration, kind, at), row)| {
            line!(
                validator_id = validator.0,
                registration_id = registration.0,
                kind = kind,
                scored_at = *at,
                score = row.score,
                block = row.block,
                received_at = row.received_at,
            )
        });
        dump.table("pushed_score", pushed.collect());
        let hours = self.score_hours.iter().map(|((hour, registration, kind, voice), sum)| {
            line!(
                hour = *hour,
                registration_id = registration.0,
                kind = kind,
                voice = voice.map_or(Uuid::nil(), |voice| voice.0),
                scored = sum.scored,
                score_sum = sum.score_sum,
            )
        });
        dump.table("score_hour", hours.collect());
        let days = self.voice_days.iter().map(|((registration, kind, day, voice), sum)| {
            line!(
                registration_id = registration.0,
                kind = kind,
                day = *day,
                voice = voice.0,
                scored = sum.scored,
                score_sum = sum.score_sum,
            )
        });
        dump.table("voice_day", days.collect());
        let work = self.work_days.iter().map(|((registration, kind, day), work)| {
            line!(
                registration_id = registration.0,
                kind = kind,
                day = *day,
                attempted = work.0,
                completed = work.1,
            )
        });
        dump.table("work_day", work.collect());
    }
}

/// Takes rows out of a table whose time, in units of so many milliseconds, is past.
fn forget<K: Ord, V>(
    table: &mut BTreeMap<K, V>,
    unit: i64,
    before: Millis,
    time: impl Fn(&K, &V) -> i64,
) -> u64 {
    let Some(oldest) = table.iter().map(|(key, row)| time(key, row)).min() else { return 0 };
    let step = (PRUNED_MILLIS / unit).max(1);
    let before = before.0.div_euclid(unit).min(oldest.saturating_add(step));
    let had = table.len();
    table.retain(|key, row| time(key, row) >= before);
    (had - table.len()) as u64
}

fn bucket(
    registration: RegistrationId,
    kind: &str,
    voice: Option<ValidatorId>,
    hour: i64,
    sum: ScoreSum,
) -> ScoreBucket {
    let ScoreSum { scored, score_sum } = sum;
    ScoreBucket { registration, kind: kind.to_owned(), voice, hour, scored, score_sum }
}
