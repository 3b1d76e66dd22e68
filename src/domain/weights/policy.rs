//! The figures of the pipeline, each with its default, and the two named sets of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::WeightsError;
use crate::domain::task::text_enum;
use crate::domain::units::{DAY, ONE};

text_enum! {
    /// The policies that have a name.
    PolicyName {
        /// As the documents' program did: excellence adds nothing to a score, so a miner that is
        /// among the best of a kind is nearly always paid by diversity.
        Original = "original",
        /// Excellence pays what diversity could pay at most for the same score.
        Default = "default",
    }
}

impl PolicyName {
    /// The figures of that name.
    #[must_use]
    pub fn policy(self) -> Policy {
        match self {
            Self::Original => Policy { excellence_boost: Boost::Factor(1.0), ..Policy::default() },
            Self::Default => Policy::default(),
        }
    }
}

/// How the scores of a window become one task value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Averaging {
    /// Their mean.
    Mean,
    /// Newer ones count more, and whoever left much of its work unscored has less.
    Decayed,
}

/// What excellence multiplies a score with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boost {
    /// This number.
    Factor(f64),
    /// The most that diversity could: `m(100)` times the bonus for all kinds.
    LargestDiversity,
}

/// Every figure of the pipeline. Equal policies have equal hashes, others have others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// How a task value is made; the mean.
    pub averaging: Averaging,
    /// Decayed: time in which a score loses half of its part, in milliseconds; a day.
    pub half_life_millis: i64,
    /// Decayed: share of the assigned tasks that must be scored for the full value, in millionths;
    /// 0.30.
    pub completeness_full: i64,
    /// Miners scored in a kind below which nobody is ranked in it; 5.
    pub ranked_min: u32,
    /// Percentile of a miner in a kind that is not ranked; 50.
    pub percentile_unranked: f64,
    /// Miners scored in a kind below which nobody excels in it; 10.
    pub excellence_min: u32,
    /// Percentile from which a score excels, in per cent; 85.
    pub excellence_percentile: u32,
    /// What an excelling score is multiplied with.
    pub excellence_boost: Boost,
    /// Bonus for several kinds: what nobody goes below; 0.7.
    pub bonus_base: f64,
    /// Bonus for several kinds: what each adds; 0.15.
    pub bonus_per_kind: f64,
    /// Multiplier of a percentile at its lowest; 0.3.
    pub multiplier_floor: f64,
    /// Multiplier of a percentile: what it gains at most; 0.9.
    pub multiplier_span: f64,
    /// Multiplier of a percentile: its steepness; 0.08.
    pub multiplier_slope: f64,
    /// Multiplier of a percentile: where half of the span is gained; 35.
    pub multiplier_midpoint: f64,
    /// Sigmoid kinds: steepness times standard deviation; 20.
    pub sigmoid_scale: f64,
    /// Sigmoid kinds: smallest standard deviation that is believed; 0.01.
    pub sigmoid_std_min: f64,
    /// Sigmoid kinds: least steepness; 10.
    pub sigmoid_slope_min: f64,
    /// Sigmoid kinds: most steepness; 30. Scores within 0..=1 spread by 0.5 at most, so theirs is
    /// always this.
    pub sigmoid_slope_max: f64,
    /// Transform: percentile of the relative weights where it turns up, in per cent; 80.
    pub transform_percentile: u32,
    /// Transform: height of the curve; 0.98.
    pub transform_height: f64,
    /// Transform: how late it turns up; 8.
    pub transform_delay: f64,
    /// Transform: its steepness; 70.
    pub transform_slope: f64,
    /// Transform: its asymmetry, the inverse of the exponent; 0.3.
    pub transform_asymmetry: f64,
    /// Transform: the part that stays proportional; 0.01.
    pub transform_linear: f64,
    /// Standard deviation of the transformed weights below which places count instead; 0.01.
    pub fallback_std: f64,
    /// What a place is raised to; 1.2.
    pub fallback_exponent: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            averaging: Averaging::Mean,
            half_life_millis: DAY,
            completeness_full: 300_000,
            ranked_min: 5,
            percentile_unranked: 50.0,
            excellence_min: 10,
            excellence_percentile: 85,
            excellence_boost: Boost::LargestDiversity,
            bonus_base: 0.7,
            bonus_per_kind: 0.15,
            multiplier_floor: 0.3,
            multiplier_span: 0.9,
            multiplier_slope: 0.08,
            multiplier_midpoint: 35.0,
            sigmoid_scale: 20.0,
            sigmoid_std_min: 0.01,
            sigmoid_slope_min: 10.0,
            sigmoid_slope_max: 30.0,
            transform_percentile: 80,
            transform_height: 0.98,
            transform_delay: 8.0,
            transform_slope: 70.0,
            transform_asymmetry: 0.3,
            transform_linear: 0.01,
            fallback_std: 0.01,
            fallback_exponent: 1.2,
        }
    }
}

/// Largest figure of a policy. Far from any sensible one, and far from where sums overflow.
const FIGURE_MAX: f64 = 1e6;
/// Smallest figure that something is divided by.
const DIVISOR_MIN: f64 = 1e-6;

impl Policy {
    /// `m(p)`: what a percentile from 0 to 100 multiplies a score with.
    #[must_use]
    pub fn multiplier(&self, percentile: f64) -> f64 {
        let distance = percentile - self.multiplier_midpoint;
        self.multiplier_floor
            + self.multiplier_span / (1.0 + libm::exp(-self.multiplier_slope * distance))
    }

    /// The bonus for having scores in so many kinds.
    #[must_use]
    pub fn bonus(&self, kinds: usize) -> f64 {
        self.bonus_base + self.bonus_per_kind * kinds as f64
    }

    /// What excellence multiplies a score with where there are so many kinds.
    #[must_use]
    pub fn boost(&self, kinds: usize) -> f64 {
        match self.excellence_boost {
            Boost::Factor(factor) => factor,
            Boost::LargestDiversity => self.multiplier(100.0) * self.bonus(kinds),
        }
    }

    /// SHA-256 in hex of the figures as JSON, keys in the order of the alphabet.
    #[must_use]
    pub fn hash(&self) -> String {
        // Plain numbers in a struct: this cannot fail, and a map that is kept in the order of
        // insertion by some build must not change what is stored.
        let sorted: BTreeMap<String, Value> = match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields.into_iter().collect(),
            Ok(_) | Err(_) => BTreeMap::new(),
        };
        let text = serde_json::to_vec(&sorted).unwrap_or_default();
        hex::encode(Sha256::digest(text))
    }

    /// Whether the pipeline can count with these figures.
    ///
    /// # Errors
    /// [`WeightsError::BadPolicy`] for the first that it cannot.
    pub fn check(&self) -> Result<(), WeightsError> {
        let bad = |field, reason| Err(WeightsError::BadPolicy { field, reason });
        if !(1..=1_000 * DAY).contains(&self.half_life_millis) {
            return bad("half_life_millis", "must be 1 to 86,400,000,000");
        }
        if !(1..=ONE).contains(&self.completeness_full) {
            return bad("completeness_full", "must be 1 to 1,000,000 millionths");
        }
        for (field, percent) in [
            ("excellence_percentile", self.excellence_percentile),
            ("transform_percentile", self.transform_percentile),
        ] {
            if percent > 100 {
                return bad(field, "must be 0 to 100 per cent");
            }
        }
        for (field, least, figure) in self.figures() {
            if !(least..=FIGURE_MAX).contains(&figure) {
                let divides = "must be 0.000001 to 1,000,000";
                return bad(field, if least > 0.0 { divides } else { "must be 0 to 1,000,000" });
            }
        }
        if self.sigmoid_slope_min > self.sigmoid_slope_max {
            return bad("sigmoid_slope_min", "must not be above `sigmoid_slope_max`");
        }
        if self.percentile_unranked > 100.0 {
            return bad("percentile_unranked", "must be 0 to 100");
        }
        Ok(())
    }

    /// Name, least value and value of each figure that is a real number.
    fn figures(&self) -> [(&'static str, f64, f64); 19] {
        let boost = match self.excellence_boost {
            Boost::Factor(factor) => factor,
            Boost::LargestDiversity => 1.0,
        };
        [
            ("percentile_unranked", 0.0, self.percentile_unranked),
            ("excellence_boost", 0.0, boost),
            ("bonus_base", 0.0, self.bonus_base),
            ("bonus_per_kind", 0.0, self.bonus_per_kind),
            ("multiplier_floor", 0.0, self.multiplier_floor),
            ("multiplier_span", 0.0, self.multiplier_span),
            ("multiplier_slope", 0.0, self.multiplier_slope),
            ("multiplier_midpoint", 0.0, self.multiplier_midpoint),
            ("sigmoid_scale", 0.0, self.sigmoid_scale),
            ("sigmoid_std_min", DIVISOR_MIN, self.sigmoid_std_min),
            ("sigmoid_slope_min", 0.0, self.sigmoid_slope_min),
            ("sigmoid_slope_max", 0.0, self.sigmoid_slope_max),
            ("transform_height", 0.0, self.transform_height),
            // Times an exponential that may be infinite: nothing of it would be no number.
            ("transform_delay", DIVISOR_MIN, self.transform_delay),
            ("transform_slope", 0.0, self.transform_slope),
            ("transform_asymmetry", DIVISOR_MIN, self.transform_asymmetry),
            ("transform_linear", 0.0, self.transform_linear),
            ("fallback_std", 0.0, self.fallback_std),
            ("fallback_exponent", 0.0, self.fallback_exponent),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(policy: &Policy) -> String {
        policy.check().unwrap_err().to_string()
    }

    #[test]
    fn the_multiplier_goes_through_its_reference_points() {
        let policy = Policy::default();
        for (percentile, expected) in [
            (0.0, 0.3516),
            (25.0, 0.5790),
            (35.0, 0.75),
            (50.0, 0.9917),
            (75.0, 1.1648),
            (85.0, 1.1838),
            (100.0, 1.1951),
        ] {
            let got = policy.multiplier(percentile);
            assert!((got - expected).abs() < 5e-5, "m({percentile}) = {got}");
        }
    }

    #[test]
    fn the_default_boost_is_what_diversity_pays_at_most() {
        let policy = PolicyName::Default.policy();
        assert!((policy.boost(3) - 1.195_062_330_990 * 1.15).abs() < 1e-9, "{}", policy.boost(3));
        assert_eq!(PolicyName::Original.policy().boost(3), 1.0);
        let only_boost =
            Policy { excellence_boost: Boost::LargestDiversity, ..PolicyName::Original.policy() };
        assert_eq!(only_boost, policy);
    }

    /// Stored records carry these. A change of a default must be seen, and so must one of the form.
    #[test]
    fn hashes_stand_and_tell_policies_apart() {
        let [original, default] =
            [PolicyName::Original, PolicyName::Default].map(|n| n.policy().hash());
        assert_eq!(original, "27d9e4fe96fc0bc45c6009a82bd0f219fdf67943841568d995ba3620da28173d");
        assert_eq!(default, "c25cd5a7dbdf57ff17224986b79acb76749331878e6a6b7588b4a555f1248a54");
        let other = Policy { fallback_exponent: 1.200_000_1, ..Policy::default() };
        assert_ne!(other.hash(), default);
    }

    #[test]
    fn a_policy_survives_json_and_refuses_what_it_does_not_know() {
        for name in PolicyName::ALL {
            let policy = name.policy();
            let text = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
        }
        assert_eq!(serde_json::from_str::<Policy>("{}").unwrap(), Policy::default());
        let whole: Policy = serde_json::from_str(r#"{"transform_slope": 70}"#).unwrap();
        assert_eq!(whole.hash(), Policy::default().hash());
        let error = serde_json::from_str::<Policy>(r#"{"tranform_slope": 1}"#).unwrap_err();
        assert!(error.to_string().contains("tranform_slope"), "{error}");
    }

    #[test]
    fn figures_that_nothing_can_be_counted_with_are_refused_by_name() {
        let fine = Policy::default();
        assert_eq!(fine.check(), Ok(()));
        for bad in [f64::NAN, f64::INFINITY, -1.0, 2e6] {
            let policy = Policy { transform_linear: bad, ..fine.clone() };
            assert!(reason(&policy).contains("`transform_linear`"), "{bad}");
            let policy = Policy { excellence_boost: Boost::Factor(bad), ..fine.clone() };
            assert!(reason(&policy).contains("`excellence_boost`"), "{bad}");
        }
        for (policy, field) in [
            (Policy { half_life_millis: 0, ..fine.clone() }, "half_life_millis"),
            (Policy { completeness_full: 0, ..fine.clone() }, "completeness_full"),
            (Policy { excellence_percentile: 101, ..fine.clone() }, "excellence_percentile"),
            (Policy { transform_percentile: 101, ..fine.clone() }, "transform_percentile"),
            (Policy { percentile_unranked: 101.0, ..fine.clone() }, "percentile_unranked"),
            (Policy { sigmoid_std_min: 0.0, ..fine.clone() }, "sigmoid_std_min"),
            (Policy { transform_delay: 0.0, ..fine.clone() }, "transform_delay"),
            (Policy { transform_asymmetry: 0.0, ..fine.clone() }, "transform_asymmetry"),
            (Policy { sigmoid_slope_min: 31.0, ..fine }, "sigmoid_slope_min"),
        ] {
            assert!(reason(&policy).contains(&format!("`{field}`")), "{}", reason(&policy));
        }
    }
}
