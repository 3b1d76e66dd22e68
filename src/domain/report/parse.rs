//! The door for reports: one pass over the text, borrowing from it.
//!
//! Each entry becomes a status or a refusal. Field values are taken as raw text first, so that
//! one value that no parser can hold (`1e999`) spoils only its own entry.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::number::{BadNumber, parse_decimal};
use super::text::{depth, json_text, kinds, quote_bare_words};
use super::{
    CAPACITY_MAX, LOAD_MILLIONTHS_MAX, MinerStatus, ParsedReport, Rejection, ReportError,
    ReportLimits, parse_moment,
};
use crate::domain::ids::{Hotkey, MinerUid};
use crate::domain::units::{Millis, Score, Stake};

/// Deepest nesting of an unknown field; readers of the audit trail recurse.
const OTHER_DEPTH_MAX: usize = 16;

/// Longest field name or value quoted in a refusal, in characters.
const QUOTE_LEN_MAX: usize = 80;

/// Reads a report: a JSON list of miner statuses.
///
/// # Errors
/// [`ReportError`] when the text is no list or passes a limit; a bad entry is only a
/// [`Rejection`].
pub fn parse_statuses(json: &str, limits: &ReportLimits) -> Result<ParsedReport, ReportError> {
    if json.len() > limits.bytes_max {
        return Err(ReportError::TooLong { max: limits.bytes_max });
    }
    let error = match split(json, limits.miners_max) {
        Ok(entries) => return collect(&entries, limits),
        Err(error) => whole_error(json, &error),
    };
    // Python writes a bare `NaN`; put in quotes it becomes a plain refusal of that field.
    let quoted = quote_bare_words(json).ok_or(error)?;
    let entries = split(&quoted, limits.miners_max).map_err(|error| whole_error(json, &error))?;
    collect(&entries, limits)
}

fn whole_error(json: &str, error: &serde_json::Error) -> ReportError {
    if error.is_data() && !json.trim_start().starts_with('[') {
        return ReportError::NotAList;
    }
    ReportError::NotJson(error.to_string())
}

/// The entries as raw text, at most one more than `max`: splitting first costs one more scan and
/// makes each entry independent of its neighbours.
fn split(json: &str, max: usize) -> Result<Vec<&RawValue>, serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(json);
    let entries = parser.deserialize_seq(Split { max })?;
    parser.end().map(|()| entries)
}

struct Split {
    max: usize,
}

impl<'de> Visitor<'de> for Split {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of miner statuses")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(raw) = list.next_element::<&RawValue>()? {
            if entries.len() <= self.max {
                entries.push(raw);
            }
        }
        Ok(entries)
    }
}

fn collect(entries: &[&RawValue], limits: &ReportLimits) -> Result<ParsedReport, ReportError> {
    if entries.len() > limits.miners_max {
        return Err(ReportError::TooManyMiners { max: limits.miners_max });
    }
    let mut report =
        ParsedReport { statuses: Vec::with_capacity(entries.len()), ..Default::default() };
    let mut taken = vec![0_u64; 1_024];
    for (index, raw) in entries.iter().enumerate() {
        let outcome = Entry::parse(raw.get(), limits)
            .and_then(|status| claim_uid(&mut taken, status.uid).map(|()| status));
        match outcome {
            Ok(status) => report.statuses.push(status),
            Err(refused) => report.rejections.push(Rejection { index, ..refused }),
        }
    }
    Ok(report)
}

/// Marks the uid as taken in this report.
fn claim_uid(taken: &mut [u64], uid: MinerUid) -> Result<(), Rejection> {
    let bit = 1_u64 << (uid.0 % 64);
    match taken.get_mut(usize::from(uid.0 / 64)) {
        Some(word) if *word & bit == 0 => {
            *word |= bit;
            Ok(())
        }
        _ => Err(refuse(Some(i64::from(uid.0)), "uid", "appears twice in this report")),
    }
}

fn refuse(uid: Option<i64>, field: &str, reason: &str) -> Rejection {
    let field = field.chars().take(QUOTE_LEN_MAX).collect();
    Rejection { index: 0, uid, field, reason: reason.to_owned() }
}

/// One entry while it is being read.
struct Entry<'l> {
    status: MinerStatus,
    /// The uid as sent, for the refusal; `None` until the field was seen.
    uid: Option<i64>,
    /// One bit per known field that was seen.
    seen: u16,
    other: String,
    /// The first field at fault.
    fault: Option<(Cow<'static, str>, Cow<'static, str>)>,
    limits: &'l ReportLimits,
}

impl<'l> Entry<'l> {
    fn parse(raw: &str, limits: &'l ReportLimits) -> Result<MinerStatus, Rejection> {
        let mut entry = Self {
            status: MinerStatus::new(MinerUid(0)),
            uid: None,
            seen: 0,
            other: String::new(),
            fault: None,
            limits,
        };
        if !raw.starts_with('{') {
            return Err(refuse(None, "entry", "must be an object"));
        }
        let mut parser = serde_json::Deserializer::from_str(raw);
        if let Err(error) = parser.deserialize_map(&mut entry) {
            return Err(refuse(entry.uid, "entry", &error.to_string()));
        }
        if let Some((field, reason)) = entry.fault {
            return Err(refuse(entry.uid, &field, &reason));
        }
        if entry.uid.is_none() {
            return Err(refuse(None, "uid", "is missing"));
        }
        if !entry.other.is_empty() {
            entry.other.push('}');
            entry.status.other = Some(entry.other.into());
        }
        Ok(entry.status)
    }

    fn take(&mut self, field: Field, raw: &str) {
        let bit = 1_u16 << field as u16;
        let result = if self.seen & bit != 0 {
            Err("is given twice".into())
        } else if raw == "null" {
            Ok(())
        } else {
            self.set(field, raw)
        };
        self.seen |= bit;
        if let (Err(reason), None) = (result, &self.fault) {
            self.fault = Some((field.name().into(), reason));
        }
    }

    fn set(&mut self, field: Field, raw: &str) -> Result<(), Cow<'static, str>> {
        let status = &mut self.status;
        match field {
            Field::Uid => {
                let uid = integer(raw)?;
                self.uid = Some(i64::try_from(uid).unwrap_or(i64::MAX));
                status.uid = MinerUid(between(uid, 0, 65_535, "must be 0 to 65535")?);
            }
            Field::Hotkey => {
                let text = json_text(raw).ok_or("must be a text")?;
                let hotkey = Hotkey::parse(&text);
                status.hotkey = Some(hotkey.map_err(|bad| bad.to_string())?);
            }
            Field::Stake => {
                let rao = scaled(raw, 9)?;
                let rao = between(rao, 0, 9_200_000_000_000_000_000, "must be 0 to 9.2e9 tokens")?;
                status.stake = Some(Stake::from_rao(rao));
            }
            Field::IsServing => {
                status.is_serving = Some(match raw {
                    "true" => true,
                    "false" => false,
                    _ => return Err("must be true or false".into()),
                });
            }
            Field::Performance => {
                let score = between(scaled(raw, 6)?, 0, 1_000_000, "must be 0 to 1")?;
                status.performance = Some(Score::clamped(score));
            }
            Field::Load => {
                let reason = "must be 0 to 1000000 tasks";
                let load = between(scaled(raw, 6)?, 0, LOAD_MILLIONTHS_MAX.into(), reason)?;
                status.load_millionths = Some(load);
            }
            Field::Capacity => {
                let reason = "must be 1 to 100000 tasks";
                let capacity = between(integer(raw)?, 1, CAPACITY_MAX.into(), reason)?;
                status.capacity = Some(capacity);
            }
            Field::Specialization => {
                status.specialization = kinds(raw, self.limits.kinds_max)?;
            }
            Field::Ip => {
                let text = json_text(raw).ok_or("must be a text")?;
                let ip: IpAddr = text.parse().map_err(|_| "must be an IP address")?;
                status.ip = Some(ip);
            }
            Field::Port => {
                status.port = Some(between(integer(raw)?, 0, 65_535, "must be 0 to 65535")?);
            }
            Field::LastSeen => {
                let moment: Millis = parse_moment(raw)?;
                status.last_seen = Some(moment);
            }
        }
        Ok(())
    }

    /// Keeps an unknown field as it was sent.
    fn keep(&mut self, name: &str, raw: &str) {
        let reason = if self.other.len() + name.len() + raw.len() > self.limits.other_bytes_max {
            "makes the unknown fields of this entry too long"
        } else if depth(raw) > OTHER_DEPTH_MAX {
            "is nested too deep"
        } else {
            self.other.push(if self.other.is_empty() { '{' } else { ',' });
            push_name(&mut self.other, name);
            self.other.push(':');
            self.other.push_str(raw);
            return;
        };
        if self.fault.is_none() {
            let name: String = name.chars().take(QUOTE_LEN_MAX).collect();
            let name = if name.is_empty() { "(empty name)".to_owned() } else { name };
            self.fault = Some((name.into(), reason.into()));
        }
    }
}

impl<'de> Visitor<'de> for &mut Entry<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a miner status")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key>()? {
            let raw: &RawValue = map.next_value()?;
            match key {
                Key::Known(field) => self.take(field, raw.get()),
                Key::Unknown(name) => self.keep(&name, raw.get()),
            }
        }
        Ok(())
    }
}

/// The fields that mean something to us.
#[derive(Debug, Clone, Copy)]
enum Field {
    Uid,
    Hotkey,
    Stake,
    IsServing,
    Performance,
    Load,
    Capacity,
    Specialization,
    Ip,
    Port,
    LastSeen,
}

impl Field {
    const fn name(self) -> &'static str {
        match self {
            Self::Uid => "uid",
            Self::Hotkey => "hotkey",
            Self::Stake => "stake",
            Self::IsServing => "is_serving",
            Self::Performance => "performance_score",
            Self::Load => "current_load",
            Self::Capacity => "max_capacity",
            Self::Specialization => "task_type_specialization",
            Self::Ip => "ip",
            Self::Port => "port",
            Self::LastSeen => "last_seen",
        }
    }
}

enum Key {
    Known(Field),
    Unknown(Box<str>),
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
        Ok(Key::Known(match name {
            "uid" => Field::Uid,
            "hotkey" => Field::Hotkey,
            "stake" => Field::Stake,
            "is_serving" => Field::IsServing,
            "performance_score" => Field::Performance,
            "current_load" => Field::Load,
            "max_capacity" => Field::Capacity,
            "task_type_specialization" => Field::Specialization,
            "ip" => Field::Ip,
            "port" => Field::Port,
            "last_seen" => Field::LastSeen,
            _ => return Ok(Key::Unknown(name.into())),
        }))
    }
}

fn scaled(raw: &str, places: i32) -> Result<i128, Cow<'static, str>> {
    parse_decimal(raw, places).map(|number| number.scaled).map_err(|bad| bad.reason().into())
}

fn integer(raw: &str) -> Result<i128, Cow<'static, str>> {
    match parse_decimal(raw, 0) {
        Ok(number) if number.exact => Ok(number.scaled),
        Ok(_) | Err(BadNumber::WrongType) => Err("must be a whole number".into()),
        Err(bad) => Err(bad.reason().into()),
    }
}

fn between<T: TryFrom<i128>>(
    value: i128,
    low: i128,
    high: i128,
    reason: &'static str,
) -> Result<T, Cow<'static, str>> {
    if value < 0 && low == 0 {
        return Err("must not be negative".into());
    }
    if !(low..=high).contains(&value) {
        return Err(reason.into());
    }
    T::try_from(value).map_err(|_| reason.into())
}

/// Writes a field name as JSON; most need no escaping.
fn push_name(out: &mut String, name: &str) {
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        out.extend(["\"", name, "\""]);
    } else {
        out.push_str(&serde_json::Value::from(name).to_string());
    }
}
