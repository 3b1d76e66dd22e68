//! Signed requests: `btauth/1` over the exact wire target and the raw body.
//!
//! A body is read and hashed before the handler sees it. Uploads are too large for that: they are
//! hashed while they stream to the disk, and their handler proves the signature afterwards, before
//! anything takes effect ([`UploadCaller`]).

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};

use super::caller::{Caller, ClientCaller, MinerCaller};
use crate::domain::limits::REPORT_BYTES_MAX;
use crate::http::Web;
use crate::http::budget::Told;
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::strangers::Standing;
use crate::http::upload::read_body;
use crate::identity::Claim;
use crate::store::Nonce;

/// Checks a claim; for an upload only what can be checked before the body.
pub(super) async fn verify(
    web: &Web,
    request: &mut ServiceRequest,
    claim: Claim,
) -> ApiResult<Caller> {
    claim.check_window(web.clock.now_nanos(), web.hotkey())?;
    if !web.replays.covers(claim.nonce()) {
        return Err(ApiError::new(
            Code::StaleSignature,
            "signed before this server started, which may have taken it already; sign it anew",
        ));
    }
    let method = request.method().as_str().to_owned();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    if is_upload(request) {
        let hasher = Rc::new(RefCell::new(Sha256::new()));
        let inner = request.take_payload();
        let hashed = Hashed { inner, hasher: hasher.clone() };
        request.set_payload(Payload::Stream { payload: Box::pin(hashed) });
        let (told, standing) = (Told::of(request), Standing::of(&request.extensions()));
        let unproven = Unproven { claim, method, target, hasher, told, standing };
        return Ok(Caller::Unproven(unproven));
    }
    let limit = if request.path().ends_with("/miner-status") {
        REPORT_BYTES_MAX + REPORT_BYTES_MAX / 2
    } else {
        crate::domain::limits::RESPONSE_BYTES_MAX + crate::domain::limits::BODY_BYTES_MAX
    };
    let body = read_body(request.take_payload(), limit).await?;
    let hash: [u8; 32] = Sha256::digest(&body).into();
    request.set_payload(Payload::from(body));
    prove(web, &claim, &method, &target, &hash)
}

fn is_upload(request: &ServiceRequest) -> bool {
    let content_type = request.headers().get("content-type").and_then(|v| v.to_str().ok());
    content_type.is_some_and(|text| text.to_ascii_lowercase().starts_with("multipart/"))
}

/// The signature first, then the nonce: only what was truly signed is remembered.
fn prove(
    web: &Web,
    claim: &Claim,
    method: &str,
    target: &str,
    hash: &[u8; 32],
) -> ApiResult<Caller> {
    let hotkey = claim.verify(method, target, hash)?;
    let now = web.clock.now();
    let nonce = i64::try_from(claim.nonce())
        .map_err(|_| ApiError::new(Code::Unauthenticated, "the nonce is out of range"))?;
    if !web.replays.remember(&hotkey, nonce, now) {
        return Err(crate::store::StoreError::Replayed.into());
    }
    let nonce = Nonce { hotkey: hotkey.clone(), nonce, seen_at: now };
    Ok(Caller::Signer { hotkey, nonce: Some(nonce) })
}

/// A signed upload whose body has not been seen yet.
#[derive(Clone)]
pub struct Unproven {
    claim: Claim,
    method: String,
    target: String,
    hasher: Rc<RefCell<Sha256>>,
    told: Told,
    standing: Standing,
}

/// The caller of an upload: proven, or to be proven once the body was read to its end.
pub struct UploadCaller(Caller);

impl UploadCaller {
    /// Proves the signature over the body that was read, and that the signer is a miner.
    ///
    /// # Errors
    /// 401 when it does not hold, 403 when the signer is no miner.
    pub fn prove_miner(self, web: &Web) -> ApiResult<MinerCaller> {
        MinerCaller::of(web, &self.prove(web)?)
    }

    /// Proves the signature over the body that was read, and that the signer may be a client.
    ///
    /// # Errors
    /// 401 when it does not hold, 403 when the signer is none.
    pub fn prove_client(self, web: &Web) -> ApiResult<ClientCaller> {
        ClientCaller::of(web, &self.prove(web)?)
    }

    /// Says no early to who cannot be a client, whatever follows.
    ///
    /// # Errors
    /// 401 or 403.
    pub fn may_be_client(&self, web: &Web) -> ApiResult<()> {
        ClientCaller::of(web, &self.as_claimed()).map(drop)
    }

    /// Says no early to who cannot be a miner, whatever follows.
    ///
    /// # Errors
    /// 401, 403, or 503 while the chain's word is too old.
    pub fn may_be_miner(&self, web: &Web) -> ApiResult<()> {
        MinerCaller::of(web, &self.as_claimed()).map(drop)
    }

    fn as_claimed(&self) -> Caller {
        match &self.0 {
            Caller::Unproven(unproven) => {
                Caller::Signer { hotkey: unproven.claim.hotkey().clone(), nonce: None }
            }
            other => other.clone(),
        }
    }

    fn prove(self, web: &Web) -> ApiResult<Caller> {
        match self.0 {
            Caller::Unproven(unproven) => {
                let hash: [u8; 32] = unproven.hasher.borrow().clone().finalize().into();
                let caller =
                    prove(web, &unproven.claim, &unproven.method, &unproven.target, &hash)?;
                unproven.told.charge(web, &caller)?;
                // A key that anybody may have made proves nothing.
                if unproven.told.is_charged() {
                    unproven.standing.prove(web);
                }
                Ok(caller)
            }
            other => Ok(other),
        }
    }
}

impl FromRequest for UploadCaller {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Caller>().cloned();
        std::future::ready(caller.map(Self).ok_or_else(super::caller::who))
    }
}

/// Hashes what passes through.
struct Hashed {
    inner: Payload,
    hasher: Rc<RefCell<Sha256>>,
}

impl Stream for Hashed {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.inner.poll_next_unpin(cx);
        if let Poll::Ready(Some(Ok(bytes))) = &next {
            self.hasher.borrow_mut().update(bytes);
        }
        next
    }
}

/// The state, from a request.
pub(super) fn state(request: &HttpRequest) -> ApiResult<&web::Data<Web>> {
    let missing = || ApiError::new(Code::Internal, "the server's state is missing");
    request.app_data::<web::Data<Web>>().ok_or_else(missing)
}
