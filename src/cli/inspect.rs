//! `pithead inspect`: what was decided and why, from the rows. Reads only; the server may run.

use std::collections::HashMap;

use clap::{Args, Subcommand};
use serde_json::json;

use super::Common;
use super::audit::Audit;
use crate::app::{AppError, look_into};
use crate::domain::consensus::{
    Explanation, Heard, Minutes, Sheet, Verdict, explain, fingerprint, replay,
};
use crate::domain::ids::MinerUid;
use crate::domain::report::{MinerStatus, ReportLimits, parse_statuses};
use crate::domain::units::{Millis, ONE};
use crate::store::sql::SqlStore;
use crate::store::{RoundRow, Store, StoreError, StoreResult};

/// Show what was decided, and why.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Redo a miner's past verdict from the stored reports, and compare it with the published one.
    Verdict {
        /// The miner's uid.
        uid: u16,
        /// The round, as `explain` names it; the newest one in which the verdict changed, if absent.
        #[arg(long, default_value_t = i64::MAX)]
        round: i64,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// List what happened to validators, newest first, one JSON object a line.
    Events {
        /// Lines at most.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// List the audit log, newest first, one JSON object a line; or check it.
    Audit(Audit),
}

/// Rounds read at once on the way to the one in which the verdict last changed.
const PAGE: u64 = 32;

impl Inspect {
    pub(super) async fn run(self) -> Result<(), AppError> {
        let config = self.common.load()?;
        let store = look_into(&config, &config.data_dir).await?;
        let (uid, round, json) = match self.command {
            Command::Verdict { uid, round, json } => (uid, round, json),
            Command::Events { limit } => {
                let listed = events(&store, limit).await;
                store.close().await;
                return Ok(listed?);
            }
            Command::Audit(audit) => {
                let told = audit.run(&store, config.netuid).await;
                store.close().await;
                return told;
            }
        };
        let redone = redo(&store, MinerUid(uid), round).await;
        store.close().await;
        let Some(redone) = redone? else {
            return Err(AppError::Nothing(format!(
                "no round is stored with a verdict of uid {uid}"
            )));
        };
        match json {
            true => println!("{}", redone.json()),
            false => redone.print(),
        }
        if redone.is_same() { Ok(()) } else { Err(AppError::Unsound(1)) }
    }
}

/// A past verdict, computed once more.
struct Redone {
    minutes: Minutes,
    closed_at: Millis,
    published: String,
    verdict: Verdict,
    explanation: Explanation,
}

impl Redone {
    fn is_same(&self) -> bool {
        fingerprint(&self.verdict) == self.published
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "uid": self.verdict.uid,
            "round": self.minutes.round,
            "closed_at": self.closed_at.rfc3339(),
            "same": self.is_same(),
            "sha256_published": self.published,
            "sha256_recomputed": fingerprint(&self.verdict),
            "verdict": self.verdict.public(),
            "explanation": self.explanation,
        })
    }

    fn print(&self) {
        let share = |millionths: i64| millionths as f64 / ONE as f64;
        println!(
            "uid {} in round {}, closed at {}",
            self.verdict.uid,
            self.minutes.round,
            self.closed_at.rfc3339()
        );
        for field in &self.explanation.fields {
            let Some(result) = &field.result else { continue };
            println!("\n{} = {result}: {}", field.field, field.reason);
            for word in &field.words {
                let mark = if word.clipped { "  counted nothing: too far out" } else { "" };
                println!(
                    "    {:<12} weight {:.6}  {}{mark}",
                    word.validator.to_string(),
                    share(word.weight),
                    word.word
                );
            }
        }
        let outcome = if self.is_same() { "the same bytes as" } else { "NOT THE SAME as" };
        println!("\nrecomputed: {outcome} the published verdict (sha256 {})", self.published);
    }
}

fn read(row: &RoundRow) -> StoreResult<Minutes> {
    serde_json::from_slice(&row.body)
        .map_err(|error| StoreError::Corrupt(format!("minutes of round {}: {error}", row.round)))
}

async fn events(store: &SqlStore, limit: usize) -> StoreResult<()> {
    let (mut up_to, mut listed) = (i64::MAX, 0);
    loop {
        let rounds = store.rounds(up_to, PAGE).await?;
        let Some(oldest) = rounds.last().map(|row| row.round) else { return Ok(()) };
        for row in rounds {
            for (at, event) in read(&row)?.events.iter().rev() {
                if listed == limit {
                    return Ok(());
                }
                listed += 1;
                println!("{}", json!({ "at": at.rfc3339(), "round": row.round, "what": event }));
            }
        }
        up_to = oldest.saturating_sub(1);
    }
}

async fn redo(store: &SqlStore, uid: MinerUid, mut up_to: i64) -> StoreResult<Option<Redone>> {
    loop {
        let rounds = store.rounds(up_to, PAGE).await?;
        let Some(oldest) = rounds.last().map(|row| row.round) else { return Ok(None) };
        for row in rounds {
            let minutes = read(&row)?;
            let Some(miner) = minutes.miners.iter().find(|miner| miner.uid == uid) else {
                continue;
            };
            let published = miner.verdict.clone();
            let words = words(store, &minutes, uid, &miner.votes).await?;
            let inputs = minutes.inputs(uid, |_, heard| {
                let word = words.get(&heard).cloned();
                word.ok_or_else(|| StoreError::Corrupt("a word is missing".to_owned()))
            })?;
            let Some(inputs) = inputs else { continue };
            return Ok(Some(Redone {
                closed_at: row.closed_at,
                published,
                verdict: replay(&inputs),
                explanation: explain(&inputs.policy, &inputs.ballot()),
                minutes,
            }));
        }
        up_to = oldest.saturating_sub(1);
    }
}

/// What was said of the miner, out of the stored reports.
async fn words(
    store: &SqlStore,
    minutes: &Minutes,
    uid: MinerUid,
    votes: &[Heard],
) -> StoreResult<HashMap<Heard, MinerStatus>> {
    let mut words = HashMap::with_capacity(votes.len());
    for &heard in votes {
        let Some(sheet) = minutes.validators.get(usize::from(heard.sheet)) else { continue };
        let gone = |why: &str| StoreError::Corrupt(missing(sheet, heard, why));
        let reports = store.reports_at(&sheet.hotkey, heard.signed_nanos).await?;
        let report = reports.into_iter().find(|report| {
            report.body_hash.first_chunk().copied().map_or(0, u64::from_be_bytes) == heard.tie
        });
        let report = report.ok_or_else(|| gone("is not stored any more"))?;
        let text = String::from_utf8(report.body).map_err(|_| gone("is no text"))?;
        let parsed = parse_statuses(&text, &ReportLimits::default());
        let parsed = parsed.map_err(|error| gone(&error.to_string()))?;
        let word = parsed.statuses.into_iter().find(|status| status.uid == uid);
        words.insert(heard, word.ok_or_else(|| gone("does not name the miner"))?);
    }
    Ok(words)
}

fn missing(sheet: &Sheet, heard: Heard, why: &str) -> String {
    let at = Millis(heard.signed_nanos / 1_000_000).rfc3339();
    format!("the report that {} signed at {at} {why}; reports are kept for a week", sheet.hotkey)
}
