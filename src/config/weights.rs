//! What weights are made of.

use serde::{Deserialize, Serialize};

use super::{Config, ConfigError, invalid};
use crate::domain::limits::{NAME_CHARS_MAX, WEIGHT_KINDS_MAX};
use crate::domain::units::{HOUR, ONE};
use crate::domain::weights::{Averaging, Policy, PolicyName, WeightedKind};

/// What weights are made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsConfig {
    /// Figures that weights are computed with.
    pub policy: PolicyName,
    /// How the scores of a window become one task value.
    pub averaging: Averaging,
    /// Days of scores that the current weights are made of.
    pub window_days: u32,
    /// Days that pushed scores, sums by hour, calculations and records stay.
    pub retention_days: u32,
    /// Hours between two looks for closed registrations whose sums and records are that old.
    pub cleanup_frequency_hours: u32,
    /// Whether records keep how each weight came about.
    pub enable_detailed_pathways: bool,
    /// Whether the chain is followed: its snapshots are believed, and submissions are kept.
    pub enable_chain_integration: bool,
    /// Whether records of periods that still run are written, too, hour by hour.
    pub enable_realtime_updates: bool,
    /// A write of weights that takes longer, its wait for the writer included, is told of, in
    /// milliseconds: it may hold up a task as long.
    pub performance_impact_threshold_millis: u64,
    /// Kinds that are scored beside those that are distributed here, or other figures for these.
    #[serde(default)]
    pub kinds: Vec<KindWeight>,
}

/// What a kind's scores count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindWeight {
    /// Name in JSON, with underscores.
    pub name: String,
    /// Share of this kind, in millionths.
    #[serde(default = "whole")]
    pub weight_millionths: i64,
    /// Whether diversity spreads its scores around their mean by a sigmoid.
    #[serde(default)]
    pub sigmoid: bool,
}

/// Days that sums by hour may stay: no month would be whole with fewer, nor outlive its days.
const DAYS: std::ops::RangeInclusive<u32> = 1..=400;

/// Hours between two looks for what closed registrations left: a week at most.
const CLEANUP_HOURS: std::ops::RangeInclusive<u32> = 1..=168;

fn whole() -> i64 {
    ONE
}

impl WeightsConfig {
    /// Every figure that weights are computed with.
    #[must_use]
    pub fn figures(&self) -> Policy {
        Policy { averaging: self.averaging, ..self.policy.policy() }
    }

    /// How many hours of sums stay.
    #[must_use]
    pub fn retention_hours(&self) -> i64 {
        i64::from(self.retention_days) * 24
    }

    /// How long pushed scores stay, in milliseconds.
    #[must_use]
    pub fn retention_millis(&self) -> i64 {
        self.retention_hours() * HOUR
    }

    /// Time between two looks for what closed registrations left, in milliseconds.
    #[must_use]
    pub fn cleanup_millis(&self) -> i64 {
        i64::from(self.cleanup_frequency_hours) * HOUR
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !CLEANUP_HOURS.contains(&self.cleanup_frequency_hours) {
            let problem = format!("must be {} to {}", CLEANUP_HOURS.start(), CLEANUP_HOURS.end());
            return Err(invalid("weights.cleanup_frequency_hours", problem));
        }
        if !DAYS.contains(&self.retention_days) {
            let problem = format!("must be {} to {}", DAYS.start(), DAYS.end());
            return Err(invalid("weights.retention_days", problem));
        }
        if self.window_days == 0 || self.window_days > self.retention_days {
            let problem = "must be 1 to `weights.retention_days`";
            return Err(invalid("weights.window_days", problem));
        }
        for (place, kind) in self.kinds.iter().enumerate() {
            let bad =
                |problem: &str| invalid("weights.kinds", format!("`{}` {problem}", kind.name));
            if kind.name.is_empty() || kind.name.chars().count() > NAME_CHARS_MAX {
                return Err(bad(&format!("must have 1 to {NAME_CHARS_MAX} characters")));
            }
            if self.kinds.iter().take(place).any(|before| before.name == kind.name) {
                return Err(bad("is there twice"));
            }
            if !(0..=ONE).contains(&kind.weight_millionths) {
                return Err(bad("must have a weight of 0 to 1,000,000 millionths"));
            }
        }
        Ok(())
    }
}

impl Config {
    /// Every kind that is scored, with what its scores count: the kinds of the registry, then those
    /// that are only scored. `[[weights.kinds]]` has the last word.
    #[must_use]
    pub fn weighted_kinds(&self) -> Vec<WeightedKind> {
        let registry = self.kinds();
        let mut kinds: Vec<_> = registry
            .iter()
            .map(|kind| weighted(&kind.name, kind.weight_millionths, kind.sigmoid))
            .collect();
        for own in &self.weights.kinds {
            let said = weighted(&own.name, own.weight_millionths, own.sigmoid);
            match kinds.iter_mut().find(|known| known.name == own.name) {
                Some(known) => *known = said,
                None => kinds.push(said),
            }
        }
        kinds
    }

    /// Whether every kind that is scored can be counted with.
    pub(super) fn check_weights(&self) -> Result<(), ConfigError> {
        self.weights.check()?;
        if self.weighted_kinds().len() > WEIGHT_KINDS_MAX {
            let problem = format!("and `kinds` make more than {WEIGHT_KINDS_MAX} kinds");
            return Err(invalid("weights.kinds", problem));
        }
        Ok(())
    }
}

fn weighted(name: &str, millionths: i64, sigmoid: bool) -> WeightedKind {
    // No more than 1: the registry takes any number for its rewards.
    let weight = millionths.clamp(0, ONE) as f64 / ONE as f64;
    WeightedKind { name: name.to_owned(), weight, sigmoid }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, weight_millionths: i64) -> KindWeight {
        KindWeight { name: name.to_owned(), weight_millionths, sigmoid: true }
    }

    #[test]
    fn kinds_that_are_only_scored_come_behind_and_figures_are_replaced() {
        let mut config = Config::default();
        let registry = config.weighted_kinds();
        assert_eq!(registry.len(), 6);
        assert!(registry.iter().all(|kind| kind.weight == 1.0 && !kind.sigmoid));
        config.weights.kinds = vec![kind("weather", 700_000), kind("tts", 150_000)];
        let kinds = config.validate().unwrap().weighted_kinds();
        assert_eq!(kinds.len(), 7);
        assert_eq!(kinds[1], WeightedKind { name: "tts".to_owned(), weight: 0.15, sigmoid: true });
        let weather = WeightedKind { name: "weather".to_owned(), weight: 0.7, sigmoid: true };
        assert_eq!(kinds[6], weather);
    }

    #[test]
    fn kinds_that_cannot_be_counted_with_are_named() {
        for (kinds, problem) in [
            (vec![kind("", 1)], "`` must have 1 to 120 characters"),
            (vec![kind("a", ONE + 1)], "`a` must have a weight"),
            (vec![kind("a", -1)], "`a` must have a weight"),
            (vec![kind("a", 1), kind("a", 2)], "`a` is there twice"),
            ((0..60).map(|n| kind(&n.to_string(), 1)).collect(), "more than 64 kinds"),
        ] {
            let mut config = Config::default();
            config.weights.kinds = kinds;
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with("`weights.kinds`") && error.contains(problem), "{error}");
        }
    }

    #[test]
    fn what_closed_registrations_left_is_looked_for_within_a_week() {
        for (hours, is_right) in [(0, false), (1, true), (168, true), (169, false)] {
            let mut config = Config::default();
            config.weights.cleanup_frequency_hours = hours;
            let error = config.validate().err().map(|error| error.to_string());
            assert_eq!(error.is_none(), is_right, "{hours}: {error:?}");
            let named = error.is_none_or(|e| e.starts_with("`weights.cleanup_frequency_hours`"));
            assert!(named, "{hours}");
        }
    }
}
