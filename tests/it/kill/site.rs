//! Where everybody calls: the server's present address, and what all have been told so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pithead::domain::ids::Hotkey;
use pithead::identity::Keypair;
use pithead::identity::btauth::{Nonces, sign_request};
use serde_json::Value;

/// What was acknowledged; a promise each.
#[derive(Default)]
pub(super) struct Ledger {
    /// Tasks: when each must have ended at the latest, Unix ms.
    pub(super) tasks: BTreeMap<String, i64>,
    /// Cancelled tasks.
    pub(super) cancelled: BTreeSet<String>,
    /// Leases that a miner works on, by token: its uid.
    pub(super) begun: BTreeMap<String, u16>,
    /// Accepted answers by lease token: the miner's uid and the body.
    pub(super) answers: BTreeMap<String, (u16, Value)>,
    /// Accepted judgements: task, validator's hotkey, slots.
    pub(super) judged: BTreeMap<(String, String), BTreeSet<u16>>,
    /// Ends that a client was told of, by task.
    pub(super) ends: BTreeMap<String, String>,
    /// Answers of the server by kind of call and status.
    pub(super) told: BTreeMap<(&'static str, u16), u64>,
    /// What should never have been said.
    pub(super) wrongs: Vec<String>,
}

/// How somebody proves who it is.
pub(super) enum Credentials {
    /// An API key.
    Key(String),
    /// A signature over each request.
    Signs(Box<Keypair>),
}

/// A request.
pub(super) struct Ask<'a> {
    pub(super) what: &'static str,
    pub(super) method: &'static str,
    pub(super) target: String,
    pub(super) body: Option<Vec<u8>>,
    pub(super) content_type: &'a str,
    pub(super) idempotency_key: Option<&'a str>,
}

impl Ask<'_> {
    pub(super) fn get(what: &'static str, target: impl Into<String>) -> Self {
        let target = target.into();
        let (content_type, idempotency_key) = ("application/json", None);
        Self { what, method: "GET", target, body: None, content_type, idempotency_key }
    }

    pub(super) fn post(what: &'static str, target: impl Into<String>, body: &Value) -> Self {
        let body = Some(body.to_string().into_bytes());
        Ask { method: "POST", body, ..Ask::get(what, target) }
    }
}

/// See the module's docs.
pub(super) struct Site {
    http: reqwest::Client,
    url: Mutex<String>,
    receiver: Mutex<Option<Hotkey>>,
    nonces: Nonces,
    ledger: Mutex<Ledger>,
    /// Clients hand in nothing more.
    pub(super) closing: AtomicBool,
    /// Everybody goes home.
    pub(super) over: AtomicBool,
    /// Requests without an answer.
    pub(super) unanswered: AtomicU64,
}

/// How long a caller waits for an answer before it calls again.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often in a row a living server may say that it cannot. Without a limit a statement that fails
/// for good would only look like a slow server.
const REFUSALS_MAX: u32 = 300;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

impl Site {
    pub(super) fn new() -> Self {
        Self {
            http: reqwest::Client::builder().timeout(PATIENCE).build().unwrap(),
            url: Mutex::default(),
            receiver: Mutex::default(),
            nonces: Nonces::default(),
            ledger: Mutex::default(),
            closing: AtomicBool::new(false),
            over: AtomicBool::new(false),
            unanswered: AtomicU64::new(0),
        }
    }

    /// The server is there from now on.
    pub(super) fn moved(&self, url: &str) {
        url.clone_into(&mut self.url.lock().unwrap());
    }

    /// Whom requests are signed for; must not change over restarts.
    pub(super) async fn meet(&self) {
        let url = self.url.lock().unwrap().clone() + "/api/v1/identity";
        let identity: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        let hotkey = Hotkey::parse(identity["hotkey"].as_str().unwrap()).unwrap();
        let mut receiver = self.receiver.lock().unwrap();
        assert!(receiver.as_ref().is_none_or(|known| *known == hotkey), "another server's key");
        *receiver = Some(hotkey);
    }

    pub(super) fn ledger<T>(&self, write: impl FnOnce(&mut Ledger) -> T) -> T {
        write(&mut self.ledger.lock().unwrap())
    }

    pub(super) fn wrong(&self, sentence: String) {
        self.ledger(|ledger| ledger.wrongs.push(sentence));
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// One try. `None` when no answer came, or a 503: it may have been done or not.
    async fn once(
        &self,
        who: &Credentials,
        ask: &Ask<'_>,
        refusals: &mut u32,
    ) -> Option<(u16, Value)> {
        let url = self.url.lock().unwrap().clone() + &ask.target;
        let method = ask.method.parse().unwrap();
        let mut request = self.http.request(method, url);
        let body = ask.body.clone().unwrap_or_default();
        match who {
            Credentials::Key(key) => request = request.header("x-api-key", key),
            Credentials::Signs(keypair) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
                let nonce = self.nonces.next(u64::try_from(now).unwrap());
                let receiver = self.receiver.lock().unwrap().clone().unwrap();
                let headers =
                    sign_request(keypair, ask.method, &ask.target, &body, &receiver, nonce);
                for (name, value) in headers {
                    request = request.header(name, value);
                }
            }
        }
        if let Some(key) = ask.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if ask.body.is_some() {
            request = request.header("content-type", ask.content_type).body(body);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        // An answer that breaks off is none.
        let bytes = answer.bytes().await.ok()?;
        let value = serde_json::from_slice(&bytes).ok()?;
        // The server says itself that it does not know, or could not.
        *refusals = if status == 503 { *refusals + 1 } else { 0 };
        (status != 503).then_some((status, value))
    }

    /// Calls until an answer comes, as a real client does; also whether an earlier try of this very
    /// call may have been heard. `None` when all is over.
    pub(super) async fn ask(&self, who: &Credentials, ask: &Ask<'_>) -> Option<(u16, Value, bool)> {
        let mut repeated = false;
        let mut refusals = 0;
        while !self.is_over() {
            if refusals > REFUSALS_MAX {
                self.wrong(format!("{}: {} is answered 503 for ever", ask.what, ask.target));
                return None;
            }
            if let Some((status, value)) = self.once(who, ask, &mut refusals).await {
                self.judge(ask, status, &value);
                return Some((status, value, repeated));
            }
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            repeated = true;
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    /// Rogues lie about leases only, so nobody may be told that it is not who it is; and the server
    /// never breaks.
    fn judge(&self, ask: &Ask<'_>, status: u16, value: &Value) {
        self.ledger(|ledger| *ledger.told.entry((ask.what, status)).or_default() += 1);
        let fine =
            matches!(status, 200 | 201 | 409 | 410) || (ask.what == "input" && status == 404);
        // A signature may grow old in a queue of this overloaded machine.
        let late = value["code"] == "stale_signature";
        if !fine && !late {
            let Ask { what, method, target, .. } = ask;
            self.wrong(format!("{what}: {method} {target} was answered {status}: {value}"));
        }
    }
}

/// Unix ms.
pub(super) fn now_millis() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    i64::try_from(now).unwrap()
}
