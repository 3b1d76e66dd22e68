//! The ledger's sums. They are put in order here: databases do not agree on the order of texts.

use sea_orm::{ConnectionTrait, DatabaseConnection, Value};
use uuid::Uuid;

use super::dialect::statement;
use super::row::get;
use crate::domain::ids::{RegistrationId, ValidatorId};
use crate::store::{ScoreBucket, ScoreHours, StoreResult, WorkSum};

/// How this server's own voice stands in tables.
const OWN: Uuid = Uuid::nil();

const HOURS: &str = "SELECT registration_id, kind, voice, hour, scored, score_sum \
                     FROM score_hour WHERE hour >= $1 AND hour < $2";

/// Scores by hour.
pub(super) async fn score_hours(
    db: &DatabaseConnection,
    ScoreHours { from, to }: ScoreHours,
) -> StoreResult<Vec<ScoreBucket>> {
    buckets(db, HOURS, [from.into(), to.into()]).await
}

const DAYS: &str = "SELECT registration_id, kind, $1, day * 24, scored, score_sum \
                    FROM score_day WHERE day < $2 \
                    UNION ALL SELECT registration_id, kind, voice, day * 24, scored, score_sum \
                    FROM voice_day WHERE day < $2";

/// Scores by day, our own and pushed ones.
pub(super) async fn score_days(
    db: &DatabaseConnection,
    to_day: i64,
) -> StoreResult<Vec<ScoreBucket>> {
    buckets(db, DAYS, [OWN.into(), to_day.into()]).await
}

async fn buckets(
    db: &DatabaseConnection,
    text: &str,
    values: [Value; 2],
) -> StoreResult<Vec<ScoreBucket>> {
    let rows = db.query_all_raw(statement(db, text, values)).await?;
    let mut buckets = Vec::with_capacity(rows.len());
    for row in rows {
        let voice: Uuid = get(&row, 2)?;
        buckets.push(ScoreBucket {
            registration: RegistrationId(get(&row, 0)?),
            kind: get(&row, 1)?,
            voice: (voice != OWN).then_some(ValidatorId(voice)),
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
