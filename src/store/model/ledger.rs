//! The ledger's sums.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::dump::{Dump, line};
use super::{Cell, Tables};
use crate::domain::ids::{RegistrationId, ValidatorId};
use crate::domain::units::{Millis, Score};
use crate::store::{ScoreBucket, ScoreHours, ScoreSum, WorkSum};

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

    pub(super) fn score_days(&self, to_day: i64) -> Vec<ScoreBucket> {
        let own = self.score_days.iter();
        let own = own.map(|((registration, kind, day), sum)| {
            (*day, bucket(*registration, kind, None, day * 24, *sum))
        });
        let pushed = self.voice_days.iter().map(|((registration, kind, day, voice), sum)| {
            (*day, bucket(*registration, kind, Some(*voice), day * 24, *sum))
        });
        let before = own.chain(pushed).filter(|(day, _)| *day < to_day);
        let mut buckets: Vec<_> = before.map(|(_, bucket)| bucket).collect();
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
