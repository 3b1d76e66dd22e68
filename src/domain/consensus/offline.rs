//! A merge without a server: a file of reports in, verdicts out, so that anyone can check us.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::input::{Report, Standing};
use super::policy::{ConsensusPolicy, MergeMode, ReputationPolicy};
use super::table::ReportTable;
use super::verdict::Verdict;
use crate::domain::ids::{Hotkey, ReportId};
use crate::domain::report::{Rejection, ReportError, ReportLimits, parse_moment, parse_statuses};
use crate::domain::units::{Millis, Score, Stake};

/// A list of reports that cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfflineError {
    /// Not a JSON list of objects with the fields of a report.
    #[error("the input is no list of reports: {0}")]
    BadList(String),
    /// One report has a field that cannot be used.
    #[error("report {index}: `{field}` {reason}")]
    BadReport {
        /// Place in the list, from 0.
        index: usize,
        /// The field.
        field: &'static str,
        /// A phrase that completes "the field ..".
        reason: String,
    },
}

/// The verdicts of a list of reports, and the entries that were refused on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfflineMerge {
    /// By uid.
    pub verdicts: Vec<Verdict>,
    /// The report's place in the list, and the refusal.
    pub rejected: Vec<(usize, Rejection)>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    validator: &'a RawValue,
    #[serde(default)]
    stake: Option<f64>,
    #[serde(default)]
    epoch: Option<i64>,
    #[serde(default)]
    sequence: Option<i64>,
    #[serde(default)]
    partial: bool,
    #[serde(borrow)]
    received_at: &'a RawValue,
    #[serde(borrow)]
    statuses: &'a RawValue,
}

/// Merges a JSON list `[{validator, stake, epoch, sequence, received_at, statuses: [..]}]` as of
/// the newest `received_at`: every listed validator is active, reputations are 1, the period is
/// the default one, and nothing was agreed before.
///
/// # Errors
/// [`OfflineError`] when the list or one of its reports cannot be read.
pub fn offline(json: &str, mode: MergeMode) -> Result<OfflineMerge, OfflineError> {
    let lines: Vec<Line<'_>> =
        serde_json::from_str(json).map_err(|error| OfflineError::BadList(error.to_string()))?;
    // A lifetime that no age reaches keeps everybody active.
    let reputation = ReputationPolicy { enabled: false, ..ReputationPolicy::default() };
    let default = ConsensusPolicy::default();
    let policy = ConsensusPolicy { mode, active_periods: i64::MAX, reputation, ..default };
    let mut table = ReportTable::new(policy);
    let mut merged = OfflineMerge::default();
    let (mut reports, mut standings) = (Vec::new(), Vec::new());
    for (index, line) in lines.iter().enumerate() {
        let bad = |field, reason: String| OfflineError::BadReport { index, field, reason };
        let standing = standing(line).map_err(|(field, reason)| bad(field, reason))?;
        let received = parse_moment(line.received_at.get())
            .map_err(|reason| bad("received_at", reason.to_owned()))?;
        let parsed = parse_statuses(line.statuses.get(), &ReportLimits::default())
            .map_err(|error: ReportError| bad("statuses", error.to_string()))?;
        merged.rejected.extend(parsed.rejections.into_iter().map(|refused| (index, refused)));
        reports.push(Report {
            id: ReportId(Uuid::from_u128(index as u128)),
            validator: standing.hotkey.clone(),
            epoch: line.epoch,
            sequence: line.sequence,
            signed_nanos: received.0.saturating_mul(1_000_000),
            partial: line.partial,
            body_hash: line.hash(),
            statuses: parsed.statuses,
        });
        standings.push(standing);
    }
    // A stake stated twice: the newer statement holds, wherever it stands in the list.
    let mut pairs: Vec<_> = reports.into_iter().zip(standings).collect();
    pairs.sort_by_key(|(report, standing)| (report.order(), standing.stake));
    let newest = pairs.last().map_or(0, |(report, _)| report.signed_nanos);
    let now = Millis(newest / 1_000_000);
    let mut stakes: HashMap<Hotkey, Stake> = HashMap::new();
    for (report, mut standing) in pairs {
        let known = stakes.get(&standing.hotkey).copied();
        standing.stake = standing.stake.or(known);
        stakes.extend(standing.stake.map(|stake| (standing.hotkey.clone(), stake)));
        table.set_standing(standing);
        table.apply(now, report);
    }
    table.refresh(now);
    merged.verdicts = table.verdicts().map(|verdict| Verdict::clone(verdict)).collect();
    Ok(merged)
}

impl Line<'_> {
    /// Stands in for the hash of a request body, which holds the labels too.
    fn hash(&self) -> [u8; 32] {
        let labels = format!("{:?} {:?} {}\n", self.epoch, self.sequence, self.partial);
        Sha256::new().chain_update(labels).chain_update(self.statuses.get()).finalize().into()
    }
}

fn standing(line: &Line<'_>) -> Result<Standing, (&'static str, String)> {
    let raw = line.validator.get();
    let uid = raw.parse::<u16>().ok();
    let text = match uid {
        Some(uid) => format!("uid-{uid}"),
        None => serde_json::from_str(raw)
            .map_err(|_| ("validator", "must be a hotkey or a uid".to_owned()))?,
    };
    let hotkey = Hotkey::parse(&text).map_err(|bad| ("validator", bad.to_string()))?;
    let stake = match line.stake {
        Some(tokens) => Some(
            Stake::from_tokens(tokens)
                .ok_or_else(|| ("stake", "must be 0 to 9.2e9 tokens".to_owned()))?,
        ),
        None => None,
    };
    Ok(Standing { hotkey, uid, stake, reputation: Score::ONE })
}
