//! The audit log: what happened that somebody may want to prove later. Each entry holds a hash over
//! itself and over the hash of the one before it, so that no entry can be altered, taken out or put
//! in between without all later hashes telling. Who cuts off the end is found only by somebody who
//! wrote down the newest hash elsewhere.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::limits::{AUDIT_DEPTH_MAX, AUDIT_DETAIL_BYTES_MAX, AUDIT_TEXT_CHARS_MAX};
use super::units::Millis;

/// Who acts where nobody asked for it: this server.
pub const SYSTEM: &str = "system";

/// Stands where something was cut off.
const CUT: char = '…';

/// First bytes of what is hashed, so that no other use of SHA-256 gives the same.
const FORM: &[u8] = b"pithead audit 1";

/// Something that happened, within the limits of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    actor: String,
    action: String,
    subject: String,
    detail: Value,
}

impl Fact {
    /// A fact about `subject`. What is too long is cut, with a mark; what not every database holds
    /// unchanged (numbers that are not whole, NUL) is written as text, or left out.
    #[must_use]
    pub fn new(actor: &str, action: &str, subject: &str, detail: &Value) -> Self {
        Self {
            actor: cut(actor),
            action: cut(action),
            subject: cut(subject),
            detail: cut_detail(detail),
        }
    }

    /// As it is stored, whatever that is: an altered entry must be seen as it was altered.
    #[must_use]
    pub const fn stored(actor: String, action: String, subject: String, detail: Value) -> Self {
        Self { actor, action, subject, detail }
    }

    /// Who did it: `system`, a hotkey, `key:<id>`.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// What was done, in lower case with dots: `weights.drift`.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// To what.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What else is to be known of it.
    #[must_use]
    pub const fn detail(&self) -> &Value {
        &self.detail
    }
}

fn cut(text: &str) -> String {
    let mut chars = text.chars().filter(|c| *c != '\0');
    let mut kept: String = chars.by_ref().take(AUDIT_TEXT_CHARS_MAX).collect();
    if chars.next().is_some() {
        kept.pop();
        kept.push(CUT);
    }
    kept
}

fn cut_detail(detail: &Value) -> Value {
    let plain = plain(detail, AUDIT_DEPTH_MAX);
    let text = canonical(&plain);
    if text.len() <= AUDIT_DETAIL_BYTES_MAX {
        return plain;
    }
    // Within quotes, a quote or a backslash takes two bytes.
    let most = AUDIT_DETAIL_BYTES_MAX / 2 - 32;
    let end = (0..=most).rev().find(|place| text.is_char_boundary(*place)).unwrap_or_default();
    let begin = text.get(..end).unwrap_or_default();
    json!({ "cut": format!("{begin}{CUT}") })
}

/// The value in the form that both databases give back as they got it.
fn plain(value: &Value, deeper: usize) -> Value {
    let text = |text: &str| text.replace('\0', "");
    match value {
        Value::Number(number) if number.is_f64() => Value::String(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(string) => Value::String(text(string)),
        Value::Array(_) | Value::Object(_) if deeper == 0 => Value::String(CUT.to_string()),
        Value::Array(list) => list.iter().map(|value| plain(value, deeper - 1)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (text(name), plain(value, deeper - 1))).collect()
        }
    }
}

/// JSON without spaces, fields by name.
fn canonical(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            let list: Vec<_> = list.iter().map(canonical).collect();
            format!("[{}]", list.join(","))
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            let field = |(name, value): (&String, &Value)| {
                format!("{}:{}", Value::from(name.as_str()), canonical(value))
            };
            let fields: Vec<_> = fields.into_iter().map(field).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// A fact in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose log: the subnet of the server.
    pub writer: String,
    /// Its number there, from 1.
    pub seq: i64,
    /// Written at.
    pub at: Millis,
    /// What happened.
    pub fact: Fact,
    /// SHA-256 over all of the above and the hash of the entry before it.
    pub hash: [u8; 32],
}

/// The end of a log; nothing for one that is to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Number of the newest entry.
    pub seq: i64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Head {
    /// Puts a fact behind this end, which is then the end.
    #[must_use]
    pub fn link(&mut self, writer: &str, fact: Fact, at: Millis) -> Entry {
        let seq = self.seq.saturating_add(1);
        let hash = [0; 32];
        let mut entry = Entry { writer: writer.to_owned(), seq, at, fact, hash };
        entry.hash = entry.hash_behind(self.hash);
        *self = Self { seq, hash: entry.hash };
        entry
    }
}

impl Entry {
    /// The hash that it must have behind an entry with that hash. Each part goes with its length, so
    /// that no two entries have the same form.
    #[must_use]
    pub fn hash_behind(&self, before: [u8; 32]) -> [u8; 32] {
        let (seq, at) = (self.seq.to_be_bytes(), self.at.0.to_be_bytes());
        let detail = canonical(&self.fact.detail);
        let mut hash = Sha256::new();
        for part in [
            FORM,
            self.writer.as_bytes(),
            &seq,
            &at,
            self.fact.actor.as_bytes(),
            self.fact.action.as_bytes(),
            self.fact.subject.as_bytes(),
            detail.as_bytes(),
            &before,
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It, or one before it, is not as it was written.
    #[error("was altered, or stands where another one stood")]
    Altered,
    /// It is not there, and a later one is.
    #[error("is missing")]
    Missing,
    /// It comes again, or behind later ones.
    #[error("is there twice, or out of order")]
    Doubled,
}

/// The first entry that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} of writer `{writer}` {fault}")]
pub struct Broken {
    /// In whose log.
    pub writer: String,
    /// Its number.
    pub seq: i64,
    /// What is wrong.
    pub fault: Fault,
}

/// A walk along logs, one after the other, each from its first entry.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    writer: Option<String>,
    head: Head,
    entries: u64,
}

impl Walk {
    /// Takes the next entry.
    ///
    /// # Errors
    /// [`Broken`] when it cannot follow.
    pub fn step(&mut self, entry: &Entry) -> Result<(), Broken> {
        if self.writer.as_ref() != Some(&entry.writer) {
            self.writer = Some(entry.writer.clone());
            self.head = Head::default();
        }
        let broken = |seq, fault| Broken { writer: entry.writer.clone(), seq, fault };
        let next = self.head.seq.saturating_add(1);
        if entry.seq > next {
            return Err(broken(next, Fault::Missing));
        }
        if entry.seq < next {
            return Err(broken(entry.seq, Fault::Doubled));
        }
        if entry.hash != entry.hash_behind(self.head.hash) {
            return Err(broken(entry.seq, Fault::Altered));
        }
        self.head = Head { seq: entry.seq, hash: entry.hash };
        self.entries += 1;
        Ok(())
    }

    /// How many entries were taken.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// Where the walk stands, once it took an entry: whose log, and the entry.
    #[must_use]
    pub fn place(&self) -> Option<(&str, Head)> {
        self.writer.as_deref().map(|writer| (writer, self.head))
    }
}

/// Walks along entries; how many there are.
///
/// # Errors
/// [`Broken`] for the first that is wrong.
pub fn verify<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<u64, Broken> {
    let mut walk = Walk::default();
    entries.into_iter().try_for_each(|entry| walk.step(entry))?;
    Ok(walk.entries)
}

#[cfg(test)]
mod tests;
