//! What the check of a signature and of a role adds to a cheap read, in processor time of the server.

use std::error::Error;

use super::super::figures::median;
use super::super::server::miner_key;
use super::super::wire::Wire;
use super::Siege;

const READS: usize = 4_000;
const ROUNDS: usize = 5;
const TARGET: &str = "/api/v1/miners/0/view";

/// Microseconds of one core per request, median of rounds in turn.
pub(super) async fn measure(siege: &Siege) -> Result<f64, Box<dyn Error>> {
    let (server, key) = (&siege.server, miner_key(0));
    let mut bare = Wire::connect(&server.address, "").await?;
    let mut keyed = Wire::connect(&server.address, &siege.people.miners[0]).await?;
    let mut added = Vec::new();
    // The first round warms up.
    for round in 0..=ROUNDS {
        let began = server.cpu_nanos()?;
        for _ in 0..READS {
            keyed.get(TARGET).await?.ok()?;
        }
        let between = server.cpu_nanos()?;
        for _ in 0..READS {
            let proof = server.sign(&key, "GET", TARGET, b"");
            bare.get_with(TARGET, &proof).await?.ok()?;
        }
        let ended = server.cpu_nanos()?;
        if round > 0 {
            let (plain, signed) = ((between - began) as f64, (ended - between) as f64);
            added.push((signed - plain) / READS as f64 / 1_000.0);
        }
    }
    Ok(median(added))
}
