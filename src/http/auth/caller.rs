//! Callers by what they may do. A handler that takes a [`MinerCaller`] cannot be reached by anybody
//! else: the rule is in its signature.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::keys::{KeyCaller, Scope};
use super::signed::{Unproven, state};
use crate::actors::consensus::Reporter;
use crate::actors::directory::Entry;
use crate::domain::chain::{Denied, Place, Role};
use crate::domain::ids::{Hotkey, MinerUid};
use crate::domain::limits::SNAPSHOT_AGAIN_SECS;
use crate::domain::units::Stake;
use crate::http::Web;
use crate::http::error::{ApiError, ApiResult, Code};
use crate::store::Nonce;

/// Who calls, as the credentials say.
#[derive(Clone)]
pub enum Caller {
    /// No credentials.
    Nobody,
    /// Development without credentials: may do what an admin may.
    Developer,
    /// An API key.
    Key(KeyCaller),
    /// Somebody with a hotkey.
    Signer {
        /// The hotkey.
        hotkey: Hotkey,
        /// The nonce; absent in development.
        nonce: Option<Nonce>,
    },
    /// An upload whose signature is yet to be proven; good for nothing before.
    Unproven(Unproven),
}

impl Caller {
    /// Who it is, when that is proven.
    pub(in crate::http) fn name(&self) -> Option<String> {
        match self {
            Self::Key(key) => Some(key.id.clone()),
            Self::Signer { hotkey, .. } => Some(hotkey.to_string()),
            Self::Nobody | Self::Developer | Self::Unproven(_) => None,
        }
    }
}

/// What to say to somebody without credentials.
pub(super) fn who() -> ApiError {
    ApiError::new(
        Code::Unauthenticated,
        "send an API key (`Authorization: Bearer pit_..` or `X-API-Key`) or sign the request \
         (btauth/1; GET /api/v1/identity tells the receiver)",
    )
}

/// What to say to a signed upload where none is taken: its signature covers what is never read.
fn no_upload() -> ApiError {
    ApiError::new(
        Code::UnsupportedMedia,
        "`multipart/form-data` is not taken here: send JSON or a form",
    )
}

fn forbidden(what: &str) -> ApiError {
    ApiError::new(Code::Forbidden, format!("this is for {what} only"))
}

macro_rules! extractor {
    ($caller:ty) => {
        impl FromRequest for $caller {
            type Error = ApiError;
            type Future = Ready<Result<Self, ApiError>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let extensions = request.extensions();
                let caller = extensions.get::<Caller>().unwrap_or(&Caller::Nobody);
                ready(state(request).and_then(|web| Self::of(web, caller)))
            }
        }
    };
}

/// A client: an API key, or a signer that is known here.
#[derive(Debug, Clone)]
pub struct ClientCaller {
    /// Who owns what it makes.
    pub owner: String,
    /// Whether it sees everybody's.
    pub admin: bool,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

impl ClientCaller {
    pub(in crate::http) fn of(web: &Web, caller: &Caller) -> ApiResult<Self> {
        match caller {
            Caller::Nobody => Err(who()),
            Caller::Unproven(_) => Err(no_upload()),
            Caller::Developer => Ok(Self { owner: "dev".to_owned(), admin: true, nonce: None }),
            Caller::Key(key) => {
                let admin = key.scopes.contains(&Scope::Admin);
                if !admin && !key.scopes.contains(&Scope::Client) {
                    return Err(forbidden("clients"));
                }
                bearer_let_in(web, key)?;
                Ok(Self { owner: key.id.clone(), admin, nonce: None })
            }
            Caller::Signer { hotkey, nonce } => {
                let Some(role) = web.roles.borrow().configured(hotkey) else {
                    return Err(forbidden("clients with an API key"));
                };
                let_in(web, hotkey)?;
                let admin = role == Role::Operator;
                Ok(Self { owner: hotkey.to_string(), admin, nonce: nonce.clone() })
            }
        }
    }

    /// Whether something of this owner is visible to the caller.
    #[must_use]
    pub fn sees(&self, owner: &str) -> bool {
        self.admin || self.owner == owner
    }
}
extractor!(ClientCaller);

/// A miner with an actor.
#[derive(Clone)]
pub struct MinerCaller {
    /// Its entry in the directory.
    pub entry: Arc<Entry>,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

impl MinerCaller {
    pub(in crate::http) fn of(web: &Web, caller: &Caller) -> ApiResult<Self> {
        let (hotkey, nonce) = match caller {
            Caller::Nobody => return Err(who()),
            Caller::Unproven(_) => return Err(no_upload()),
            Caller::Developer => return Err(forbidden("miners (name one in `X-Dev-Hotkey`)")),
            Caller::Signer { hotkey, nonce } => (hotkey, nonce.clone()),
            Caller::Key(key) => match key.scopes.iter().find(|s| matches!(s, Scope::Miner(_))) {
                Some(Scope::Miner(hotkey)) => (hotkey, None),
                _ => return Err(forbidden("miners")),
            },
        };
        let vouched = web.roles.borrow().miner(hotkey, web.clock.now());
        vouched.map_err(|why| denied(web, hotkey, why))?;
        let entry = web.directory.by_hotkey(hotkey).ok_or_else(|| {
            ApiError::new(
                Code::NotRegistered,
                format!("no validator has reported a miner with the hotkey `{hotkey}` lately"),
            )
        })?;
        Ok(Self { entry, nonce })
    }

    /// Checks the uid that the request names.
    ///
    /// # Errors
    /// 403 when it is another one.
    pub fn check(&self, uid: MinerUid) -> ApiResult<()> {
        if self.entry.uid == uid {
            return Ok(());
        }
        Err(ApiError::new(Code::UidMismatch, format!("your uid is {}, not {uid}", self.entry.uid)))
    }
}
extractor!(MinerCaller);

/// A validator.
#[derive(Debug, Clone)]
pub struct ValidatorCaller {
    /// Its hotkey.
    pub hotkey: Hotkey,
    /// Its uid; absent in development for a hotkey that is not configured.
    pub uid: Option<u16>,
    /// Its stake, where known.
    pub stake: Option<Stake>,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

impl ValidatorCaller {
    pub(in crate::http) fn of(web: &Web, caller: &Caller) -> ApiResult<Self> {
        let (hotkey, nonce) = validator(caller)?;
        let place = web.roles.borrow().validator(&hotkey, web.clock.now());
        match place {
            Ok(Place { uid, stake }) => {
                Ok(Self { hotkey, uid: Some(uid), stake: Some(stake), nonce })
            }
            Err(Denied::Unknown) if web.config.auth.dev => {
                Ok(Self { hotkey, uid: None, stake: None, nonce })
            }
            Err(why) => Err(denied(web, &hotkey, why)),
        }
    }

    /// The caller as a reporter; the uid that the body names is checked, never trusted.
    ///
    /// # Errors
    /// 403 when it is another one than is known.
    pub fn reporter(&self, named: Option<u16>) -> ApiResult<Reporter> {
        let uid = match (self.uid, named) {
            (Some(own), Some(named)) if own != named => {
                return Err(ApiError::new(
                    Code::UidMismatch,
                    format!("your `validator_uid` is {own}, not {named}"),
                ));
            }
            (own, named) => own.or(named).unwrap_or_default(),
        };
        Ok(Reporter { hotkey: self.hotkey.clone(), uid, stake: self.stake })
    }
}
extractor!(ValidatorCaller);

/// Whom a signer, or the bearer of a key, claims to be as a validator.
fn validator(caller: &Caller) -> ApiResult<(Hotkey, Option<Nonce>)> {
    match caller {
        Caller::Nobody => Err(who()),
        Caller::Unproven(_) => Err(no_upload()),
        Caller::Developer => Err(forbidden("validators (name one in `X-Dev-Hotkey`)")),
        Caller::Signer { hotkey, nonce } => Ok((hotkey.clone(), nonce.clone())),
        Caller::Key(key) => match key.scopes.iter().find(|s| matches!(s, Scope::Validator(_))) {
            Some(Scope::Validator(hotkey)) => Ok((hotkey.clone(), None)),
            _ => Err(forbidden("validators")),
        },
    }
}

/// A validator whose word on the chain may count. One that the operator named may always speak of it,
/// with a permit or without: it is how a chain that knows none of them becomes known again. What its
/// word weighs is another question.
#[derive(Debug, Clone)]
pub struct WitnessCaller(pub ValidatorCaller);

impl WitnessCaller {
    pub(in crate::http) fn of(web: &Web, caller: &Caller) -> ApiResult<Self> {
        let (hotkey, nonce) = validator(caller)?;
        let_in(web, &hotkey)?;
        let (named, uid) = {
            let roles = web.roles.borrow();
            (roles.configured(&hotkey) == Some(Role::Validator), roles.uid(&hotkey))
        };
        if named {
            return Ok(Self(ValidatorCaller { hotkey, uid, stake: None, nonce }));
        }
        ValidatorCaller::of(web, caller).map(Self)
    }
}
extractor!(WitnessCaller);

/// Refuses whom the operator shut out.
fn let_in(web: &Web, hotkey: &Hotkey) -> ApiResult<()> {
    let now = web.clock.now();
    let vouched = web.roles.borrow().let_in(hotkey, now);
    vouched.map_err(|why| denied(web, hotkey, why))
}

/// The same for keys that stand for hotkeys; one of an operator is his own.
fn bearer_let_in(web: &Web, key: &KeyCaller) -> ApiResult<()> {
    match key.hotkey() {
        // Nothing but its hotkey: it may what that may.
        Some(hotkey) if !key.scopes.iter().any(|s| matches!(s, Scope::Admin | Scope::Client)) => {
            vouched(web, hotkey)
        }
        Some(hotkey) if !key.scopes.contains(&Scope::Admin) => let_in(web, hotkey),
        Some(_) | None => Ok(()),
    }
}

/// Whether anybody vouches for a hotkey now, as whatever.
fn vouched(web: &Web, hotkey: &Hotkey) -> ApiResult<()> {
    let reported = web.config.auth.dev || web.directory.by_hotkey(hotkey).is_some();
    let vouched = web.roles.borrow().anybody(hotkey, reported, web.clock.now());
    match vouched {
        Err(Denied::Unknown) if web.config.auth.dev => Ok(()),
        outcome => outcome.map_err(|why| denied(web, hotkey, why)),
    }
}

/// What to say to somebody whom nobody vouches for.
fn denied(web: &Web, hotkey: &Hotkey, why: Denied) -> ApiError {
    let detail = format!("`{hotkey}` {why}");
    match why {
        Denied::NoPermit { .. } | Denied::Quarantined { .. } => {
            ApiError::new(Code::Forbidden, detail)
        }
        Denied::Unknown | Denied::Gone { .. } => ApiError::new(Code::NotRegistered, detail),
        Denied::Old { .. } => {
            // Whoever could not answer meanwhile is not to blame.
            web.overload.note(web.clock.now());
            ApiError::new(Code::SnapshotOld, detail).retry_after(SNAPSHOT_AGAIN_SECS)
        }
    }
}

/// Somebody who may run this server.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Who, for the audit: `key:<id>`, a hotkey, `dev`.
    pub name: String,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

impl Admin {
    pub(in crate::http) fn of(web: &Web, caller: &Caller) -> ApiResult<Self> {
        match caller {
            Caller::Nobody => Err(who()),
            Caller::Unproven(_) => Err(no_upload()),
            Caller::Developer => Ok(Self { name: "dev".to_owned(), nonce: None }),
            Caller::Key(key) if key.scopes.contains(&Scope::Admin) => {
                Ok(Self { name: format!("key:{}", key.id), nonce: None })
            }
            Caller::Signer { hotkey, nonce }
                if web.roles.borrow().configured(hotkey) == Some(Role::Operator) =>
            {
                Ok(Self { name: hotkey.to_string(), nonce: nonce.clone() })
            }
            Caller::Key(_) | Caller::Signer { .. } => Err(forbidden("operators")),
        }
    }
}
extractor!(Admin);

/// Anybody with credentials.
#[derive(Clone)]
pub struct AnyCaller(pub Caller);

impl AnyCaller {
    pub(in crate::http) fn of(web: &Web, caller: &Caller) -> ApiResult<Self> {
        match caller {
            Caller::Nobody => Err(who()),
            Caller::Unproven(_) => Err(no_upload()),
            Caller::Developer => Ok(Self(caller.clone())),
            Caller::Key(key) => bearer_let_in(web, key).map(|()| Self(caller.clone())),
            Caller::Signer { hotkey, .. } => vouched(web, hotkey).map(|()| Self(caller.clone())),
        }
    }
}
extractor!(AnyCaller);
