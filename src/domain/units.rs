//! Numbers with a unit. Decisions are made in integers (millionths, rao, milliseconds), so that
//! equal inputs give equal bytes on every host; floats live only at the edges, in JSON.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01 UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// This moment, `millis` later (earlier when negative); saturates.
    #[must_use]
    pub const fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to here; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The day in UTC, as `2026-01-31`.
    #[must_use]
    pub fn date(self) -> String {
        let moment = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        moment.format("%Y-%m-%d").to_string()
    }

    /// RFC 3339 in UTC with milliseconds.
    #[must_use]
    pub fn rfc3339(self) -> String {
        DateTime::<Utc>::from_timestamp_millis(self.0)
            .unwrap_or_default()
            .to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// One second in milliseconds.
pub const SECOND: i64 = 1_000;
/// One minute in milliseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour in milliseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// One day in milliseconds.
pub const DAY: i64 = 24 * HOUR;

/// Millionths in one whole.
pub const ONE: i64 = 1_000_000;

/// A share or score in millionths: 0 to 1,000,000 stands for 0..=1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Score(i64);

impl Score {
    /// 0.
    pub const ZERO: Self = Self(0);
    /// 1.
    pub const ONE: Self = Self(ONE);

    /// From millionths, cut to 0..=1.
    #[must_use]
    pub const fn clamped(millionths: i64) -> Self {
        if millionths < 0 {
            Self(0)
        } else if millionths > ONE {
            Self(ONE)
        } else {
            Self(millionths)
        }
    }

    /// From a float that must be finite and within 0..=1; rounds to the nearest millionth.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        ((0.0..=1.0).contains(&value)).then(|| Self((value * 1e6).round() as i64))
    }

    /// Millionths.
    #[must_use]
    pub const fn millionths(self) -> i64 {
        self.0
    }

    /// As a float, for JSON.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// Rao in one whole token.
pub const RAO_PER_TOKEN: i64 = 1_000_000_000;

/// Stake in rao, never negative.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Stake(i64);

impl Stake {
    /// No stake.
    pub const ZERO: Self = Self(0);

    /// From rao; negative is cut to 0.
    #[must_use]
    pub const fn from_rao(rao: i64) -> Self {
        Self(if rao < 0 { 0 } else { rao })
    }

    /// From whole tokens, as reports carry it: finite, not negative, at most 9.2e9.
    #[must_use]
    pub fn from_tokens(tokens: f64) -> Option<Self> {
        let fits = (0.0..=9.2e9).contains(&tokens);
        fits.then(|| Self((tokens * RAO_PER_TOKEN as f64).round() as i64))
    }

    /// Rao.
    #[must_use]
    pub const fn rao(self) -> i64 {
        self.0
    }

    /// Whole tokens as a float, for JSON.
    #[must_use]
    pub fn tokens(self) -> f64 {
        self.0 as f64 / RAO_PER_TOKEN as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_outside_zero_to_one_are_refused() {
        for value in [f64::NAN, f64::INFINITY, -0.000_001, 1.000_001] {
            assert_eq!(Score::from_f64(value), None, "{value}");
        }
        assert_eq!(Score::from_f64(0.85).map(Score::millionths), Some(850_000));
    }

    #[test]
    fn stake_refuses_what_rao_cannot_hold() {
        for value in [f64::NAN, -1.0, 1e10] {
            assert_eq!(Stake::from_tokens(value), None, "{value}");
        }
        assert_eq!(Stake::from_tokens(1000.0).map(Stake::rao), Some(1_000_000_000_000));
    }
}
