//! Raw JSON text looked at piece by piece: strings, kind names, nesting, Python's bare `NaN`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Kinds;

/// Longest name of a task kind, in bytes.
const KIND_LEN_MAX: usize = 64;

/// The text of a raw JSON string, borrowed when nothing in it is escaped.
pub(super) fn json_text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str::<String>(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// Kind names from a text (commas allowed), a list of texts, or the keys of an object.
pub(super) fn kinds(raw: &str, kinds_max: usize) -> Result<Option<Kinds>, Cow<'static, str>> {
    let wrong = "must be a text, a list of texts or an object of task kinds";
    let mut names: Vec<String> = match raw.as_bytes().first() {
        Some(b'"') => {
            let text = json_text(raw).ok_or(wrong)?;
            text.split(',').filter(|name| !name.trim().is_empty()).map(str::to_owned).collect()
        }
        Some(b'[') => serde_json::from_str(raw).map_err(|_| wrong)?,
        Some(b'{') => serde_json::from_str::<KeysOnly>(raw).map_err(|_| wrong)?.0,
        _ => return Err(wrong.into()),
    };
    if names.len() > kinds_max {
        return Err("names too many task kinds".into());
    }
    for name in &mut names {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.".contains(&b);
        if !name.bytes().all(is_plain) {
            *name = name.trim().to_ascii_lowercase().replace('-', "_");
        }
        if !(1..=KIND_LEN_MAX).contains(&name.len()) || !name.bytes().all(is_plain) {
            return Err("names a task kind that is not 1 to 64 letters, digits, `_`".into());
        }
    }
    Ok(Kinds::from_names(names))
}

/// An object's keys; its values are not looked at.
struct KeysOnly(Vec<String>);

impl<'de> Deserialize<'de> for KeysOnly {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Vec<String>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, _)) = map.next_entry::<String, &RawValue>()? {
                    keys.push(key);
                }
                Ok(keys)
            }
        }
        deserializer.deserialize_map(Keys).map(Self)
    }
}

/// How deep brackets nest outside of strings.
pub(super) fn depth(raw: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let (mut in_text, mut escaped) = (false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Puts bare `NaN`, `Infinity` and `-Infinity` in quotes; `None` when there is none.
pub(crate) fn quote_bare_words(json: &str) -> Option<String> {
    let mut out = String::with_capacity(json.len() + 16);
    let (mut rest, mut found, mut in_text) = (json, false, false);
    'next: while let Some(first) = rest.chars().next() {
        if !in_text {
            for word in ["NaN", "Infinity", "-Infinity"] {
                if let Some(tail) = rest.strip_prefix(word) {
                    out.extend(["\"", word, "\""]);
                    rest = tail;
                    found = true;
                    continue 'next;
                }
            }
        }
        // An escaped character goes along with its backslash, or `\"` would end the text.
        let step = match (in_text, first) {
            (true, '\\') => rest.chars().take(2).map(char::len_utf8).sum(),
            _ => first.len_utf8(),
        };
        in_text ^= first == '"';
        let (head, tail) = rest.split_at_checked(step)?;
        out.push_str(head);
        rest = tail;
    }
    found.then_some(out)
}
