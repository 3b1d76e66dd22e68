//! `pithead consensus merge`: the merge of the server on a file of reports, so that anybody can
//! check a verdict. Touches neither a data folder nor the network.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::offline::{finish, read};
use crate::app::AppError;
use crate::domain::consensus::{
    MergeMode, OfflineMerge, PublicVerdict, Verdict, VoterName, offline,
};
use crate::domain::limits::MERGE_BYTES_MAX;
use crate::domain::report::Rejection;

/// Merge reports of a file, without a server.
#[derive(Debug, Args)]
pub(super) struct Consensus {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Merge a JSON list `[{validator, stake, epoch, sequence, received_at, statuses: [..]}]`.
    Merge(Merge),
}

#[derive(Debug, Args)]
struct Merge {
    /// File of the reports; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Print one line of JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// How numbers are merged and votes counted.
    #[arg(long, value_enum, default_value_t = Mode::Robust)]
    mode: Mode,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// As the server does by default.
    Robust,
    /// Plain weighted averages and majorities, for comparison.
    Seed,
}

/// The line of `--json`.
#[derive(Serialize)]
struct Merged<'m> {
    verdicts: Vec<PublicVerdict<'m>>,
    rejected: Vec<Refused<'m>>,
}

/// An entry that was left out.
#[derive(Serialize)]
struct Refused<'m> {
    /// The report's place in the list, from 0.
    report: usize,
    #[serde(flatten)]
    entry: &'m Rejection,
}

impl Consensus {
    pub(super) fn run(self) -> Result<(), AppError> {
        let Command::Merge(merge) = self.command;
        merge.run()
    }
}

impl Merge {
    fn run(self) -> Result<(), AppError> {
        let text = read(&self.from, MERGE_BYTES_MAX)?;
        let mode = match self.mode {
            Mode::Robust => MergeMode::Robust,
            Mode::Seed => MergeMode::Seed,
        };
        let merged = offline(&text, mode)
            .map_err(|error| AppError::BadInput(format!("{}: {error}", self.from.display())))?;
        let written = tell(&merged).and_then(|()| {
            let mut out = io::stdout().lock();
            if self.json { write_json(&mut out, &merged) } else { write_table(&mut out, &merged) }
        });
        finish(written)
    }
}

/// Refused entries, one line each, to standard error.
fn tell(merged: &OfflineMerge) -> io::Result<()> {
    let mut out = io::stderr().lock();
    for (report, entry) in &merged.rejected {
        let Rejection { index, uid, field, reason } = entry;
        let uid = uid.map(|uid| format!(" (uid {uid})")).unwrap_or_default();
        writeln!(out, "report {report}, entry {index}{uid} is left out: `{field}` {reason}")?;
    }
    Ok(())
}

fn write_json(out: &mut impl Write, merged: &OfflineMerge) -> io::Result<()> {
    let verdicts = merged.verdicts.iter().map(Verdict::public).collect();
    let refused = |(report, entry)| Refused { report, entry };
    let rejected = merged.rejected.iter().map(|(report, entry)| refused((*report, entry)));
    serde_json::to_writer(&mut *out, &Merged { verdicts, rejected: rejected.collect() })?;
    writeln!(out)
}

fn write_table(out: &mut impl Write, merged: &OfflineMerge) -> io::Result<()> {
    writeln!(
        out,
        "{:>5}  {:7}  {:>11}  {:>8}  {:>14}  {:>10}  {:>10}  notes",
        "miner", "serving", "performance", "load", "stake", "confidence", "validators"
    )?;
    for verdict in merged.verdicts.iter().map(Verdict::public) {
        let serving = match verdict.is_serving {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        writeln!(
            out,
            "{:>5}  {serving:7}  {:>11}  {:>8}  {:>14}  {:>10.3}  {:>10}  {}",
            verdict.uid,
            number(verdict.performance_score),
            number(verdict.current_load),
            number(verdict.stake),
            verdict.consensus_confidence,
            verdict.consensus_validators.len(),
            notes(&verdict),
        )?;
    }
    Ok(())
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// What a reader must know before trusting the line.
fn notes(verdict: &PublicVerdict<'_>) -> String {
    let mut notes = Vec::new();
    if let ([only], true) = (verdict.consensus_validators, verdict.single_source) {
        notes.push(match only {
            VoterName::Uid(uid) => format!("only validator {uid} speaks"),
            VoterName::Hotkey(hotkey) => format!("only validator {hotkey} speaks"),
        });
    }
    if !verdict.conflicts_detected.is_empty() {
        notes.push(format!("conflict: {}", verdict.conflicts_detected.join(", ")));
    }
    if verdict.contested {
        notes.push("contested".to_owned());
    }
    notes.join("; ")
}
