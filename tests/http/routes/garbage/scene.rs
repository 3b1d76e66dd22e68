//! Where the garbage is sent to, and what may not change by it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pithead::config::Config;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Row, SqliteConnection};

use super::{By, Taker};
use crate::support::{Call, Peer, TestApp, Who, miner, validator};

/// A server with a task that a miner works on, one that is done, and both at rest.
pub(super) struct Scene {
    pub(super) app: TestApp,
    pub(super) miner: Peer,
    pub(super) validator: Peer,
    pub(super) open: String,
    pub(super) done: String,
    pub(super) lease: Value,
    pub(super) webhook: String,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let (miner, validator) = (miner(0), validator(0));
        // Records of running days are made by a thread that gives way to all others.
        let rest = |config: &mut Config| config.weights.enable_realtime_updates = false;
        let mut app = TestApp::with(rest).await;
        // A round begins: none that ends writes while it is watched what is written.
        app.advance(60_000 - app.clock.now().0.rem_euclid(60_000));
        app.report(&[&miner]).await;
        let done = app.submit_tts(&[("redundancy", "1")]).await;
        let lease = app.one_lease(&miner).await;
        app.answer(&miner, &lease).await.ok();
        app.until(&done, "done").await;
        let open = app.submit_tts(&[("redundancy", "1")]).await;
        let lease = app.one_lease(&miner).await;
        // Made when they are first asked for.
        for who in [Who::Bearer(&app.client), Who::Bearer(&app.admin), validator.who()] {
            app.send(who, Call::get("/api/v1/webhooks/callback-secret")).await.ok();
        }
        let webhook = json!({ "url": "https://receiver.invalid/", "events": "task.expired" });
        let made = app.as_client(Call::post("/api/v1/webhooks").json(&webhook)).await.is(201);
        let webhook = made["id"].as_str().unwrap().to_owned();
        // At a stop everything is written that else would be now and then.
        app.restart().await;
        Self { app, miner, validator, open, done, lease, webhook }
    }

    pub(super) fn who(&self, by: By) -> Who<'_> {
        match by {
            By::Client => Who::Bearer(&self.app.client),
            By::Admin => Who::Bearer(&self.app.admin),
            By::Miner => self.miner.who(),
            By::Validator => self.validator.who(),
        }
    }

    pub(super) async fn post(&self, taker: &Taker, body: &Value) -> crate::support::Answer {
        self.app.send(self.who(taker.by), Call::post(&taker.path).json(body)).await
    }

    /// All rows of all tables as text, but for the nonces, of which a refused request may burn one.
    pub(super) async fn rows(&self) -> BTreeMap<String, Vec<String>> {
        let file = self.app.folder().join("pithead.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).read_only(true);
        let mut db: SqliteConnection = options.connect().await.unwrap();
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'replay'";
        let mut dump = BTreeMap::new();
        for table in sqlx::query(tables).fetch_all(&mut db).await.unwrap() {
            let table: String = table.get(0);
            let columns = format!("SELECT name FROM pragma_table_info('{table}')");
            let columns =
                sqlx::query(sqlx::AssertSqlSafe(columns)).fetch_all(&mut db).await.unwrap();
            let cells: Vec<_> =
                columns.iter().map(|c| format!("quote(\"{}\")", c.get::<String, _>(0))).collect();
            // That somebody tried is told.
            let told = if table == "audit" { "WHERE action <> 'auth.failed'" } else { "" };
            let cells = cells.join(" || ' ' || ");
            let rows = format!("SELECT {cells} FROM \"{table}\" {told} ORDER BY 1");
            let rows = sqlx::query(sqlx::AssertSqlSafe(rows)).fetch_all(&mut db).await.unwrap();
            dump.insert(table, rows.iter().map(|row| row.get(0)).collect());
        }
        dump
    }

    /// The rows once nothing moves any more: what was written last may have more to follow.
    pub(super) async fn rows_at_rest(&self) -> BTreeMap<String, Vec<String>> {
        let mut last = self.rows().await;
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            let now = self.rows().await;
            if now == last {
                return now;
            }
            last = now;
        }
        panic!("the tables do not come to rest");
    }
}

pub(super) fn difference(
    before: &BTreeMap<String, Vec<String>>,
    after: &BTreeMap<String, Vec<String>>,
) -> String {
    let mut told = String::new();
    for (table, rows) in after {
        let (was, is): (BTreeSet<_>, BTreeSet<_>) =
            (before[table].iter().collect(), rows.iter().collect());
        for row in was.symmetric_difference(&is) {
            told += &format!("{table}: {row}\n");
        }
    }
    told
}
