//! Every form in which reporters in the wild write a moment, brought to [`Millis`].

use chrono::DateTime;
use serde::Deserialize;

use super::number::parse_decimal;
use super::text::json_text;
use crate::domain::units::Millis;

/// 9999-12-31T23:59:59.999Z; later ones are a typing error, not a date.
const LATEST: i128 = 253_402_300_799_999;

/// Unix numbers below this are seconds (until the year 5138), others milliseconds (from 1973).
const SECONDS_BELOW: i128 = 100_000_000_000;

/// The longest text worth looking at; nanoseconds and an offset need 35 bytes.
const TEXT_LEN_MAX: usize = 40;

/// Reads the raw text of one JSON value as a moment: RFC 3339, ISO without an offset (taken as
/// UTC), unix seconds or milliseconds, `{seconds, nanos}` or `{_seconds, _nanoseconds}`.
///
/// # Errors
/// A phrase that completes "the field ..".
pub fn parse_moment(raw: &str) -> Result<Millis, &'static str> {
    match raw.as_bytes().first() {
        Some(b'"') => json_text(raw).ok_or(NOT_A_MOMENT).and_then(|text| parse_text(&text)),
        Some(b'{') => parse_object(raw),
        _ => parse_number(raw),
    }
}

const NOT_A_MOMENT: &str = "must be a timestamp";
const OUT_OF_RANGE: &str = "must lie between 1970 and 9999";

fn in_range(millis: i128) -> Result<Millis, &'static str> {
    if !(0..=LATEST).contains(&millis) {
        return Err(OUT_OF_RANGE);
    }
    i64::try_from(millis).map(Millis).map_err(|_| OUT_OF_RANGE)
}

fn parse_text(text: &str) -> Result<Millis, &'static str> {
    if text.len() > TEXT_LEN_MAX || !text.is_ascii() {
        return Err(NOT_A_MOMENT);
    }
    if parse_decimal(text, 0).is_ok() {
        return Err("must be a timestamp, not a number in quotes");
    }
    // A date alone has dashes too, so the offset is looked for behind it.
    let clock = text.get(10..).unwrap_or_default();
    let parsed = if clock.ends_with(['Z', 'z']) || clock.contains(['+', '-']) {
        DateTime::parse_from_rfc3339(text)
    } else {
        DateTime::parse_from_rfc3339(&format!("{text}Z"))
    };
    parsed
        .map_err(|_| NOT_A_MOMENT)
        .and_then(|moment| in_range(i128::from(moment.timestamp_millis())))
}

fn parse_number(raw: &str) -> Result<Millis, &'static str> {
    let number = parse_decimal(raw, 3).map_err(|bad| match bad {
        super::number::BadNumber::WrongType => NOT_A_MOMENT,
        other => other.reason(),
    })?;
    if number.scaled < SECONDS_BELOW * 1_000 {
        in_range(number.scaled)
    } else {
        in_range(number.scaled / 1_000)
    }
}

#[derive(Deserialize)]
struct SecondsAndNanos {
    #[serde(alias = "_seconds")]
    seconds: i64,
    #[serde(default, alias = "nanoseconds", alias = "_nanoseconds")]
    nanos: u32,
}

fn parse_object(raw: &str) -> Result<Millis, &'static str> {
    let parts: SecondsAndNanos = serde_json::from_str(raw).map_err(|_| NOT_A_MOMENT)?;
    if parts.nanos >= 1_000_000_000 {
        return Err(NOT_A_MOMENT);
    }
    in_range(i128::from(parts.seconds) * 1_000 + i128::from(parts.nanos / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_one_moment_is_the_same_moment() {
        for raw in [
            "\"2025-06-01T12:00:00.500Z\"",
            "\"2025-06-01T14:00:00.500+02:00\"",
            "\"2025-06-01T12:00:00.500\"",
            "\"2025-06-01T12:00:00.500123\"",
            "\"2025-06-01 12:00:00.5\"",
            "1748779200.5",
            "1748779200500",
            "1748779200500.0",
            "1.7487792005e9",
            r#"{"seconds": 1748779200, "nanos": 500000000}"#,
            r#"{"_seconds": 1748779200, "_nanoseconds": 500000000}"#,
        ] {
            assert_eq!(parse_moment(raw), Ok(Millis(1_748_779_200_500)), "{raw}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for raw in [
            "\"\"",
            "\"yesterday\"",
            "\"2025-06-01\"",
            "\"2025-13-01T00:00:00Z\"",
            "\"1748779200\"",
            "\"NaN\"",
            "-5",
            "1e300",
            "true",
            "[]",
            "{}",
            r#"{"seconds": 1, "nanos": 1000000000}"#,
            r#"{"seconds": -1}"#,
            r#"{"seconds": 9223372036854775807}"#,
            "\"99999-01-01T00:00:00Z\"",
        ] {
            assert!(parse_moment(raw).is_err(), "{raw}");
        }
    }
}
