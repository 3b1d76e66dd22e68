//! A server in this process on a port and a folder of its own, with a clock that tests move.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pithead::app::{AppError, Server};
use pithead::config::{Config, Role, RoleEntry};
use pithead::domain::ids::Hotkey;
use pithead::identity::btauth::{self, Nonces};
use pithead::outside::Clock;
use pithead::store::Store;
use pithead::store::sql::{Location, SqlStore};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Answer, Call, Contract, Peer, Who, validator};

/// Validators that the default configuration knows.
pub(crate) const VALIDATORS: u16 = 3;

pub(crate) struct TestApp {
    server: Option<Server>,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) http: reqwest::Client,
    receiver: Hotkey,
    pub(crate) admin: String,
    /// Key of an ordinary client.
    pub(crate) client: String,
    nonces: Nonces,
    /// Answers of the 5xx class that no test has asked for.
    broken: Mutex<Vec<String>>,
    /// What the server says that it answers.
    pub(crate) contract: Contract,
    /// Answers that it does not say.
    breaches: Mutex<Vec<String>>,
    // Last, so that the folder outlives the server.
    data: TempDir,
}

pub(crate) fn entry(peer: &Peer, role: Role, stake: f64) -> RoleEntry {
    RoleEntry { hotkey: peer.hotkey(), role, uid: peer.uid, stake }
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server whose configuration differs from the usual one.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = Self::usual(&data);
        change(&mut config);
        let clock = Clock::default();
        let server = Server::start_at(config.clone(), clock.clone()).await.unwrap();
        Self::of(server, config, clock, data).await
    }

    /// A server, and another instance of it on the same store and files.
    pub(crate) async fn with_twin(change: impl FnOnce(&mut Config)) -> (Self, Server) {
        let data = tempfile::tempdir().unwrap();
        let mut config = Self::usual(&data);
        change(&mut config);
        let clock = Clock::default();
        let location = Location::parse(None, data.path()).unwrap();
        let store: Arc<dyn Store> = Arc::new(SqlStore::open(location).await.unwrap());
        let start = || Server::start_on(config.clone(), clock.clone(), store.clone());
        let (server, twin) = (start().await.unwrap(), start().await.unwrap());
        (Self::of(server, config, clock, data).await, twin)
    }

    fn usual(data: &TempDir) -> Config {
        let mut config = Config::default();
        config.server.listen = "127.0.0.1:0".to_owned();
        config.server.workers = 1;
        config.data_dir = data.path().to_owned();
        config.sweep_millis = 20;
        config.lease.backoff_millis = 1;
        // Everybody is at one address here.
        config.limits.unproven_per_minute = 1_000_000.try_into().unwrap();
        config.auth.hotkeys =
            (0..VALIDATORS).map(|n| entry(&validator(n), Role::Validator, 1_000.0)).collect();
        config
    }

    async fn of(server: Server, config: Config, clock: Clock, data: TempDir) -> Self {
        let admin = server.admin_key().unwrap().to_owned();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(90)).build().unwrap();
        let mut app = Self {
            server: Some(server),
            config,
            clock,
            http,
            receiver: Hotkey::parse("unknown").unwrap(),
            admin,
            client: String::new(),
            nonces: Nonces::default(),
            broken: Mutex::default(),
            contract: Contract::default(),
            breaches: Mutex::default(),
            data,
        };
        app.meet().await;
        app.client = app.new_key("client").await;
        app
    }

    /// Learns the contract and whom to sign for; turns the metrics on.
    async fn meet(&mut self) {
        let document = self.send(Who::Nobody, Call::get("/openapi.json")).await.is(200);
        self.contract = Contract::of(document);
        let identity = self.send(Who::Nobody, Call::get("/api/v1/identity")).await.ok();
        self.receiver = Hotkey::parse(identity["hotkey"].as_str().unwrap()).unwrap();
        self.send(Who::Nobody, Call::get("/metrics")).await;
    }

    /// Stops the server and starts another one on the same folder, at the same time of the clock.
    pub(crate) async fn restart(&mut self) {
        self.server.take().unwrap().finish().await.unwrap();
        self.http = reqwest::Client::builder().timeout(Duration::from_secs(90)).build().unwrap();
        let server = Server::start_at(self.config.clone(), self.clock.clone()).await.unwrap();
        self.server = Some(server);
        self.meet().await;
    }

    /// Starts a second server on the same folder; it must not start.
    pub(crate) async fn start_another(&self) -> Result<Server, AppError> {
        Server::start_at(self.config.clone(), self.clock.clone()).await
    }

    pub(crate) fn advance(&self, millis: i64) {
        self.clock.advance(millis);
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.data.path()
    }

    pub(crate) fn url(&self) -> String {
        self.server.as_ref().unwrap().url()
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.server.as_ref().unwrap().address()
    }

    pub(crate) fn receiver(&self) -> &Hotkey {
        &self.receiver
    }

    /// A nonce of now, by the server's clock.
    pub(crate) fn nonce(&self) -> u64 {
        self.nonces.next(self.clock.now_nanos())
    }

    /// Headers that say who calls.
    pub(crate) fn proof(&self, who: Who<'_>, call: &Call) -> Vec<(String, String)> {
        let one = |name: &str, value: String| vec![(name.to_owned(), value)];
        match who {
            Who::Nobody => Vec::new(),
            Who::Bearer(key) => one("Authorization", format!("Bearer {key}")),
            Who::ApiKey(key) => one("X-API-Key", key.to_owned()),
            Who::Dev(hotkey) => one("X-Dev-Hotkey", hotkey.to_owned()),
            Who::Signed(keys) => {
                let (method, target, body) = (call.method, &call.target, &call.body);
                btauth::sign_request(keys, method, target, body, &self.receiver, self.nonce())
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            }
        }
    }

    pub(crate) async fn send(&self, who: Who<'_>, call: Call) -> Answer {
        let proof = self.proof(who, &call);
        self.send_as(proof, call).await
    }

    /// Sends with these headers, whoever they say it is.
    pub(crate) async fn send_as(&self, proof: Vec<(String, String)>, call: Call) -> Answer {
        let what = format!("{} {}", call.method, call.target);
        match self.try_send(proof, call).await {
            Ok(answer) => answer,
            Err(error) => panic!("{what}: no answer: {error:?}"),
        }
    }

    /// The same, where the connection may break.
    pub(crate) async fn try_send(
        &self,
        proof: Vec<(String, String)>,
        call: Call,
    ) -> reqwest::Result<Answer> {
        let what = format!("{} {}", call.method, call.target);
        self.try_send_to(&self.url(), what, proof, call).await
    }

    /// The same, to another instance.
    pub(crate) async fn send_to(
        &self,
        url: &str,
        proof: Vec<(String, String)>,
        call: Call,
    ) -> Answer {
        let what = format!("{} {}", call.method, call.target);
        self.try_send_to(url, what, proof, call).await.unwrap()
    }

    async fn try_send_to(
        &self,
        url: &str,
        what: String,
        proof: Vec<(String, String)>,
        call: Call,
    ) -> reqwest::Result<Answer> {
        let method = call.method.parse().unwrap();
        let mut request = self.http.request(method, format!("{url}{}", call.target));
        for (name, value) in call.headers.into_iter().chain(proof) {
            request = request.header(name, value);
        }
        let response = request.body(call.body).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?.to_vec();
        let answer = Answer { what, status, headers, bytes };
        self.note(&answer);
        Ok(answer)
    }

    /// Notes an answer that no client should ever get, and one that is not as documented.
    pub(crate) fn note(&self, answer: &Answer) {
        if let Some(breach) = self.contract.breach(answer) {
            let line = format!("{} {}: {breach}: {}", answer.what, answer.status, answer.text());
            self.breaches.lock().unwrap().push(line);
        }
        if answer.status >= 500 {
            let line = format!("{}: {} {}", answer.what, answer.status, answer.text());
            self.broken.lock().unwrap().push(line);
        }
    }

    /// Forgets the 5xx answers so far: they were asked for. How many there were.
    pub(crate) fn forgive(&self) -> usize {
        self.broken.lock().unwrap().drain(..).count()
    }

    /// A new API key with these scopes.
    pub(crate) async fn new_key(&self, scopes: &str) -> String {
        let call = Call::post("/api/v1/admin/keys")
            .json(&json!({ "name": "of a test", "scopes": scopes }));
        let made = self.send(Who::Bearer(&self.admin), call).await.is(201);
        made["key"].as_str().unwrap().to_owned()
    }

    /// How many tasks there are in all.
    pub(crate) async fn task_count(&self) -> usize {
        let list = self.send(Who::Bearer(&self.admin), Call::get("/api/v1/tasks?limit=200")).await;
        list.ok()["tasks"].as_array().unwrap().len()
    }

    /// A counter of `/metrics`; those are of the whole process, so that only growth means anything.
    pub(crate) async fn metric(&self, line: &str) -> f64 {
        let read = async || self.send(Who::Nobody, Call::get("/metrics")).await.text_whole();
        // Those of a moment ago may be told; this very request is counted in what is newer.
        let old = read().await;
        let text = wait_for("the metrics are made anew", Duration::from_secs(20), async || {
            Some(read().await).filter(|new| *new != old)
        })
        .await;
        let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        found.and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }

    /// Stops the server; nothing may be left over.
    pub(crate) async fn finish(mut self) {
        self.settled().await;
        self.server.take().unwrap().finish().await.unwrap();
    }

    /// Counters agree with what lives: no open task, no lease held.
    async fn settled(&self) {
        let health = self.send(Who::Nobody, Call::get("/api/v1/health")).await.ok();
        assert_eq!(health["database"], "ok", "{health}");
        if health["open_tasks"] != 0 {
            return;
        }
        let view = Call::get("/api/v1/miners");
        let quiet = |value: &Value| {
            let miners = value["miners"].as_array().cloned().unwrap_or_default();
            miners.iter().all(|miner| miner["current_load"] == 0)
        };
        wait_for("no open task holds a miner", Duration::from_secs(5), async || {
            quiet(&self.send(Who::Bearer(&self.admin), view.clone()).await.ok()).then_some(())
        })
        .await;
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let broken = self.broken.lock().unwrap();
        if !std::thread::panicking() {
            assert!(broken.is_empty(), "answers of the 5xx class: {broken:#?}");
            let breaches = self.breaches.lock().unwrap();
            assert!(breaches.is_empty(), "not as `/openapi.json` says: {breaches:#?}");
        }
    }
}

/// Asks again and again until there is an answer; panics when there is none within the limit.
pub(crate) async fn wait_for<T>(
    condition: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(began.elapsed() < limit, "not within {limit:?}: {condition}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
