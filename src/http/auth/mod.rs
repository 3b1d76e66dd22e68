//! Who is calling. A middleware reads the credentials, checks them against the wire form of the
//! request, and leaves a [`Caller`] in the request's extensions. What a caller may do is in the
//! signature of each handler: see [`caller`].

pub mod caller;
mod failures;
pub mod keys;
mod replay;
mod signed;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

pub use caller::{
    Admin, AnyCaller, Caller, ClientCaller, MinerCaller, ValidatorCaller, WitnessCaller,
};
pub use failures::Failures;
pub(super) use failures::watch;
pub use keys::Keys;
pub use replay::Replays;
pub use signed::{Unproven, UploadCaller};

use super::Web;
use super::error::{ApiError, ApiResult, Code};
use crate::domain::ids::Hotkey;
use crate::identity::{ApiKey, Claim};

/// Middleware: finds out who calls. Wrong credentials are refused here; none at all are refused by
/// handlers that need some.
pub(super) async fn identify(
    web: web::Data<Web>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match caller(&web, &mut request).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.call(request).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn caller(web: &Web, request: &mut ServiceRequest) -> ApiResult<Caller> {
    let headers = request.headers();
    let claim = Claim::parse(|name| headers.get_all(name).map(|value| value.as_bytes()))?;
    if let Some(claim) = claim {
        web.budgets.admits(claim.hotkey())?;
        return signed::verify(web, request, claim).await;
    }
    if let Some(key) = api_key(request)? {
        return web.keys.caller(&key, web.config.auth.hotkey_api_keys, web.clock.now());
    }
    if web.config.auth.dev {
        return dev(request);
    }
    Ok(Caller::Nobody)
}

/// The API key in `X-API-Key` or as a bearer token, whichever is there.
fn api_key(request: &ServiceRequest) -> ApiResult<Option<ApiKey>> {
    let wrong = |_| ApiError::new(Code::Unauthenticated, "the API key is not valid");
    let headers = request.headers();
    let mut found = None;
    let bearer = |text: &str| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    };
    for value in headers.get_all("x-api-key") {
        let text = value.to_str().map_err(|_| ()).map_err(wrong)?;
        if found.replace(text.to_owned()).is_some() {
            return Err(ApiError::new(Code::Unauthenticated, "two API keys were sent"));
        }
    }
    if headers.get_all("authorization").nth(1).is_some() {
        return Err(ApiError::new(Code::Unauthenticated, "two `Authorization` headers were sent"));
    }
    if let Some(value) = headers.get("authorization") {
        let token = value.to_str().ok().and_then(bearer);
        let unknown = || ApiError::new(Code::Unauthenticated, "use `Authorization: Bearer pit_..`");
        let token = token.ok_or_else(unknown)?;
        if found.as_ref().is_some_and(|other| *other != token) {
            return Err(ApiError::new(Code::Unauthenticated, "two API keys were sent"));
        }
        found = Some(token);
    }
    found.map(|text| ApiKey::parse(&text).map_err(|_| wrong(()))).transpose()
}

/// Development: whoever the caller says it is; the server listens on loopback only.
fn dev(request: &ServiceRequest) -> ApiResult<Caller> {
    let Some(value) = request.headers().get("x-dev-hotkey") else { return Ok(Caller::Developer) };
    let hotkey = value.to_str().ok().and_then(|text| Hotkey::parse(text).ok());
    let wrong = || ApiError::new(Code::Unauthenticated, "`X-Dev-Hotkey` holds no hotkey");
    Ok(Caller::Signer { hotkey: hotkey.ok_or_else(wrong)?, nonce: None })
}
