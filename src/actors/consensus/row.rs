//! Between the table of reports and its rows, and from verdicts to what the Distributor is told.

use std::collections::{BTreeMap, BTreeSet};

use super::{Reporter, TakeReport};
use crate::actors::distributor::MinerUpdate;
use crate::domain::consensus::{Agreed, Report, Restored, Verdict};
use crate::domain::ids::{RegistrationId, ReportId, ValidatorId};
use crate::domain::report::{ReportLimits, canonical_json, parse_statuses};
use crate::domain::units::{Millis, Score, Stake};
use crate::store::{
    PutReport, RegistrationRow, ReportRow, StoreError, StoreResult, ValidatorRow, VerdictRow,
};

/// What was agreed about each miner, and since when it has its uid where another one had it before.
/// The reports that made a uid's first registration are older than that and count.
pub(super) fn restored(
    verdicts: Vec<VerdictRow>,
    registrations: &[RegistrationRow],
    replaced: &BTreeSet<RegistrationId>,
) -> Vec<Restored> {
    let first =
        |uid| Restored { uid, agreed: Agreed::default(), ignore_before: Millis(0), newcomer: None };
    let mut all: BTreeMap<_, _> = BTreeMap::new();
    for row in verdicts {
        match serde_json::from_value::<Agreed>(row.body) {
            Ok(agreed) => drop(all.insert(row.uid, Restored { agreed, ..first(row.uid) })),
            Err(error) => {
                tracing::error!(miner.uid = %row.uid, %error, "agreed values cannot be read; skipped");
            }
        }
    }
    for row in registrations.iter().filter(|row| replaced.contains(&row.id)) {
        let restored = all.entry(row.uid).or_insert_with(|| first(row.uid));
        restored.ignore_before = row.opened_at;
        restored.newcomer = Some(row.hotkey.clone());
        // Written before the uid changed hands.
        if restored.agreed.hotkey.as_ref() != Some(&row.hotkey) {
            restored.agreed = Agreed::default();
        }
    }
    all.into_values().collect()
}

pub(super) fn stored_report(row: ReportRow, validator: &ValidatorRow) -> StoreResult<Report> {
    let bad = |error: String| StoreError::Corrupt(format!("report {}: {error}", row.id));
    let text = std::str::from_utf8(&row.body).map_err(|error| bad(error.to_string()))?;
    let parsed =
        parse_statuses(text, &ReportLimits::default()).map_err(|error| bad(error.to_string()))?;
    Ok(Report {
        id: row.id,
        validator: validator.hotkey.clone(),
        epoch: Some(row.epoch),
        sequence: row.sequence,
        signed_nanos: row.signed_order,
        partial: row.partial,
        body_hash: row.body_hash,
        statuses: parsed.statuses,
    })
}

pub(super) fn validator_row(reporter: &Reporter, now: Millis) -> ValidatorRow {
    ValidatorRow {
        id: ValidatorId(uuid::Uuid::now_v7()),
        hotkey: reporter.hotkey.clone(),
        uid: reporter.uid,
        created_at: now,
        track: None,
    }
}

/// A report as a row and as the table takes it.
pub(super) fn durable(
    id: ReportId,
    validator: ValidatorId,
    report: TakeReport,
    now: Millis,
) -> (PutReport, (Reporter, Report)) {
    let row = ReportRow {
        id,
        validator,
        signed_order: report.signed_order,
        epoch: report.epoch,
        sequence: report.sequence,
        partial: report.partial,
        received_at: now,
        statuses: u32::try_from(report.statuses.len()).unwrap_or(u32::MAX),
        body_hash: report.body_hash,
        body: canonical_json(&report.statuses).into_bytes(),
    };
    let table = Report {
        id,
        validator: report.reporter.hotkey.clone(),
        epoch: Some(report.epoch),
        sequence: report.sequence,
        signed_nanos: report.signed_order,
        partial: report.partial,
        body_hash: report.body_hash,
        statuses: report.statuses,
    };
    (PutReport { report: row, nonce: report.nonce }, (report.reporter, table))
}

/// A miner of whom the network says nothing.
pub(super) fn unknown(row: &RegistrationRow) -> MinerUpdate {
    MinerUpdate {
        row: row.clone(),
        serving: false,
        performance: Score::ZERO,
        confidence: Score::ZERO,
        contested: false,
        stake: Stake::ZERO,
        reported_load_millionths: 0,
        last_seen: Millis(0),
        report_period_millis: 0,
        kinds: Vec::new(),
    }
}

pub(super) fn update(
    row: &RegistrationRow,
    verdict: &Verdict,
    report_period: Option<i64>,
) -> MinerUpdate {
    MinerUpdate {
        row: row.clone(),
        serving: verdict.is_serving.unwrap_or(false),
        performance: verdict.performance.unwrap_or(Score::ZERO),
        confidence: verdict.confidence,
        contested: verdict.contested,
        stake: verdict.stake.unwrap_or(Stake::ZERO),
        reported_load_millionths: verdict.load_millionths.unwrap_or(0),
        last_seen: verdict.last_seen.unwrap_or_default(),
        report_period_millis: report_period.unwrap_or(0),
        kinds: verdict
            .specialization
            .as_ref()
            .map(|kinds| kinds.names().map(str::to_owned).collect())
            .unwrap_or_default(),
    }
}
