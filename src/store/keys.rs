//! API keys: their rows, the commands, and what the audit log hears of each. Both stores change rows
//! by the rules here.

use serde_json::{Value, json};

use super::{Hash, Nonce};
use crate::domain::audit::Fact;
use crate::domain::units::Millis;

/// What a key may use; the server's own limit where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyLimits {
    /// Requests per minute.
    pub requests_per_minute: Option<u32>,
    /// Requests at once.
    pub in_flight: Option<u32>,
    /// Tasks per day, in UTC; 0 for any number.
    pub tasks_per_day: Option<u32>,
}

/// An API key's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Public part.
    pub id: String,
    /// SHA-256 of the secret.
    pub secret_hash: Hash,
    /// What it is for.
    pub name: String,
    /// Scopes, separated by spaces.
    pub scopes: String,
    /// Made.
    pub created_at: Millis,
    /// Not valid from then on.
    pub expires_at: Option<Millis>,
    /// Taken back.
    pub revoked_at: Option<Millis>,
    /// SHA-256 of the secret before the last rotation.
    pub old_secret_hash: Option<Hash>,
    /// Until when that one is valid too.
    pub old_secret_until: Option<Millis>,
    /// When it got its secret, if that is not its first one.
    pub rotated_at: Option<Millis>,
    /// What it may use.
    pub limits: KeyLimits,
}

impl KeyRow {
    /// A key as it begins.
    #[must_use]
    pub fn new(id: &str, secret_hash: Hash, created_at: Millis) -> Self {
        Self {
            id: id.to_owned(),
            secret_hash,
            name: String::new(),
            scopes: String::new(),
            created_at,
            expires_at: None,
            revoked_at: None,
            old_secret_hash: None,
            old_secret_until: None,
            rotated_at: None,
            limits: KeyLimits::default(),
        }
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self, now: Millis) -> KeyState {
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if self.expires_at.is_some_and(|at| now >= at) {
            KeyState::Expired
        } else if self.old_secret(now).is_some() {
            KeyState::Rotating
        } else {
            KeyState::Active
        }
    }

    /// The hash of the secret before the last rotation, while that one is valid too.
    #[must_use]
    pub fn old_secret(&self, now: Millis) -> Option<&Hash> {
        self.old_secret_hash.as_ref().filter(|_| self.old_secret_until.is_some_and(|at| now < at))
    }
}

/// How a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is valid.
    Active,
    /// It is valid with two secrets.
    Rotating,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl KeyState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Rotating, Self::Expired, Self::Revoked];

    /// As it is told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Rotating => "rotating",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// Which operator changes something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The subnet, whose audit log hears of it.
    pub netuid: u16,
    /// In the words of the audit log: `key:<id>`, a hotkey, `cli`, `system`, `dev`.
    pub actor: String,
    /// Now.
    pub now: Millis,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// See [`super::Store::put_key`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutKey {
    /// The key.
    pub key: KeyRow,
    /// Who makes it.
    pub by: By,
}

/// See [`super::Store::change_key`]; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeKey {
    /// Which.
    pub id: String,
    /// What it is for.
    pub name: Option<String>,
    /// Scopes, separated by spaces.
    pub scopes: Option<String>,
    /// Not valid from then on; for ever valid when `Some(None)`.
    pub expires_at: Option<Option<Millis>>,
    /// Requests per minute; the server's limit when `Some(None)`, as with those below.
    pub requests_per_minute: Option<Option<u32>>,
    /// Requests at once.
    pub in_flight: Option<Option<u32>>,
    /// Tasks per day.
    pub tasks_per_day: Option<Option<u32>>,
    /// Who changes it.
    pub by: By,
}

/// See [`super::Store::rotate_key`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotateKey {
    /// Which.
    pub id: String,
    /// SHA-256 of the new secret.
    pub secret_hash: Hash,
    /// Until when the secret of now is valid too; it ends at once when that is not later than now.
    pub old_until: Millis,
    /// Who rotates it.
    pub by: By,
}

/// See [`super::Store::revoke_key`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeKey {
    /// Which.
    pub id: String,
    /// Who takes it back.
    pub by: By,
}

impl ChangeKey {
    /// Nothing but the key's id.
    #[must_use]
    pub const fn none(id: String, by: By) -> Self {
        Self {
            id,
            name: None,
            scopes: None,
            expires_at: None,
            requests_per_minute: None,
            in_flight: None,
            tasks_per_day: None,
            by,
        }
    }

    /// The row as it then is.
    pub(super) fn applied(&self, old: &KeyRow) -> KeyRow {
        let limits = KeyLimits {
            requests_per_minute: self.requests_per_minute.unwrap_or(old.limits.requests_per_minute),
            in_flight: self.in_flight.unwrap_or(old.limits.in_flight),
            tasks_per_day: self.tasks_per_day.unwrap_or(old.limits.tasks_per_day),
        };
        KeyRow {
            name: self.name.clone().unwrap_or_else(|| old.name.clone()),
            scopes: self.scopes.clone().unwrap_or_else(|| old.scopes.clone()),
            expires_at: self.expires_at.unwrap_or(old.expires_at),
            limits,
            ..old.clone()
        }
    }
}

impl RotateKey {
    /// The row as it then is. A try that is made again finds its secret there.
    pub(super) fn applied(&self, old: &KeyRow) -> KeyRow {
        if old.secret_hash == self.secret_hash {
            return old.clone();
        }
        let overlaps = self.old_until > self.by.now;
        KeyRow {
            secret_hash: self.secret_hash,
            old_secret_hash: overlaps.then_some(old.secret_hash),
            old_secret_until: overlaps.then_some(self.old_until),
            rotated_at: Some(self.by.now),
            ..old.clone()
        }
    }
}

/// What of a key may be told: everything but its hashes.
fn told(row: &KeyRow) -> Value {
    json!({
        "name": row.name,
        "scopes": row.scopes,
        "expires_at": row.expires_at.map(Millis::rfc3339),
        "requests_per_minute": row.limits.requests_per_minute,
        "in_flight": row.limits.in_flight,
        "tasks_per_day": row.limits.tasks_per_day,
    })
}

/// A key was made.
pub(super) fn created(PutKey { key, by }: &PutKey) -> Fact {
    Fact::new(&by.actor, "key.created", &key.id, &told(key))
}

/// A key was changed: what differs, as it was and as it is.
pub(super) fn changed(by: &By, from: &KeyRow, to: &KeyRow) -> Fact {
    let (mut old, mut new) = (told(from), told(to));
    if let (Value::Object(old), Value::Object(new)) = (&mut old, &mut new) {
        let same: Vec<String> = old
            .iter()
            .filter(|(name, value)| new.get(*name) == Some(value))
            .map(|(n, _)| n.clone())
            .collect();
        for name in same {
            old.remove(&name);
            new.remove(&name);
        }
    }
    Fact::new(&by.actor, "key.changed", &to.id, &json!({ "from": old, "to": new }))
}

/// A key got another secret.
pub(super) fn rotated(by: &By, to: &KeyRow) -> Fact {
    let until = to.old_secret_until.map(Millis::rfc3339);
    Fact::new(&by.actor, "key.rotated", &to.id, &json!({ "old_secret_until": until }))
}

/// A key was taken back.
pub(super) fn revoked(RevokeKey { id, by }: &RevokeKey) -> Fact {
    Fact::new(&by.actor, "key.revoked", id, &json!({}))
}
