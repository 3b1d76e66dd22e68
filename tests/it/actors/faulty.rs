//! A server whose database fails in the one moment that matters.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pithead::app::Server;
use pithead::domain::units::Millis;
use pithead::outside::Clock;
use pithead::store::{AuditPage, By, RevokeKey, Store};
use reqwest::Method;
use serde_json::{Value, json};

use super::singleton::Faulty;

struct Site {
    store: Arc<Faulty>,
    server: Server,
    admin: String,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = super::config();
        config.server.listen = "127.0.0.1:0".to_owned();
        config.data_dir = folder.path().to_owned();
        let store = Arc::new(Faulty::default());
        let server = Server::start_on(config, Clock::default(), store.clone()).await.unwrap();
        let admin = server.admin_key().unwrap().to_owned();
        Self { store, server, admin, http: reqwest::Client::new(), _folder: folder }
    }

    /// Status and body.
    async fn ask(&self, key: &str, method: Method, target: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}{target}", self.server.url()));
        let answer = request.bearer_auth(key).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn get(&self, key: &str, target: &str) -> u16 {
        self.ask(key, Method::GET, target, json!({})).await.0
    }

    /// A client's key, and its place.
    async fn key(&self) -> (String, String) {
        let (status, made) =
            self.ask(&self.admin, Method::POST, "/api/v1/admin/keys", json!({})).await;
        assert_eq!(status, 201, "{made}");
        let key = made["key"].as_str().unwrap().to_owned();
        assert_eq!(self.get(&key, "/api/v1/tasks").await, 200);
        (key, format!("/api/v1/admin/keys/{}", made["id"].as_str().unwrap()))
    }

    /// Takes a key back in the database only, as a command does whose answer got lost.
    async fn revoke_behind(&self, place: &str) {
        let id = place.rsplit('/').next().unwrap().to_owned();
        let by = By { netuid: 49, actor: "test".to_owned(), now: Millis(1), nonce: None };
        assert!(self.store.revoke_key(RevokeKey { id, by }).await.unwrap());
    }

    async fn delete(&self, place: &str) -> u16 {
        self.ask(&self.admin, Method::DELETE, place, json!({})).await.0
    }
}

#[tokio::test]
async fn a_key_that_was_to_end_is_taken_no_more_whatever_is_known_of_it() {
    let site = Site::start().await;
    let (key, place) = site.key().await;
    site.store.mute.store(true, Ordering::Relaxed);
    assert_eq!(site.delete(&place).await, 503);
    assert_eq!(site.get(&key, "/api/v1/tasks").await, 401, "its end may be written");
    site.store.mute.store(false, Ordering::Relaxed);
    assert_eq!(site.delete(&place).await, 404, "its end is written");
    site.server.finish().await.unwrap();
}

#[tokio::test]
async fn what_the_database_knows_of_a_key_is_known_after_the_next_change() {
    let site = Site::start().await;
    let changes = [
        (Method::DELETE, "", json!({})),
        (Method::PATCH, "", json!({ "name": "n" })),
        (Method::POST, "/rotate", json!({})),
    ];
    for (method, what, body) in changes {
        let (key, place) = site.key().await;
        site.revoke_behind(&place).await;
        assert_eq!(site.get(&key, "/api/v1/tasks").await, 200, "nobody told the server");
        let target = format!("{place}{what}");
        let (status, told) = site.ask(&site.admin, method.clone(), &target, body).await;
        assert_eq!(status, 404, "{method}: {told}");
        assert_eq!(site.get(&key, "/api/v1/tasks").await, 401, "after {method} {what}");
    }
    site.server.finish().await.unwrap();
}

#[tokio::test]
async fn a_server_drains_though_its_database_does_not_write_and_tells_of_it_later() {
    let site = Site::start().await;
    let drain = async |draining: bool| {
        let body = json!({ "draining": draining });
        site.ask(&site.admin, Method::POST, "/api/v1/admin/drain", body).await.0
    };
    site.store.away.store(true, Ordering::Relaxed);
    assert_eq!(drain(true).await, 200);
    assert_eq!(site.get(&site.admin, "/readyz").await, 503);
    assert_eq!(drain(false).await, 503, "who takes tasks again can write");
    assert_eq!(site.get(&site.admin, "/readyz").await, 503);
    site.store.away.store(false, Ordering::Relaxed);
    let began = Instant::now();
    let page = AuditPage { netuid: 49, action: "server.".to_owned(), before: None, limit: 9 };
    loop {
        let told = site.store.audit(page.clone()).await.unwrap();
        if let [told] = &told[..] {
            assert_eq!(told.fact.action(), "server.draining");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the audit log was never told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(drain(false).await, 200);
    assert_eq!(site.get(&site.admin, "/readyz").await, 200);
    site.server.finish().await.unwrap();
}

#[tokio::test]
async fn a_flood_of_probes_asks_the_database_once_a_second() {
    let site = Site::start().await;
    let began = Instant::now();
    for _ in 0..50 {
        let probes = (0..10).map(|_| site.get(&site.admin, "/readyz"));
        assert_eq!(futures_util::future::join_all(probes).await, [200; 10]);
    }
    let pings = site.store.pings.load(Ordering::Relaxed);
    assert!(pings >= 1 && pings <= 1 + began.elapsed().as_secs(), "{pings}");
    // Counters of requests grow with each one: the same text twice was made once.
    let metrics = async || {
        let answer = site.http.get(format!("{}/metrics", site.server.url())).send().await.unwrap();
        answer.text().await.unwrap()
    };
    while metrics().await != metrics().await {
        assert!(began.elapsed() < Duration::from_secs(60), "metrics are made anew each time");
    }
    site.server.finish().await.unwrap();
}

#[tokio::test]
async fn a_server_is_shown_without_its_first_key() {
    let site = Site::start().await;
    let (shown, secret) = (format!("{:?}", site.server), site.admin.rsplit('_').next().unwrap());
    assert!(shown.contains("Server") && !shown.contains(secret), "{shown}");
    site.server.finish().await.unwrap();
}
