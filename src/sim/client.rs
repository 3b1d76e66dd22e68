//! A thin typed HTTP client of the server: signs or presents a key, and turns every failure into
//! an [`ApiError`] that says what the server said.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::ids::Hotkey;
use crate::identity::btauth::{self, Nonces};
use crate::identity::keypair::Keypair;
use crate::sim::call::Call;

/// Longer than the longest parked poll, so that the server ends a poll, not we.
const TIMEOUT: Duration = Duration::from_secs(75);
/// Pause before a server that gave no answer is asked again.
const RECONNECT: Duration = Duration::from_millis(500);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The server's address is no http address.
    #[error("`{0}` is not a server address")]
    Address(String),
    /// No answer: connection refused, broken or timed out.
    #[error("no answer from `{target}`: {source}")]
    Unreachable {
        /// Path and query.
        target: String,
        /// What the HTTP client said.
        source: reqwest::Error,
    },
    /// The server refused; the fields are those of its problem document.
    #[error("`{target}` answered {status} `{code}`: {detail}")]
    Refused {
        /// Path and query.
        target: String,
        /// HTTP status.
        status: u16,
        /// Stable code of the problem.
        code: String,
        /// Its text for people.
        detail: String,
        /// Seconds of `Retry-After`.
        retry_after_secs: Option<u64>,
    },
    /// An answer that is not what the contract says.
    #[error("`{target}` answered something unexpected: {reason}")]
    Unexpected {
        /// Path and query.
        target: String,
        /// What was wrong.
        reason: String,
    },
}

impl ApiError {
    /// A short stable name, to count failures by.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Address(_) => "bad_address",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { code, .. } => code,
            Self::Unexpected { .. } => "unexpected_answer",
        }
    }

    /// Whether the server says that the thing is no longer ours: a lease lost to time or to another.
    #[must_use]
    pub const fn is_lost_lease(&self) -> bool {
        matches!(self, Self::Refused { status: 409 | 410, .. })
    }

    /// How long to wait before the same call may succeed: the server is busy (429 and 503) or away.
    /// `None` when it would only fail again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { status: 429 | 503, retry_after_secs, .. } => {
                Some(Duration::from_secs(retry_after_secs.unwrap_or(1)))
            }
            Self::Unreachable { .. } => Some(RECONNECT),
            Self::Address(_) | Self::Refused { .. } | Self::Unexpected { .. } => None,
        }
    }
}

/// How calls prove who makes them.
#[derive(Debug, Clone)]
pub enum Credential {
    /// `btauth/1` signatures.
    Key(Arc<Keypair>),
    /// `X-Dev-Hotkey`, believed by a server in `--dev` only.
    Dev(Hotkey),
    /// `Authorization: Bearer`.
    ApiKey(Arc<str>),
}

/// Where a server is and whom it signs as.
#[derive(Debug, Clone)]
pub struct Server {
    http: reqwest::Client,
    base: Url,
    hotkey: Hotkey,
}

#[derive(Deserialize)]
struct IdentityAnswer {
    hotkey: Hotkey,
}

/// The fields of problem+json that are read here.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    code: Option<String>,
    detail: Option<String>,
}

impl Server {
    /// Learns the hotkey of the server at `url` from `GET /api/v1/identity`.
    ///
    /// # Errors
    /// [`ApiError`] when nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, ApiError> {
        let bad = || ApiError::Address(url.to_owned());
        let base = Url::parse(url).map_err(|_| bad())?;
        let http = reqwest::Client::builder().timeout(TIMEOUT).build().map_err(|_| bad())?;
        let target = "/api/v1/identity";
        let request = http.get(base.join(target).map_err(|_| bad())?);
        let answer: IdentityAnswer =
            read_json(target, checked(target, request.send().await).await?).await?;
        Ok(Self { http, base, hotkey: answer.hotkey })
    }

    /// A client of this server that calls as `credential`. Connections are shared.
    #[must_use]
    pub fn caller(&self, credential: Credential) -> Api {
        Api { server: self.clone(), credential, nonces: Arc::default() }
    }

    /// The server's own hotkey: the receiver of signed requests.
    #[must_use]
    pub fn hotkey(&self) -> &Hotkey {
        &self.hotkey
    }
}

/// One caller of one server. Clones share the caller's nonces.
#[derive(Debug, Clone)]
pub struct Api {
    server: Server,
    credential: Credential,
    nonces: Arc<Nonces>,
}

impl Api {
    /// Makes the call and reads the JSON answer.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ApiError> {
        let response = self.send(call).await?;
        read_json(&call.target, response).await
    }

    /// Makes the call and reads the bytes of the answer.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn bytes(&self, call: &Call) -> Result<Vec<u8>, ApiError> {
        let response = self.send(call).await?;
        let bytes = response.bytes().await;
        let unreachable = |source| ApiError::Unreachable { target: call.target.clone(), source };
        Ok(bytes.map_err(unreachable)?.to_vec())
    }

    /// As [`Api::json`], but waits and repeats while the server is busy or away, at most `tries`
    /// times. Only for calls that may arrive twice: reads, answers, and creations with a key.
    ///
    /// # Errors
    /// [`ApiError`]; a busy server after the last try.
    pub async fn json_patiently<T: DeserializeOwned>(
        &self,
        call: &Call,
        tries: u32,
    ) -> Result<T, ApiError> {
        let mut left = tries;
        loop {
            let error = match self.json(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            left = left.saturating_sub(1);
            match error.retry_after() {
                Some(pause) if left > 0 => tokio::time::sleep(pause).await,
                _ => return Err(error),
            }
        }
    }

    async fn send(&self, call: &Call) -> Result<Response, ApiError> {
        let url = self.server.base.join(&call.target);
        let url = url.map_err(|_| ApiError::Address(call.target.clone()))?;
        if url.origin() != self.server.base.origin() {
            // A credential is for the server it was made for, whatever a link in an answer says.
            return Err(ApiError::Address(call.target.clone()));
        }
        let mut request = self.server.http.request(call.method.clone(), url.clone());
        if !call.content_type.is_empty() {
            request = request.header(CONTENT_TYPE, &call.content_type);
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        for (name, value) in self.proof(call, &url) {
            request = request.header(name, value);
        }
        checked(&call.target, request.body(call.body.clone()).send().await).await
    }

    fn proof(&self, call: &Call, url: &Url) -> Vec<(&'static str, String)> {
        match &self.credential {
            Credential::ApiKey(key) => vec![("Authorization", format!("Bearer {key}"))],
            Credential::Dev(hotkey) => vec![("X-Dev-Hotkey", hotkey.to_string())],
            Credential::Key(keypair) => {
                // What is signed is what is sent, so it is taken from the encoded URL.
                let target = match url.query() {
                    Some(query) => format!("{}?{query}", url.path()),
                    None => url.path().to_owned(),
                };
                let nonce = self.nonces.next(unix_ns());
                let method = call.method.as_str();
                let receiver = &self.server.hotkey;
                btauth::sign_request(keypair, method, &target, &call.body, receiver, nonce)
            }
        }
    }
}

/// The clock in the unit of nonces.
fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

async fn checked(
    target: &str,
    outcome: Result<Response, reqwest::Error>,
) -> Result<Response, ApiError> {
    let response =
        outcome.map_err(|source| ApiError::Unreachable { target: target.to_owned(), source })?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after_secs =
        retry_after.and_then(|value| value.to_str().ok()).and_then(|secs| secs.parse().ok());
    let problem: Problem = response.json().await.unwrap_or_default();
    Err(ApiError::Refused {
        target: target.to_owned(),
        status: status.as_u16(),
        code: problem.code.unwrap_or_else(|| format!("http_{}", status.as_u16())),
        detail: problem.detail.unwrap_or_else(|| "no detail given".to_owned()),
        retry_after_secs,
    })
}

async fn read_json<T: DeserializeOwned>(target: &str, response: Response) -> Result<T, ApiError> {
    response.json().await.map_err(|error| ApiError::Unexpected {
        target: target.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
