//! Identifiers: newtypes so that no id can stand where another belongs.
//!
//! Row ids are UUIDv7 and made by the caller, never by the database, so that a command can be
//! repeated and two stores can be compared row by row.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// An identifier in text form that does not have the shape it should have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{got}` is not {expected}")]
pub struct BadId {
    /// What was received, cut to a printable length.
    pub got: String,
    /// What the shape should have been, as a noun phrase.
    pub expected: &'static str,
}

impl BadId {
    fn new(got: &str, expected: &'static str) -> Self {
        Self { got: got.chars().take(80).collect(), expected }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Uuid::try_parse(text).map(Self).map_err(|_| BadId::new(text, $noun))
            }
        }
    };
}

uuid_id!(
    /// One task, from submit to its end.
    TaskId,
    "a task id (a UUID)"
);
uuid_id!(
    /// One stored file: an input of a client or an output of a miner.
    FileId,
    "a file id (a UUID)"
);
uuid_id!(
    /// One voice of a client's catalogue.
    VoiceId,
    "a voice id (a UUID)"
);
uuid_id!(
    /// One registration of a miner: the row that everything about that miner refers to.
    RegistrationId,
    "a registration id (a UUID)"
);
uuid_id!(
    /// One report batch of a validator.
    ReportId,
    "a report id (a UUID)"
);
uuid_id!(
    /// One validator: the row that its reports and evaluations refer to.
    ValidatorId,
    "a validator id (a UUID)"
);

uuid_id!(
    /// One calculation of the current weights.
    RunId,
    "a run id (a UUID)"
);
uuid_id!(
    /// One endpoint of a client that wants to be told.
    WebhookId,
    "a webhook id (a UUID)"
);
uuid_id!(
    /// One event on its way to one receiver; the `webhook-id` of its message.
    DeliveryId,
    "a delivery id (a UUID)"
);

/// A miner's place in the subnet, 0..=65535. Uid 0 is valid.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct MinerUid(pub u16);

impl fmt::Display for MinerUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MinerUid {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        text.parse().map(Self).map_err(|_| BadId::new(text, "a uid (0 to 65535)"))
    }
}

/// A hotkey in text form. Whoever signs has a canonical ss58 address; what reports *say* about a
/// miner may be any short alphanumeric text, since the documents' own examples are no addresses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hotkey(Arc<str>);

impl Hotkey {
    /// Longest hotkey text, in bytes. An ss58 address of a 32-byte key has 47 to 49.
    pub const LEN_MAX: usize = 64;

    /// Takes 1 to 64 ASCII letters and digits (`_` and `-` too).
    ///
    /// # Errors
    /// [`BadId`] for anything else.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let fits = (1..=Self::LEN_MAX).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            Ok(Self(Arc::from(text)))
        } else {
            Err(BadId::new(text, "a hotkey (1 to 64 letters and digits)"))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hotkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Hotkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Hotkey {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        Self::parse(text)
    }
}

impl Serialize for Hotkey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hotkey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// One of the k answers that a task wants, and which try at it: the fencing token of a lease.
/// Text form `<task>.<slot>.<attempt>`. It is no secret: the signer must be the lease's holder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseToken {
    /// The task.
    pub task: TaskId,
    /// Which slot of it, from 0.
    pub slot: u16,
    /// Which attempt at the slot, from 1; only grows.
    pub attempt: u16,
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.task, self.slot, self.attempt)
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LeaseToken {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId::new(text, "a lease token (<task>.<slot>.<attempt>)");
        let mut parts = text.splitn(3, '.');
        let mut next = || parts.next().ok_or_else(bad);
        let task = next()?.parse().map_err(|_| bad())?;
        let slot = next()?.parse().map_err(|_| bad())?;
        let attempt = next()?.parse().map_err(|_| bad())?;
        Ok(Self { task, slot, attempt })
    }
}

impl Serialize for LeaseToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LeaseToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_token_survives_its_text_form() {
        let token = LeaseToken { task: TaskId(Uuid::now_v7()), slot: 3, attempt: 2 };
        assert_eq!(token.to_string().parse::<LeaseToken>(), Ok(token));
    }

    #[test]
    fn malformed_lease_tokens_are_refused() {
        for text in ["", "a.b.c", "0.0.0", &format!("{}.1", Uuid::nil()), "x".repeat(500).as_str()]
        {
            assert!(text.parse::<LeaseToken>().is_err(), "{text}");
        }
    }

    #[test]
    fn hotkeys_are_short_and_alphanumeric() {
        assert!(Hotkey::parse("abc123").is_ok());
        for text in ["", " ", "a b", "ü", &"a".repeat(65), "a/../b"] {
            assert!(Hotkey::parse(text).is_err(), "{text}");
        }
    }
}
