//! The ledger's sums, and the pushed scores that some are made of. Sums are put in order here:
//! databases do not agree on the order of texts.

use std::collections::{BTreeMap, BTreeSet};

use pithead_entities as e;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait,
    QueryFilter, Value,
};
use uuid::Uuid;

use super::dialect::{Batch, Cast, chunks, statement};
use super::row::{self, get};
use super::writer::Waiting;
use crate::domain::ids::{MinerUid, RegistrationId, ValidatorId};
use crate::domain::period::{day_of, hour_of};
use crate::domain::units::{DAY, HOUR, Millis};
use crate::store::history::PRUNED_MILLIS;
use crate::store::{
    HourSum, Prune, PushedScore, PutHour, PutScores, RegistrationRow, ScoreBucket, ScoreHours,
    ScorePut, ScoredHour, StoreError, StoreResult, WorkDay, WorkSum,
};

/// How this server's own voice stands in tables.
const OWN: Uuid = Uuid::nil();

pub(super) const HOURS: &str = "SELECT registration_id, kind, voice, hour, scored, score_sum \
                     FROM score_hour WHERE hour >= $1 AND hour < $2";

/// Scores by hour.
pub(super) async fn score_hours(
    db: &DatabaseConnection,
    ScoreHours { from, to }: ScoreHours,
) -> StoreResult<Vec<ScoreBucket>> {
    buckets(db, HOURS, [from.into(), to.into()]).await
}

/// Who scored when.
pub(super) async fn scored_hours(
    db: &DatabaseConnection,
    ScoreHours { from, to }: ScoreHours,
) -> StoreResult<Vec<ScoredHour>> {
    let text = "SELECT DISTINCT voice, hour FROM score_hour WHERE hour >= $1 AND hour < $2";
    let mut hours = Vec::new();
    for row in db.query_all_raw(statement(db, text, [from.into(), to.into()])).await? {
        hours.push(ScoredHour { voice: voice(get(&row, 0)?), hour: get(&row, 1)? });
    }
    Ok(hours)
}

fn voice(id: Uuid) -> Option<ValidatorId> {
    (id != OWN).then_some(ValidatorId(id))
}

pub(super) const DAYS: &str = "SELECT registration_id, kind, $1, day * 24, scored, score_sum \
                    FROM score_day WHERE day >= $2 AND day < $3 \
                    UNION ALL SELECT registration_id, kind, voice, day * 24, scored, score_sum \
                    FROM voice_day WHERE day >= $2 AND day < $3";

/// Scores by day, our own and pushed ones.
pub(super) async fn score_days(
    db: &DatabaseConnection,
    from_day: i64,
    to_day: i64,
) -> StoreResult<Vec<ScoreBucket>> {
    buckets(db, DAYS, [OWN.into(), from_day.into(), to_day.into()]).await
}

async fn buckets<const N: usize>(
    db: &DatabaseConnection,
    text: &str,
    values: [Value; N],
) -> StoreResult<Vec<ScoreBucket>> {
    let rows = db.query_all_raw(statement(db, text, values)).await?;
    let mut buckets = Vec::with_capacity(rows.len());
    for row in rows {
        buckets.push(ScoreBucket {
            registration: RegistrationId(get(&row, 0)?),
            kind: get(&row, 1)?,
            voice: voice(get(&row, 2)?),
            hour: get(&row, 3)?,
            scored: get(&row, 4)?,
            score_sum: get(&row, 5)?,
        });
    }
    buckets.sort_unstable();
    Ok(buckets)
}

const WORK: &str = "SELECT registration_id, kind, CAST(SUM(attempted) AS bigint), \
                    CAST(SUM(completed) AS bigint) FROM work_day WHERE day >= $1 AND day < $2 \
                    GROUP BY registration_id, kind";

/// Work summed over days.
pub(super) async fn work(
    db: &DatabaseConnection,
    from_day: i64,
    to_day: i64,
) -> StoreResult<Vec<WorkSum>> {
    let mut sums = Vec::new();
    for row in db.query_all_raw(statement(db, WORK, [from_day.into(), to_day.into()])).await? {
        sums.push(WorkSum {
            registration: RegistrationId(get(&row, 0)?),
            kind: get(&row, 1)?,
            attempted: get(&row, 2)?,
            completed: get(&row, 3)?,
        });
    }
    sums.sort_unstable();
    Ok(sums)
}

/// Open registrations of these uids.
pub(super) async fn registered(
    db: &DatabaseConnection,
    uids: Vec<MinerUid>,
) -> StoreResult<Vec<RegistrationRow>> {
    use e::registration::{Column, Entity};
    let mut open = Vec::with_capacity(uids.len());
    for uids in chunks(uids) {
        let of = Column::Uid.is_in(uids.into_iter().map(|uid| i32::from(uid.0)));
        let rows = Entity::find().filter(of).filter(Column::ClosedAt.is_null()).all(db).await?;
        for row in rows {
            open.push(row::registration(row)?);
        }
    }
    open.sort_by_key(|row| row.uid);
    Ok(open)
}

/// The newest hour with sums of our own scores.
pub(super) async fn summed_hour(db: &DatabaseConnection) -> StoreResult<Option<i64>> {
    let row = db.query_one_raw(statement(db, SUMMED, [OWN.into()])).await?;
    Ok(row.map(|row| get(&row, 0)).transpose()?.flatten())
}

pub(super) const SUMMED: &str = "SELECT MAX(hour) FROM score_hour WHERE voice = $1";

pub(super) const FIRST: &str = "SELECT MIN(scored_at) FROM score \
                                WHERE scored_at >= $1 AND scored_at < $2";
pub(super) const SUMS: &str = "SELECT registration_id, kind, COUNT(*), CAST(SUM(score) AS bigint) \
                               FROM score WHERE scored_at >= $1 AND scored_at < $2 \
                               GROUP BY registration_id, kind";

/// The oldest of these hours in which we scored, summed.
pub(super) async fn hour_of_scores(
    db: &DatabaseConnection,
    ScoreHours { from, to }: ScoreHours,
) -> StoreResult<Option<PutHour>> {
    let within = |from: i64, to: i64| [from, to].map(|hour| hour.saturating_mul(HOUR).into());
    let first = db.query_one_raw(statement(db, FIRST, within(from, to))).await?;
    let first: Option<i64> = first.map(|row| get(&row, 0)).transpose()?.flatten();
    let Some(hour) = first.map(|at| hour_of(Millis(at))) else { return Ok(None) };
    let mut sums = Vec::new();
    for row in db.query_all_raw(statement(db, SUMS, within(hour, hour + 1))).await? {
        sums.push(HourSum {
            registration: RegistrationId(get(&row, 0)?),
            kind: get(&row, 1)?,
            scored: get(&row, 2)?,
            score_sum: get(&row, 3)?,
        });
    }
    sums.sort_unstable();
    Ok(Some(PutHour { hour, sums }))
}

const PUT_SCORE: Batch = Batch {
    columns: &[
        ("validator_id", Cast::Uuid),
        ("registration_id", Cast::Uuid),
        ("kind", Cast::Text),
        ("scored_at", Cast::Big),
        ("score", Cast::Big),
        ("block", Cast::Big),
        ("received_at", Cast::Big),
    ],
    body: "INSERT INTO pushed_score \
           (validator_id, registration_id, kind, scored_at, score, block, received_at) \
           SELECT validator_id, registration_id, kind, scored_at, score, block, received_at FROM v \
           WHERE true ON CONFLICT (validator_id, registration_id, kind, scored_at) DO NOTHING \
           RETURNING validator_id, registration_id, kind, scored_at",
};

const STANDING: Batch = Batch {
    columns: &[
        ("validator_id", Cast::Uuid),
        ("registration_id", Cast::Uuid),
        ("kind", Cast::Text),
        ("scored_at", Cast::Big),
    ],
    body: "SELECT p.validator_id, p.registration_id, p.kind, p.scored_at, p.score \
           FROM pushed_score p JOIN v ON p.validator_id = v.validator_id \
           AND p.registration_id = v.registration_id AND p.kind = v.kind \
           AND p.scored_at = v.scored_at",
};

/// Who scored whose work of which kind, and when.
type Key = (Uuid, Uuid, String, i64);

fn key_of(validator: ValidatorId, score: &PushedScore) -> Key {
    (validator.0, score.registration.0, score.kind.clone(), score.scored_at.0)
}

fn key_in(row: &sea_orm::QueryResult) -> StoreResult<Key> {
    Ok((get(row, 0)?, get(row, 1)?, get(row, 2)?, get(row, 3)?))
}

/// Takes scores of validators. Of those under one key the first stands.
pub(super) async fn put_scores(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutScores, Vec<ScorePut>>],
) -> StoreResult<()> {
    let mut asked: BTreeMap<Key, (&PushedScore, Millis)> = BTreeMap::new();
    for PutScores { validator, scores, now, .. } in
        waiting.iter().filter(|w| w.is_open()).map(|w| &w.command)
    {
        for score in scores {
            asked.entry(key_of(*validator, score)).or_insert((score, *now));
        }
    }
    let row =
        |((validator, registration, kind, at), (score, now)): (&Key, &(&PushedScore, Millis))| {
            vec![
                (*validator).into(),
                (*registration).into(),
                kind.as_str().into(),
                (*at).into(),
                score.score.millionths().into(),
                score.block.into(),
                now.0.into(),
            ]
        };
    let mut new = BTreeSet::new();
    for row in PUT_SCORE.run(tx, asked.iter().map(row).collect()).await? {
        new.insert(key_in(&row)?);
    }
    add_pushed(tx, asked.iter().filter(|(key, _)| new.contains(key)).map(|(k, (s, _))| (k, *s)))
        .await?;
    let before = asked.keys().filter(|key| !new.contains(key));
    let before = before.map(|(validator, registration, kind, at)| {
        vec![(*validator).into(), (*registration).into(), kind.as_str().into(), (*at).into()]
    });
    let mut standing: BTreeMap<Key, i64> = BTreeMap::new();
    for row in STANDING.run(tx, before.collect()).await? {
        standing.insert(key_in(&row)?, get(&row, 4)?);
    }
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let mut answer = Vec::with_capacity(waiting.command.scores.len());
        for score in &waiting.command.scores {
            let (key, value) = (key_of(waiting.command.validator, score), score.score.millionths());
            answer.push(if new.remove(&key) {
                standing.insert(key, value);
                ScorePut::New
            } else {
                match standing.get(&key) {
                    Some(stands) if *stands == value => ScorePut::Same,
                    Some(_) => ScorePut::Conflict,
                    None => return Err(StoreError::Corrupt("a pushed score is gone".to_owned())),
                }
            });
        }
        waiting.answer(answer);
    }
    Ok(())
}

const ADD_HOUR: Batch = Batch {
    columns: &[
        ("hour", Cast::Big),
        ("registration_id", Cast::Uuid),
        ("kind", Cast::Text),
        ("voice", Cast::Uuid),
        ("n", Cast::Big),
        ("sum", Cast::Big),
    ],
    body: "INSERT INTO score_hour (hour, registration_id, kind, voice, scored, score_sum) \
           SELECT hour, registration_id, kind, voice, n, sum FROM v WHERE true \
           ON CONFLICT (hour, registration_id, kind, voice) DO UPDATE SET \
           scored = score_hour.scored + excluded.scored, \
           score_sum = score_hour.score_sum + excluded.score_sum",
};

const ADD_DAY: Batch = Batch {
    columns: &[
        ("day", Cast::Big),
        ("registration_id", Cast::Uuid),
        ("kind", Cast::Text),
        ("voice", Cast::Uuid),
        ("n", Cast::Big),
        ("sum", Cast::Big),
    ],
    body: "INSERT INTO voice_day (registration_id, kind, day, voice, scored, score_sum) \
           SELECT registration_id, kind, day, voice, n, sum FROM v WHERE true \
           ON CONFLICT (registration_id, kind, day, voice) DO UPDATE SET \
           scored = voice_day.scored + excluded.scored, \
           score_sum = voice_day.score_sum + excluded.score_sum",
};

/// Adds new scores to the sums of their hours and days.
async fn add_pushed<'a>(
    tx: &DatabaseTransaction,
    new: impl Iterator<Item = (&'a Key, &'a PushedScore)>,
) -> StoreResult<()> {
    type Sums<'a> = BTreeMap<(i64, Uuid, &'a str, Uuid), (i64, i64)>;
    let (mut hours, mut days) = (Sums::new(), Sums::new());
    for ((voice, registration, kind, _), score) in new {
        let at = score.scored_at;
        for (sums, place) in [(&mut hours, hour_of(at)), (&mut days, day_of(at))] {
            let sum = sums.entry((place, *registration, kind, *voice)).or_default();
            sum.0 += 1;
            sum.1 += score.score.millionths();
        }
    }
    for (add, sums) in [(ADD_HOUR, hours), (ADD_DAY, days)] {
        let rows = sums.into_iter().map(|((place, registration, kind, voice), (n, sum))| {
            vec![place.into(), registration.into(), kind.into(), voice.into(), n.into(), sum.into()]
        });
        add.run(tx, rows.collect()).await?;
    }
    Ok(())
}

/// Writes the sums of our own scores of an hour, in place of those that stood for it.
pub(super) async fn put_hours(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutHour, ()>],
) -> StoreResult<()> {
    let gone = "DELETE FROM score_hour WHERE hour = $1 AND voice = $2";
    for waiting in waiting {
        let PutHour { hour, sums } = &waiting.command;
        tx.execute_raw(statement(tx, gone, [(*hour).into(), OWN.into()])).await?;
        let row = |sum: &HourSum| {
            vec![
                (*hour).into(),
                sum.registration.0.into(),
                sum.kind.as_str().into(),
                OWN.into(),
                sum.scored.into(),
                sum.score_sum.into(),
            ]
        };
        ADD_HOUR.run(tx, sums.iter().map(row).collect()).await?;
        waiting.answer(());
    }
    Ok(())
}

const ADD_WORK: Batch = Batch {
    columns: &[
        ("registration_id", Cast::Uuid),
        ("kind", Cast::Text),
        ("day", Cast::Big),
        ("attempted", Cast::Big),
        ("completed", Cast::Big),
    ],
    body: "INSERT INTO work_day (registration_id, kind, day, attempted, completed) \
           SELECT registration_id, kind, day, attempted, completed FROM v WHERE true \
           ON CONFLICT (registration_id, kind, day) DO UPDATE SET \
           attempted = work_day.attempted + excluded.attempted, \
           completed = work_day.completed + excluded.completed",
};

/// Adds to the work of miners by day.
pub(super) async fn add_work(tx: &DatabaseTransaction, work: &[WorkDay]) -> StoreResult<()> {
    // PostgreSQL refuses to touch a row twice in one statement.
    let mut sums: BTreeMap<(Uuid, &str, i64), (i64, i64)> = BTreeMap::new();
    for of in work {
        let sum = sums.entry((of.registration.0, &of.kind, of.day)).or_default();
        *sum = (sum.0 + of.attempted, sum.1 + of.completed);
    }
    let rows = sums.into_iter().map(|((registration, kind, day), (attempted, completed))| {
        vec![registration.into(), kind.into(), day.into(), attempted.into(), completed.into()]
    });
    ADD_WORK.run(tx, rows.collect()).await?;
    Ok(())
}

/// Table, its column of time, how long one unit of that is, and before which moment rows go.
fn forgotten(before: Prune) -> [(&'static str, &'static str, i64, Millis); 5] {
    [
        ("score", "scored_at", 1, before.scores),
        ("pushed_score", "scored_at", 1, before.hours),
        ("score_hour", "hour", HOUR, before.hours),
        ("voice_day", "day", DAY, before.days),
        ("work_day", "day", DAY, before.days),
    ]
}

/// The first time in a table.
async fn oldest(db: &impl ConnectionTrait, table: &str, column: &str) -> StoreResult<Option<i64>> {
    let text = format!("SELECT MIN({column}) FROM {table}");
    let row = db.query_one_raw(statement(db, &text, [])).await?;
    Ok(row.map(|row| get(&row, 0)).transpose()?.flatten())
}

/// Whether there are scores or sums past their time.
pub(super) async fn anything_old(db: &DatabaseConnection, before: Prune) -> StoreResult<bool> {
    for (table, column, unit, before) in forgotten(before) {
        let oldest = oldest(db, table, column).await?;
        if oldest.is_some_and(|oldest| oldest < before.0.div_euclid(unit)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Forgets scores and sums past their time, of each table a day's at most; how many rows went.
pub(super) async fn prune(tx: &DatabaseTransaction, before: Prune) -> StoreResult<u64> {
    let mut gone = 0;
    for (table, column, unit, before) in forgotten(before) {
        let Some(oldest) = oldest(tx, table, column).await? else { continue };
        let step = (PRUNED_MILLIS / unit).max(1);
        let before = before.0.div_euclid(unit).min(oldest.saturating_add(step));
        let text = format!("DELETE FROM {table} WHERE {column} < $1");
        gone += tx.execute_raw(statement(tx, &text, [before.into()])).await?.rows_affected();
    }
    Ok(gone)
}
