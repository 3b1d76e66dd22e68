//! A merge without a server: a file of reports in, verdicts out, so that anyone can check us.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::input::{Report, Standing};
use super::policy::{ConsensusPolicy, MergeMode, ReputationPolicy};
use super::table::ReportTable;
use super::verdict::Verdict;
use crate::domain::ids::{Hotkey, ReportId};
use crate::domain::report::{
    Rejection, ReportError, ReportLimits, parse_moment, parse_statuses, quote_bare_words,
};
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

/// One report as raw text, so that what is wrong with a field is said of that field.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    validator: Option<&'a RawValue>,
    #[serde(borrow)]
    stake: Option<&'a RawValue>,
    #[serde(borrow)]
    epoch: Option<&'a RawValue>,
    #[serde(borrow)]
    sequence: Option<&'a RawValue>,
    #[serde(borrow)]
    partial: Option<&'a RawValue>,
    #[serde(borrow)]
    received_at: Option<&'a RawValue>,
    #[serde(borrow)]
    statuses: Option<&'a RawValue>,
}

/// What is wrong with a field: its name, and a phrase that completes "the field ..".
type Fault = (&'static str, String);

/// Merges a JSON list `[{validator, stake, epoch, sequence, received_at, statuses: [..]}]` as of
/// the newest `received_at`: every listed validator is active, reputations are 1, the period is
/// the default one, and nothing was agreed before.
///
/// # Errors
/// [`OfflineError`] when the list or one of its reports cannot be read.
pub fn offline(json: &str, mode: MergeMode) -> Result<OfflineMerge, OfflineError> {
    match split(json) {
        Ok(lines) => merge_lines(&lines, mode),
        // Python writes a bare `NaN`; put in quotes it becomes a plain refusal of that field.
        Err(error) => match quote_bare_words(json) {
            Some(quoted) => merge_lines(&split(&quoted)?, mode),
            None => Err(error),
        },
    }
}

fn split(json: &str) -> Result<Vec<&RawValue>, OfflineError> {
    serde_json::from_str(json).map_err(|error| OfflineError::BadList(error.to_string()))
}

fn merge_lines(lines: &[&RawValue], mode: MergeMode) -> Result<OfflineMerge, OfflineError> {
    // A lifetime that no age reaches keeps everybody active.
    let reputation = ReputationPolicy { enabled: false, ..ReputationPolicy::default() };
    let default = ConsensusPolicy::default();
    let policy = ConsensusPolicy { mode, active_periods: i64::MAX, reputation, ..default };
    let mut table = ReportTable::new(policy);
    let mut merged = OfflineMerge::default();
    let mut pairs = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let bad = |(field, reason)| OfflineError::BadReport { index, field, reason };
        let (report, standing, rejections) = read(index, line.get()).map_err(bad)?;
        merged.rejected.extend(rejections.into_iter().map(|refused| (index, refused)));
        pairs.push((report, standing));
    }
    // A stake stated twice: the newer statement holds, wherever it stands in the list.
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

fn read(index: usize, raw: &str) -> Result<(Report, Standing, Vec<Rejection>), Fault> {
    if !raw.starts_with('{') {
        return Err(("entry", "must be an object".to_owned()));
    }
    let line: Line<'_> =
        serde_json::from_str(raw).map_err(|error| ("entry", format!("is wrong: {error}")))?;
    let standing = standing(&line)?;
    let received = parse_moment(needed("received_at", line.received_at)?)
        .map_err(|reason| ("received_at", reason.to_owned()))?;
    let statuses = needed("statuses", line.statuses)?;
    let parsed = parse_statuses(statuses, &ReportLimits::default())
        .map_err(|error: ReportError| ("statuses", format!("cannot be taken: {error}")))?;
    let epoch = optional("epoch", line.epoch, "must be a whole number")?;
    let sequence = optional("sequence", line.sequence, "must be a whole number")?;
    let partial = optional("partial", line.partial, "must be true or false")?.unwrap_or(false);
    // Stands in for the hash of a request body, which holds the labels too.
    let labels = format!("{epoch:?} {sequence:?} {partial}\n");
    let body_hash = Sha256::new().chain_update(labels).chain_update(statuses).finalize().into();
    let report = Report {
        id: ReportId(Uuid::from_u128(index as u128)),
        validator: standing.hotkey.clone(),
        epoch,
        sequence,
        signed_nanos: received.0.saturating_mul(1_000_000),
        partial,
        body_hash,
        statuses: parsed.statuses,
    };
    Ok((report, standing, parsed.rejections))
}

fn needed<'a>(field: &'static str, raw: Option<&'a RawValue>) -> Result<&'a str, Fault> {
    raw.map(RawValue::get).ok_or_else(|| (field, "is missing".to_owned()))
}

fn optional<T: DeserializeOwned>(
    field: &'static str,
    raw: Option<&RawValue>,
    reason: &str,
) -> Result<Option<T>, Fault> {
    let read = raw.map(|raw| serde_json::from_str(raw.get()));
    read.transpose().map_err(|_| (field, reason.to_owned()))
}

fn standing(line: &Line<'_>) -> Result<Standing, Fault> {
    let raw = needed("validator", line.validator)?;
    let uid = raw.parse::<u16>().ok();
    let text = match uid {
        Some(uid) => format!("uid-{uid}"),
        None => serde_json::from_str(raw)
            .map_err(|_| ("validator", "must be a hotkey or a uid".to_owned()))?,
    };
    let hotkey = Hotkey::parse(&text).map_err(|bad| ("validator", bad.to_string()))?;
    let reason = "must be 0 to 9.2e9 tokens";
    let stake = match optional("stake", line.stake, reason)? {
        Some(tokens) => {
            Some(Stake::from_tokens(tokens).ok_or_else(|| ("stake", reason.to_owned()))?)
        }
        None => None,
    };
    Ok(Standing { hotkey, uid, stake, reputation: Score::ONE })
}
