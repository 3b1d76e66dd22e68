//! The Stats actor sums each hour's own scores once it is over.

use std::sync::Arc;

use actix::prelude::*;
use pithead::actors::stats::{Stats, SumHours, TakeEvaluation};
use pithead::actors::{Actors, Deps};
use pithead::config::Config;
use pithead::domain::period::hour_of;
use pithead::domain::units::{DAY, HOUR, MINUTE, Millis};
use pithead::outside::Clock;
use pithead::store::model::ModelStore;
use pithead::store::*;
use sqlx::{Connection, Executor};

use super::make::*;

/// 100 s into an hour.
const THEN: Millis = Millis(500_000 * HOUR + 100_000);

fn deps(store: Arc<dyn Store>, now: Millis) -> Arc<Deps> {
    let clock = Clock::default();
    clock.advance(now.since(clock.now()));
    let config = Arc::new(Config::default());
    let kinds = Arc::new(config.kinds());
    Deps::new(store, clock, config, kinds)
}

fn stats(deps: &Arc<Deps>) -> Addr<Stats> {
    Stats::new(deps.clone()).start()
}

/// Task `n` approved at a moment, with a score for miner 1.
async fn scored(store: &dyn Store, n: u128, moment: Millis) {
    done(store, n, 1).await;
    store.evaluate(Evaluate { now: moment, ..evaluate(n, 1, &[(0, 80)]) }).await.unwrap();
}

/// Waits for the look that each start makes, and for those before.
async fn look(stats: &Addr<Stats>) -> StoreResult<u64> {
    stats.send(SumHours).await.unwrap()
}

async fn settled(stats: &Addr<Stats>) {
    // A look that comes while another one runs does nothing: what it was to do is done by that.
    for _ in 0..3 {
        look(stats).await.unwrap();
        tokio::task::yield_now().await;
    }
}

async fn hours(store: &dyn Store) -> Vec<(i64, i64)> {
    let all = store.score_hours(ScoreHours { from: 0, to: i64::MAX }).await.unwrap();
    all.iter().map(|bucket| (bucket.hour, bucket.scored)).collect()
}

#[test]
fn an_hour_is_summed_when_it_is_over_and_once() {
    actix_rt::System::new().block_on(async {
        let store = Arc::new(ModelStore::default());
        let hour = hour_of(THEN);
        scored(&*store, 1, THEN.plus(-4 * HOUR)).await;
        scored(&*store, 2, THEN).await;
        let deps = deps(store.clone(), THEN.plus(MINUTE));
        let stats = stats(&deps);
        settled(&stats).await;
        assert_eq!(hours(&*store).await, [(hour - 4, 1)], "the current hour is not over");
        // To 59 s behind its end: what was scored in it may still be on its way.
        let ends = Millis((hour + 1) * HOUR);
        deps.clock.advance(ends.since(deps.clock.now()) + 30_000);
        assert_eq!(look(&stats).await.unwrap(), 0);
        deps.clock.advance(31_000);
        assert_eq!(look(&stats).await.unwrap(), 1);
        assert_eq!(hours(&*store).await, [(hour - 4, 1), (hour, 1)]);
        let before = store.dump();
        assert_eq!(look(&stats).await.unwrap(), 0);
        deps.clock.advance(5 * HOUR);
        assert_eq!(look(&stats).await.unwrap(), 0, "hours without scores leave no trace");
        assert_eq!(store.dump(), before);
    });
}

#[test]
fn what_is_summed_is_seen_after_a_restart_and_what_is_too_old_is_not_summed() {
    actix_rt::System::new().block_on(async {
        let store = Arc::new(ModelStore::default());
        let hour = hour_of(THEN);
        scored(&*store, 1, THEN.plus(-31 * DAY)).await;
        scored(&*store, 2, THEN.plus(-29 * DAY)).await;
        settled(&stats(&deps(store.clone(), THEN))).await;
        let first = (hour - 29 * 24, 1);
        assert_eq!(hours(&*store).await, [first]);
        // That the hour is not summed anew is seen from a sum that is not true.
        let untrue = PutHour {
            hour: first.0,
            sums: vec![HourSum {
                registration: registration_id(1),
                kind: "x".to_owned(),
                scored: 7,
                score_sum: 7,
            }],
        };
        store.put_hour(untrue).await.unwrap();
        scored(&*store, 3, THEN).await;
        settled(&stats(&deps(store.clone(), THEN.plus(2 * HOUR)))).await;
        assert_eq!(hours(&*store).await, [(hour, 1), (first.0, 7)]);
    });
}

/// An evaluation whose commit took long, or whose clock was put back.
#[test]
fn an_hour_that_gets_a_late_score_is_summed_anew() {
    actix_rt::System::new().block_on(async {
        let store = Arc::new(ModelStore::default());
        scored(&*store, 1, THEN).await;
        let deps = deps(store.clone(), THEN.plus(2 * HOUR));
        let actors = Actors::start(&deps, &crate::actors::no_blobs(), 7).await.unwrap();
        settled(&actors.stats).await;
        assert_eq!(hours(&*store).await, [(hour_of(THEN), 1)]);
        done(&*store, 2, 1).await;
        let late = Evaluate { now: THEN.plus(1), ..evaluate(2, 1, &[(0, 80)]) };
        actors.stats.send(TakeEvaluation(late)).await.unwrap().unwrap();
        assert_eq!(look(&actors.stats).await.unwrap(), 1);
        assert_eq!(hours(&*store).await, [(hour_of(THEN), 2)]);
        assert_eq!(look(&actors.stats).await.unwrap(), 0);
    });
}

/// Writes of statistics that failed so far, in all tests of the process.
fn failed() -> u64 {
    let text = pithead::telemetry::metrics().unwrap().render();
    let line =
        text.lines().find_map(|line| line.strip_prefix("pithead_stats_writes_failed_total "));
    line.map_or(0, |count| count.parse().unwrap())
}

/// The table is away: the look fails, and the next one makes up for it. Tasks go on meanwhile.
#[test]
fn sums_that_could_not_be_written_are_written_at_the_next_look() {
    actix_rt::System::new().block_on(async {
        let (store, dir) = super::sqlite().await;
        let store = Arc::new(store);
        scored(&*store, 1, THEN).await;
        let file = dir.path().join("pithead.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        other.execute("ALTER TABLE score_hour RENAME TO away").await.unwrap();
        let before = failed();
        let deps = deps(store.clone(), THEN.plus(2 * HOUR));
        let stats = stats(&deps);
        // The look of the start may still be on its way.
        while look(&stats).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(failed() > before);
        scored(&*store, 2, THEN).await;
        other.execute("ALTER TABLE away RENAME TO score_hour").await.unwrap();
        settled(&stats).await;
        assert_eq!(hours(&*store).await, [(hour_of(THEN), 2)]);
        other.close().await.unwrap();
        store.close().await;
    });
}
