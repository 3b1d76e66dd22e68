//! The records of miners by period: those of running periods hour by hour, those of ended ones for a
//! day more, since validators may be late. What is left to make is seen from the records that stand, so that a server that was down
//! makes up for it. What the chain made of a weight is as it was known at the period's end, so that
//! records that are made late are the same; news of it has those of running periods made anew.

use std::collections::BTreeMap;
use std::time::Instant;

use super::runs::{Work, buckets, given, known, owners, unusable};
use crate::domain::chain::{Weighed, credit};
use crate::domain::limits::RECORDS_LATE_HOURS;
use crate::domain::period::{Period, begin_of, day_of};
use crate::domain::units::{HOUR, Millis};
use crate::domain::weights::{Grain, PeriodInput, performances, standings};
use crate::store::{AverageScores, PutRecords, RegistrationRow, StoreResult, SubmissionRow};

/// By type, the first day of the oldest period that may still change; nothing before the first look.
pub(super) type Made = BTreeMap<Period, i64>;

/// One period of a type. Days since the Unix epoch, half-open.
struct Span {
    period: Period,
    first: i64,
    end: i64,
}

/// Makes what is left to make.
pub(super) async fn make(work: &mut Work) -> StoreResult<()> {
    if work.made.is_empty() {
        work.made = left(work).await?;
    }
    for &period in Period::ALL {
        match period {
            Period::AllTime => all_time(work).await?,
            Period::Daily | Period::Weekly | Period::Monthly => {
                ended_and_running(work, period).await?;
            }
        }
    }
    Ok(())
}

/// Makes the records of the running periods anew. All time is of whole days: it has no news yet.
pub(super) async fn again(work: &mut Work) -> StoreResult<()> {
    if !work.deps.config.weights.enable_realtime_updates {
        return Ok(());
    }
    for period in [Period::Daily, Period::Weekly, Period::Monthly] {
        let (first, end) = period.days(Millis((work.to - 1) * HOUR));
        if end * 24 > work.to {
            let before = before(work, period, first).await?;
            put(work, &Span { period, first, end }, before).await?;
        }
    }
    Ok(())
}

/// The average scores of the period before the one that begins on this day.
async fn before(work: &Work, period: Period, first: i64) -> StoreResult<AverageScores> {
    let before = period.days(begin_of(first - 1)).0;
    work.deps.store.average_scores(period, begin_of(before)).await
}

/// What the records that stand leave to make: each type from its newest period on, or from the oldest
/// scores.
async fn left(work: &Work) -> StoreResult<Made> {
    let newest = work.deps.store.newest_periods().await?;
    let mut oldest = work.to - work.deps.config.weights.retention_hours();
    if newest.is_empty() {
        let (from, to) = (oldest.div_euclid(24), (work.to - 1).div_euclid(24) + 1);
        let all = work.deps.store.score_days(from, to).await?;
        let first = all.iter().map(|row| row.hour).min().unwrap_or(work.to - 1);
        oldest = oldest.max(first);
    }
    let oldest = Millis(oldest * HOUR);
    let mut made: Made = Period::ALL.iter().map(|&of| (of, of.days(oldest).0)).collect();
    // Periods that ended lately may have got scores since.
    let late = Millis((work.to - RECORDS_LATE_HOURS) * HOUR);
    made.extend(newest.into_iter().map(|(of, start)| (of, day_of(start).min(of.days(late).0))));
    // All time has no next one: it is made anew.
    made.insert(Period::AllTime, i64::MIN);
    Ok(made)
}

/// Every period of a type from the oldest that may still change to the running one.
async fn ended_and_running(work: &mut Work, period: Period) -> StoreResult<()> {
    let realtime = work.deps.config.weights.enable_realtime_updates;
    let mut next = work.made.get(&period).copied().unwrap_or(i64::MAX);
    loop {
        let (first, end) = period.days(begin_of(next));
        if first * 24 >= work.to {
            return Ok(());
        }
        let ended = end * 24 <= work.to;
        if ended || realtime {
            let before = before(work, period, first).await?;
            put(work, &Span { period, first, end }, before).await?;
        }
        if !ended {
            return Ok(());
        }
        if end * 24 + RECORDS_LATE_HOURS <= work.to {
            work.made.insert(period, end);
        }
        next = end;
    }
}

/// All time, of whole days: once a day.
async fn all_time(work: &mut Work) -> StoreResult<()> {
    let today = work.to.div_euclid(24);
    if work.made.get(&Period::AllTime).is_some_and(|made| *made >= today) {
        return Ok(());
    }
    let (first, _) = Period::AllTime.days(Millis(0));
    put(work, &Span { period: Period::AllTime, first, end: today }, AverageScores::new()).await?;
    work.made.insert(Period::AllTime, today);
    Ok(())
}

async fn put(work: &mut Work, span: &Span, before: AverageScores) -> StoreResult<()> {
    let grain = match span.period {
        Period::Daily => Grain::Hour,
        Period::Weekly | Period::Monthly | Period::AllTime => Grain::Day,
    };
    let scores = match span.period {
        Period::AllTime => work.deps.store.score_days(span.first, span.end).await?,
        Period::Daily | Period::Weekly | Period::Monthly => {
            work.sums.of(span.first * 24, work.to.min(span.end * 24), grain).await?
        }
    };
    let tasks = work.deps.store.work(span.first, span.end).await?;
    if scores.is_empty() && tasks.is_empty() {
        return Ok(());
    }
    work.rest().await;
    let known = known(&work.deps, &scores, &tasks).await?;
    let owners = owners(&known);
    let now = work.deps.clock.now();
    // What was heard at this very moment counts.
    let at = begin_of(span.end).min(now.plus(1));
    let config = &work.deps.config;
    let snapshot = work.deps.store.metagraph_before(config.netuid, at).await?;
    let submissions = work.deps.store.submissions_before(config.netuid, at).await?;
    let kinds = config.weighted_kinds();
    let detailed = config.weights.enable_detailed_pathways;
    let (policy, scores) = (work.deps.config.weights.figures(), buckets(scores));
    let standings = standings(&policy, &kinds, grain, &scores, &given(tasks));
    let (kinds, standings, owners, before) = (&kinds, &standings, &owners, &before);
    let input = PeriodInput { policy: &policy, kinds, standings, owners, before, detailed };
    let records = performances(&input).map_err(unusable)?;
    let miners: Vec<_> = known.into_iter().map(weighed).collect();
    let vectors: Vec<_> = submissions.iter().map(SubmissionRow::vector).collect();
    let chain = credit(&vectors, snapshot.as_ref().map(|row| &*row.snapshot), &miners);
    work.rest().await;
    let (_, end) = span.period.days(begin_of(span.first));
    let put = PutRecords {
        period: span.period,
        start: begin_of(span.first),
        end: begin_of(end),
        policy_hash: policy.hash(),
        now,
        records,
        chain,
    };
    let began = Instant::now();
    let changed = work.deps.store.put_records(put).await?;
    work.wrote(began);
    work.rest().await;
    metrics::counter!(crate::telemetry::WEIGHTS_RECORDS).increment(changed);
    Ok(())
}

fn weighed(row: RegistrationRow) -> Weighed {
    let RegistrationRow { id, uid, hotkey, registered_block, closed_at, .. } = row;
    Weighed { registration: id, uid, hotkey, registered_block, closed_at }
}
