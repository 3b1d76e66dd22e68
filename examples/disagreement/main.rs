//! How far liars move the published numbers. 64 validators with unequal stake speak of 256
//! miners; a growing share of the weight lies together, in six ways, with and without what
//! Pithead itself sees of half of the miners.
//!
//!     cargo run --release --example disagreement -- --svg disagreement.svg --json
//!
//! Everything is drawn from fixed seeds: two runs print the same figures, times apart.
#![allow(clippy::print_stdout)]

mod attack;
mod draw;
mod epoch;
mod figures;
#[path = "../load/wire.rs"]
#[allow(dead_code)]
mod wire;
mod world;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;

use figures::{Curve, Effort};

/// Shows the error of three merges against the share of dishonest weight.
#[derive(Parser, Debug)]
struct Args {
    /// Fewer seeds and shares.
    #[arg(long)]
    quick: bool,
    /// Where to draw the curves.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// One JSON object on the last line.
    #[arg(long)]
    json: bool,
    /// Print every attack apart, and how each validator fared.
    #[arg(long)]
    detail: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let (effort, step) = if args.quick { (Effort::QUICK, 70) } else { (Effort::FULL, 5) };
    let shares: Vec<u32> = (0..=70).step_by(step).collect();
    let curves = std::thread::scope(|scope| {
        let shares = &shares;
        let drawn = Curve::ALL
            .map(|curve| (curve, scope.spawn(move || figures::curve(curve, shares, effort))));
        drawn.map(|(curve, points)| (curve, points.join().unwrap_or_default()))
    });
    println!("mean error of the performance score over all miners, worst attack, in thousandths\n");
    print!("{}", draw::table(&shares, &curves));
    print!("\n{}", draw::plot(&shares, &curves));
    if args.detail {
        print!("\n{}", figures::detail(effort.seeds));
    }
    if let Some(path) = &args.svg {
        std::fs::write(path, draw::svg(&shares, &curves))?;
    }
    // Last and alone: it is a time.
    let mut figures = figures::figures(effort);
    figures.push(("epoch_merge_ms", epoch::merge_ms(effort.timed_epochs)?));
    println!();
    for (name, value) in &figures {
        println!("{name:>24}  {value:.4}");
    }
    println!("\n{}", figures::NOT_COVERED);
    if args.json {
        let object: serde_json::Map<_, _> =
            figures.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        println!("{}", serde_json::Value::Object(object));
    }
    Ok(())
}
