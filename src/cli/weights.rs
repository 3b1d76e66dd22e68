//! `pithead weights compute`: the weights of the server from a file of task values, so that anybody
//! can check a vector. Touches neither a data folder nor the network.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::offline::{finish, read};
use crate::app::AppError;
use crate::domain::ids::MinerUid;
use crate::domain::limits::WEIGHTS_BYTES_MAX;
use crate::domain::weights::{Calculation, Pathway, Record, offline};

/// Compute weights from a file, without a server.
#[derive(Debug, Args)]
pub(super) struct Weights {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Weights of a JSON object `{policy, kinds: [{name, weight, sigmoid}], scores: [{uid, kind, score}]}`.
    Compute(Compute),
}

#[derive(Debug, Args)]
struct Compute {
    /// File of the task values; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Print one line of JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// With every number between the values and the weights.
    #[arg(long, requires = "json")]
    trace: bool,
}

/// The line of `--json`.
#[derive(Serialize)]
struct Computed {
    records: Vec<Short>,
}

/// One miner, without its trace.
#[derive(Serialize)]
struct Short {
    uid: MinerUid,
    excellence_weight: f64,
    diversity_weight: f64,
    raw_calculated_weight: f64,
    scoring_pathway: Pathway,
    weight: f64,
    weight_u16: u16,
}

impl From<&Record> for Short {
    fn from(record: &Record) -> Self {
        Self {
            uid: record.miner.uid,
            excellence_weight: record.excellence_weight,
            diversity_weight: record.diversity_weight,
            raw_calculated_weight: record.raw_calculated_weight,
            scoring_pathway: record.scoring_pathway,
            weight: record.weight,
            weight_u16: record.weight_u16,
        }
    }
}

impl Weights {
    pub(super) fn run(self) -> Result<(), AppError> {
        let Command::Compute(compute) = self.command;
        compute.run()
    }
}

impl Compute {
    fn run(self) -> Result<(), AppError> {
        let text = read(&self.from, WEIGHTS_BYTES_MAX)?;
        let calculation = offline(&text)
            .map_err(|error| AppError::BadInput(format!("{}: {error}", self.from.display())))?;
        let mut out = BufWriter::new(io::stdout().lock());
        let written = match (self.json, self.trace) {
            (true, true) => write_json(&mut out, &calculation),
            (true, false) => {
                let records = calculation.records.iter().map(Short::from).collect();
                write_json(&mut out, &Computed { records })
            }
            (false, _) => write_table(&mut out, &calculation),
        };
        finish(written.and_then(|()| out.flush()))
    }
}

fn write_json(out: &mut impl Write, answer: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, answer)?;
    writeln!(out)
}

fn write_table(out: &mut impl Write, calculation: &Calculation) -> io::Result<()> {
    writeln!(
        out,
        "{:>5}  {:>10}  {:>10}  {:>10}  {:10}  {:>10}  {:>6}",
        "miner", "excellence", "diversity", "raw", "pathway", "weight", "u16"
    )?;
    for record in &calculation.records {
        writeln!(
            out,
            "{:>5}  {:>10.6}  {:>10.6}  {:>10.6}  {:10}  {:>10.8}  {:>6}",
            record.miner.uid,
            record.excellence_weight,
            record.diversity_weight,
            record.raw_calculated_weight,
            record.scoring_pathway.as_str(),
            record.weight,
            record.weight_u16,
        )?;
    }
    if calculation.transform.rank_fallback {
        writeln!(out, "The transformed weights were too much alike: places count.")?;
    }
    Ok(())
}
