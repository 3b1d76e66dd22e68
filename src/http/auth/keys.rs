//! API keys: looked up by their public part, compared in constant time. Only hashes are kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use actix_web::{HttpMessage, HttpRequest};

use super::caller::Caller;
use crate::domain::ids::Hotkey;
use crate::domain::units::Millis;
use crate::http::error::{ApiError, ApiResult, Code};
use crate::identity::ApiKey;
use crate::store::{KeyLimits, KeyRow};

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
    /// What it may use.
    pub limits: KeyLimits,
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

fn invalid() -> ApiError {
    ApiError::new(Code::Unauthenticated, "the API key is not valid")
}

/// The id of the key that a request came with, if it came with one.
pub(in crate::http) fn key_of(request: &HttpRequest) -> Option<String> {
    match request.extensions().get::<Caller>() {
        Some(Caller::Key(key)) => Some(key.id.clone()),
        _ => None,
    }
}

/// Requests that a caller may have in flight, as far as it has a limit of its own.
pub(in crate::http) fn places(caller: &Caller) -> usize {
    let own = match caller {
        Caller::Key(key) => key.limits.in_flight,
        Caller::Nobody | Caller::Developer | Caller::Signer { .. } | Caller::Unproven(_) => None,
    };
    own.map_or(usize::MAX, |own| usize::try_from(own).unwrap_or(usize::MAX))
}

/// A key in memory.
#[derive(Debug)]
struct Held {
    row: KeyRow,
    scopes: Vec<Scope>,
    /// Unix ms; 0 when it was not used since the start.
    used_at: AtomicI64,
}

impl Held {
    fn new(row: KeyRow, used_at: i64) -> Self {
        let scopes = row.scopes.split(' ').filter_map(|scope| scope.parse().ok()).collect();
        Self { row, scopes, used_at: AtomicI64::new(used_at) }
    }

    /// Whether it may be used, by who has its secret.
    fn valid(&self, now: Millis) -> bool {
        self.row.revoked_at.is_none() && self.row.expires_at.is_none_or(|at| now < at)
    }

    fn known(&self) -> Known {
        let used_at = self.used_at.load(Ordering::Relaxed);
        Known { row: self.row.clone(), used_at: (used_at > 0).then_some(Millis(used_at)) }
    }
}

/// A key and its last use since the start.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its row.
    pub row: KeyRow,
    /// When it was last used; `None` when it was not since the start.
    pub used_at: Option<Millis>,
}

/// All keys, in memory; written through by whoever changes them.
#[derive(Debug, Default)]
pub struct Keys {
    held: RwLock<HashMap<String, Held>>,
    /// Held from the change of a row until it is seen here, so that changes are seen in their order.
    pub(in crate::http) changing: tokio::sync::Mutex<()>,
}

impl Keys {
    /// With these rows.
    #[must_use]
    pub fn new(rows: Vec<KeyRow>) -> Self {
        let keys = Self::default();
        rows.into_iter().for_each(|row| keys.put(row));
        keys
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Held>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds or replaces a key.
    pub fn put(&self, row: KeyRow) {
        let mut keys = self.write();
        let used_at = keys.get(&row.id).map_or(0, |held| held.used_at.load(Ordering::Relaxed));
        keys.insert(row.id.clone(), Held::new(row, used_at));
    }

    /// Takes a key back, with all of its secrets; one that was taken back before stays as it is.
    pub fn revoke(&self, id: &str, now: Millis) {
        if let Some(held) = self.write().get_mut(id) {
            held.row.revoked_at.get_or_insert(now);
        }
    }

    /// Whether a caller's key, if it came with one, is still valid: for answers that take long.
    ///
    /// # Errors
    /// 401 when it expired or was taken back meanwhile.
    pub fn still(&self, caller: Option<&str>, now: Millis) -> ApiResult<()> {
        let Some(id) = caller else { return Ok(()) };
        match self.read().get(id).is_some_and(|held| held.valid(now)) {
            true => Ok(()),
            false => Err(invalid()),
        }
    }

    /// All keys, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Known> {
        let mut keys: Vec<_> = self.read().values().map(Held::known).collect();
        keys.sort_by(|a, b| (a.row.created_at, &a.row.id).cmp(&(b.row.created_at, &b.row.id)));
        keys
    }

    /// One key.
    #[must_use]
    pub fn one(&self, id: &str) -> Option<Known> {
        self.read().get(id).map(Held::known)
    }

    /// What an owner may use; nothing of its own unless it is a key.
    #[must_use]
    pub fn limits(&self, owner: &str) -> KeyLimits {
        self.read().get(owner).map(|held| held.row.limits).unwrap_or_default()
    }

    /// Who holds this key. An unknown id is compared too, so that it takes as long as a wrong secret.
    ///
    /// # Errors
    /// 401 when it is unknown, wrong, expired or taken back; 403 when it is bound to a hotkey and
    /// such keys are off.
    pub fn caller(&self, key: &ApiKey, bound_keys: bool, now: Millis) -> ApiResult<Caller> {
        let keys = self.read();
        let held = keys.get(key.id());
        let row = held.map(|held| &held.row);
        let newest = row.map(|row| &row.secret_hash);
        let proven = key.matches_either(newest, row.and_then(|row| row.old_secret(now)));
        let valid = held.filter(|held| proven && held.valid(now));
        let Held { row, scopes, used_at } = valid.ok_or_else(invalid)?;
        let caller = KeyCaller { id: row.id.clone(), scopes: scopes.clone(), limits: row.limits };
        if caller.hotkey().is_some() && !bound_keys {
            return Err(ApiError::new(
                Code::Forbidden,
                "keys bound to a hotkey are off here (`auth.hotkey_api_keys`); sign the request",
            ));
        }
        used_at.store(now.0, Ordering::Relaxed);
        Ok(Caller::Key(caller))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(now: i64) -> (ApiKey, KeyRow) {
        let key = ApiKey::generate();
        let row = KeyRow {
            scopes: "client".to_owned(),
            ..KeyRow::new(key.id(), key.hash(), Millis(now))
        };
        (key, row)
    }

    fn valid(keys: &Keys, key: &ApiKey, now: i64) -> bool {
        keys.caller(key, false, Millis(now)).is_ok()
    }

    #[test]
    fn the_old_secret_ends_with_its_time_and_both_end_with_the_key() {
        let (old, row) = key(0);
        let new = old.rotated();
        let keys = Keys::new(vec![KeyRow {
            secret_hash: new.hash(),
            old_secret_hash: Some(old.hash()),
            old_secret_until: Some(Millis(100)),
            rotated_at: Some(Millis(10)),
            ..row
        }]);
        assert!(valid(&keys, &new, 99) && valid(&keys, &old, 99));
        assert!(valid(&keys, &new, 100) && !valid(&keys, &old, 100));
        assert!(!valid(&keys, &old.rotated(), 50), "a third one");
        let still = |at| keys.still(Some(new.id()), Millis(at)).is_ok();
        assert!(still(50));
        keys.revoke(new.id(), Millis(50));
        assert!(!valid(&keys, &new, 50) && !valid(&keys, &old, 50) && !still(50));
        keys.revoke(new.id(), Millis(60));
        assert_eq!(keys.one(new.id()).unwrap().row.revoked_at, Some(Millis(50)));
        assert!(keys.still(None, Millis(50)).is_ok(), "who came without a key");
    }

    #[test]
    fn the_last_use_is_known_and_outlives_a_change() {
        let (key, row) = key(0);
        let keys = Keys::new(vec![row.clone()]);
        assert_eq!(keys.one(key.id()).unwrap().used_at, None);
        assert!(valid(&keys, &key, 7) && !valid(&keys, &key.rotated(), 8));
        keys.put(KeyRow { name: "renamed".to_owned(), ..row });
        let known = keys.one(key.id()).unwrap();
        assert_eq!((known.used_at, known.row.name.as_str()), (Some(Millis(7)), "renamed"));
    }
}
