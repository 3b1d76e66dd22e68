//! How evenly equal miners are worked, when all that is known of them is 20 minutes old.

use std::error::Error;
use std::time::Duration;

use serde_json::json;

use super::Args;
use super::people::report;
use super::rows::Rows;
use super::server::Child;

const TASKS: usize = 10_000;
const CAPACITY: u32 = 5;
/// Age of the newest report, and the time between the two that tell a validator's period.
const PERIOD: Duration = Duration::from_secs(20 * 60);

pub(crate) async fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let args = Args { cycles: TASKS, ..args.clone() };
    let mut server = Child::start(&args).await?;
    for _ in 0..2 {
        report(&server, args.miners, CAPACITY).await?;
        server.advance(PERIOD).await?;
    }
    let figures = super::cycles::busy(&args, &server).await?;
    let rows = Rows::open(&server.database(&args)).await?;
    let text = "SELECT miner_uid, COUNT(*) FROM response GROUP BY miner_uid";
    let counts: Vec<i64> = rows.pairs(text).await?.into_iter().map(|(_, count)| count).collect();
    rows.close().await?;
    let (least, most) = (counts.iter().min().copied(), counts.iter().max().copied());
    let (least, most) = (least.unwrap_or_default(), most.unwrap_or_default());
    let sum: i64 = counts.iter().sum();
    if usize::try_from(sum)? != TASKS {
        return Err(format!("{sum} answers to {TASKS} tasks").into());
    }
    // A miner without an answer counts too.
    let mean = sum as f64 / f64::from(args.miners);
    let ratio = most as f64 / mean;
    println!("\ntasks, miners                   {TASKS}, {}", args.miners);
    println!("cycles per second               {:.0}", figures.per_second);
    println!("miners that answered            {}", counts.len());
    println!("answers, least / mean / most    {least} / {mean:.1} / {most}");
    println!("most to mean                    {ratio:.3}");
    if args.json {
        println!(
            "{}",
            json!({
                "tasks": TASKS, "miners": args.miners, "miners_that_answered": counts.len(),
                "least": least, "most": most, "most_to_mean": ratio,
            })
        );
    }
    Ok(())
}
