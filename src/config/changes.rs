//! What of the configuration differs from the defaults, for the audit log: who ran this server by
//! which rules is to be known later.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Config;
use crate::domain::audit::{Entry, Fact, SYSTEM};
use crate::domain::units::Millis;

/// Longest value that is told as it is; of longer ones, such as lists of hotkeys, their hash.
const VALUE_BYTES_MAX: usize = 80;
/// Letters of a hash that are shown: enough to tell two configurations apart.
const HASH_LETTERS: usize = 16;

fn hash(text: &str) -> String {
    let mut hash = hex::encode(Sha256::digest(text));
    hash.truncate(HASH_LETTERS);
    hash
}

/// All values with their dotted keys; lists count as one.
fn flat(prefix: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if prefix.is_empty() { "" } else { "." };
                flat(&format!("{prefix}{dot}{name}"), value, into);
            }
        }
        other => {
            let text = other.to_string();
            let told = match text.len() > VALUE_BYTES_MAX {
                true => json!(format!("sha256:{}", hash(&text))),
                false => other.clone(),
            };
            into.insert(prefix.to_owned(), told);
        }
    }
}

impl Config {
    fn told(&self) -> BTreeMap<String, Value> {
        let mut told = BTreeMap::new();
        let value = serde_json::to_value(self.without_secrets()).unwrap_or_default();
        flat("", &value, &mut told);
        told
    }

    /// What the audit log is to be told at a start, when the configuration is not the one that it was
    /// told of last.
    #[must_use]
    pub fn news(&self, last: Option<&Entry>, now: Millis) -> Option<Fact> {
        let told = self.told();
        let digest = hash(&json!(told).to_string());
        if last.is_some_and(|last| last.fact.subject().starts_with(&digest)) {
            return None;
        }
        let usual = Self::default().told();
        let differs: Map<String, Value> =
            told.into_iter().filter(|(key, value)| usual.get(key) != Some(value)).collect();
        let before = last.and_then(|last| last.fact.detail()["differs"].as_object());
        let changed: Option<Vec<&String>> = before.map(|before| {
            let keys = before.keys().chain(differs.keys().filter(|key| !before.contains_key(*key)));
            keys.filter(|key| before.get(*key) != differs.get(*key)).collect()
        });
        let detail = json!({ "changed": changed, "differs": differs });
        let subject = format!("{digest} at {}", now.rfc3339());
        Some(Fact::new(SYSTEM, "config.changed", &subject, &detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::Head;

    fn entry(fact: Fact) -> Entry {
        Head::default().link("49", fact, Millis(0))
    }

    #[test]
    fn a_change_is_told_with_its_keys_and_the_same_is_not() {
        let database = Some("postgres://u:hush@host/db".to_owned());
        let mut config = Config { database, ..Config::default() };
        let first = config.news(None, Millis(0)).unwrap();
        assert_eq!(first.detail()["changed"], Value::Null);
        assert_eq!(first.detail()["differs"], json!({ "database": "postgres://u:hidden@host/db" }));
        let first = entry(first);
        assert_eq!(config.news(Some(&first), Millis(9)), None);
        config.limits.parked = 7;
        config.database = None;
        let second = config.news(Some(&first), Millis(9)).unwrap();
        assert_eq!(second.detail()["changed"], json!(["database", "limits.parked"]));
        assert_eq!(second.detail()["differs"], json!({ "limits.parked": 7 }));
        let second = entry(second);
        let back = Config::default();
        let third = back.news(Some(&second), Millis(10)).unwrap();
        assert_eq!(third.detail()["changed"], json!(["limits.parked"]));
        assert_eq!(third.detail()["differs"], json!({}));
    }

    #[test]
    fn long_lists_are_told_by_their_hash() {
        let mut config = Config::default();
        let hotkey = |n: usize| crate::config::RoleEntry {
            hotkey: format!("5Validator{n}"),
            role: crate::config::Role::Validator,
            uid: 1,
            stake: 2.0,
        };
        config.auth.hotkeys = (0..64).map(hotkey).collect();
        let told = config.news(None, Millis(0)).unwrap();
        let list = told.detail()["differs"]["auth.hotkeys"].as_str().unwrap().to_owned();
        assert!(list.starts_with("sha256:"), "{list}");
        config.auth.hotkeys[5].stake = 3.0;
        let other = config.news(Some(&entry(told)), Millis(0)).unwrap();
        assert_eq!(other.detail()["changed"], json!(["auth.hotkeys"]));
    }
}
