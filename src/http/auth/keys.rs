//! API keys: looked up by their public part, compared in constant time. Only hashes are kept.

use std::collections::HashMap;
use std::sync::RwLock;

use super::caller::Caller;
use crate::domain::ids::Hotkey;
use crate::domain::units::Millis;
use crate::http::error::{ApiError, ApiResult, Code};
use crate::identity::ApiKey;
use crate::store::KeyRow;

/// What a key may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Submit tasks and see its own.
    Client,
    /// Everything.
    Admin,
    /// Act as this miner.
    Miner(Hotkey),
    /// Act as this validator.
    Validator(Hotkey),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Admin => f.write_str("admin"),
            Self::Miner(hotkey) => write!(f, "miner:{hotkey}"),
            Self::Validator(hotkey) => write!(f, "validator:{hotkey}"),
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hotkey = |text: &str| Hotkey::parse(text).map_err(|error| error.to_string());
        match text.split_once(':') {
            None if text == "client" => Ok(Self::Client),
            None if text == "admin" => Ok(Self::Admin),
            Some(("miner", key)) => hotkey(key).map(Self::Miner),
            Some(("validator", key)) => hotkey(key).map(Self::Validator),
            _ => Err(format!(
                "`{text}` is no scope: use `client`, `admin`, `miner:<hotkey>` or \
                 `validator:<hotkey>`"
            )),
        }
    }
}

/// A valid key, as handlers see it.
#[derive(Debug, Clone)]
pub struct KeyCaller {
    /// The key's public part: the owner of what it makes.
    pub id: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
}

impl KeyCaller {
    /// The hotkey that the key is bound to, if it is.
    #[must_use]
    pub fn hotkey(&self) -> Option<&Hotkey> {
        self.scopes.iter().find_map(|scope| match scope {
            Scope::Miner(hotkey) | Scope::Validator(hotkey) => Some(hotkey),
            Scope::Client | Scope::Admin => None,
        })
    }
}

/// All keys, in memory; written through by whoever changes them.
#[derive(Debug, Default)]
pub struct Keys(RwLock<HashMap<String, KeyRow>>);

impl Keys {
    /// With these rows.
    #[must_use]
    pub fn new(rows: Vec<KeyRow>) -> Self {
        Self(RwLock::new(rows.into_iter().map(|row| (row.id.clone(), row)).collect()))
    }

    /// Adds or replaces a key.
    pub fn put(&self, row: KeyRow) {
        let mut keys = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        keys.insert(row.id.clone(), row);
    }

    /// Takes a key back.
    pub fn revoke(&self, id: &str, now: Millis) {
        let mut keys = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(row) = keys.get_mut(id) {
            row.revoked_at = Some(now);
        }
    }

    /// All keys.
    #[must_use]
    pub fn all(&self) -> Vec<KeyRow> {
        let keys = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut rows: Vec<_> = keys.values().cloned().collect();
        rows.sort_by_key(|row| (row.created_at, row.id.clone()));
        rows
    }

    /// Who holds this key.
    ///
    /// # Errors
    /// 401 when it is unknown, wrong, expired or taken back; 403 when it is bound to a hotkey and
    /// such keys are off.
    pub fn caller(&self, key: &ApiKey, bound_keys: bool, now: Millis) -> ApiResult<Caller> {
        let keys = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let row = keys.get(key.id()).filter(|row| key.matches(&row.secret_hash));
        let valid =
            row.filter(|row| row.revoked_at.is_none() && row.expires_at.is_none_or(|at| now < at));
        let wrong = || ApiError::new(Code::Unauthenticated, "the API key is not valid");
        let row = valid.ok_or_else(wrong)?;
        let scopes = row.scopes.split(' ').filter_map(|scope| scope.parse().ok()).collect();
        let caller = KeyCaller { id: row.id.clone(), scopes };
        if caller.hotkey().is_some() && !bound_keys {
            return Err(ApiError::new(
                Code::Forbidden,
                "keys bound to a hotkey are off here (`auth.hotkey_api_keys`); sign the request",
            ));
        }
        Ok(Caller::Key(caller))
    }
}
