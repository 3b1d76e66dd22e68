//! Somebody who is told: a server that takes messages, checks their signatures as a stranger would,
//! and answers what a test wants.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use pithead::identity::webhook::sign;
use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, Semaphore, mpsc};

/// How long a message may take to come. What comes too late is a failure, never what comes early.
const PATIENCE: Duration = Duration::from_secs(20);

/// A message as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) timestamp: String,
    pub(crate) signatures: Vec<String>,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// What happened, and to which task.
    pub(crate) fn news(&self) -> (String, String) {
        let value = self.value();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&value["type"]), text(&value["data"]["task_id"]))
    }

    /// Whether one of its signatures is under this secret.
    pub(crate) fn signed_with(&self, secret: &str) -> bool {
        let at = self.timestamp.parse().unwrap();
        let own = sign(secret, &self.id, at, self.body.as_bytes()).unwrap();
        self.signatures.contains(&own)
    }
}

struct Shared {
    got: mpsc::UnboundedSender<Received>,
    /// Status, and where a redirect leads.
    answer: Mutex<(u16, String)>,
    /// Answers go out while this has permits.
    open: Semaphore,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    shared: Arc<Shared>,
    got: AsyncMutex<mpsc::UnboundedReceiver<Received>>,
    handle: ServerHandle,
}

async fn take(shared: Data<Shared>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    assert_eq!(header("content-type"), "application/json");
    let received = Received {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signatures: header("webhook-signature").split(' ').map(str::to_owned).collect(),
        host: header("host"),
        target: request.uri().to_string(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    shared.got.send(received).ok();
    drop(shared.open.acquire().await);
    let (status, location) = shared.answer.lock().unwrap().clone();
    let mut answer = HttpResponse::build(status.try_into().unwrap());
    if !location.is_empty() {
        answer.insert_header(("location", location));
    }
    answer.body("so says the receiver")
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?key=1", listener.local_addr().unwrap());
        let (sender, got) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            got: sender,
            answer: Mutex::new((200, String::new())),
            open: Semaphore::new(Semaphore::MAX_PERMITS),
        });
        let data = Data::from(shared.clone());
        let server = HttpServer::new(move || {
            App::new().app_data(data.clone()).default_service(web::to(take))
        });
        let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, shared, got: AsyncMutex::new(got), handle }
    }

    /// Answers with this status from now on.
    pub(crate) fn answers(&self, status: u16) {
        *self.shared.answer.lock().unwrap() = (status, String::new());
    }

    pub(crate) fn redirects_to(&self, url: &str) {
        *self.shared.answer.lock().unwrap() = (307, url.to_owned());
    }

    /// Takes messages but answers nothing, until [`Self::go_on`].
    pub(crate) fn hold(&self) {
        self.shared.open.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn go_on(&self) {
        self.shared.open.add_permits(Semaphore::MAX_PERMITS);
    }

    /// The next message.
    pub(crate) async fn next(&self) -> Received {
        let mut got = self.got.lock().await;
        let next = tokio::time::timeout(PATIENCE, got.recv()).await;
        next.expect("no message came").unwrap()
    }

    /// Whether a message waits to be taken.
    pub(crate) async fn has_more(&self) -> bool {
        !self.got.lock().await.is_empty()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.open.close();
        drop(self.handle.stop(false));
    }
}
