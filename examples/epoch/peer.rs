//! Somebody with a hotkey, who speaks to the server with signed requests.

use std::error::Error;

use pithead::domain::ids::Hotkey;
use pithead::identity::Keypair;
use pithead::identity::btauth::{self, Nonces};
use pithead::outside::clock::Clock;
use reqwest::Method;
use serde_json::Value;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The server, and the time that both sides have.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) server: Hotkey,
    pub(crate) clock: Clock,
}

/// See the module's docs.
pub(crate) struct Peer {
    pub(crate) uid: u16,
    keys: Keypair,
    nonces: Nonces,
}

impl Peer {
    pub(crate) fn new(uid: u16) -> Self {
        let keys = Keypair::from_label(&format!("epoch/validator/{uid}"));
        Self { uid, keys, nonces: Nonces::default() }
    }

    pub(crate) fn hotkey(&self) -> String {
        self.keys.hotkey().to_string()
    }

    pub(crate) async fn post(&self, api: &Api, target: &str, body: &Value) -> Outcome<Value> {
        self.call(api, Method::POST, target, body.to_string()).await
    }

    pub(crate) async fn get(&self, api: &Api, target: &str) -> Outcome<Value> {
        self.call(api, Method::GET, target, String::new()).await
    }

    async fn call(&self, api: &Api, method: Method, target: &str, body: String) -> Outcome<Value> {
        let answer = self.send(api, method, target, body).await?;
        let status = answer.status();
        let content: Value = answer.json().await?;
        if status.is_success() {
            return Ok(content);
        }
        Err(format!("{target}: {status}: {}", content["detail"]).into())
    }

    /// A page for people.
    pub(crate) async fn page(&self, api: &Api, target: &str) -> Outcome<String> {
        let answer = self.send(api, Method::GET, target, String::new()).await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    async fn send(
        &self,
        api: &Api,
        method: Method,
        target: &str,
        body: String,
    ) -> Outcome<reqwest::Response> {
        let nonce = self.nonces.next(api.clock.now_nanos());
        let (verb, bytes) = (method.as_str(), body.as_bytes());
        let proof = btauth::sign_request(&self.keys, verb, target, bytes, &api.server, nonce);
        let mut request = api.http.request(method.clone(), format!("{}{target}", api.url));
        for (name, value) in proof {
            request = request.header(name, value);
        }
        if method == Method::POST {
            request = request.header("Content-Type", "application/json");
        }
        Ok(request.body(body).send().await?)
    }
}
