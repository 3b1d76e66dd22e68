//! What the weights cost: from sums of scores to the records of all miners, for a month of scores and
//! for very many miners. What is read and written is not in it.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use pithead::domain::ids::{Hotkey, MinerUid, RegistrationId};
use pithead::domain::weights::{
    Bucket, Owner, Owners, PeriodInput, PolicyName, WeightedKind, performances, standings,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::Args;
use super::figures::median;

const KINDS: usize = 6;
const ROUNDS: usize = 11;

fn kinds() -> Vec<WeightedKind> {
    let kind = |n| WeightedKind { name: format!("kind{n}"), weight: 1.0 / 6.0, sigmoid: n == 1 };
    (0..KINDS).map(kind).collect()
}

fn registration(uid: u16) -> RegistrationId {
    RegistrationId(Uuid::from_u128(0x7000 + u128::from(uid)))
}

/// One bucket per miner, kind and so many hours apart, for 30 days.
fn buckets(miners: u16, hours_apart: usize, days: usize) -> Vec<Bucket> {
    let mut random = StdRng::seed_from_u64(7);
    let mut buckets = Vec::new();
    for uid in 0..miners {
        for kind in 0..KINDS {
            for hour in (0..days * 24).step_by(hours_apart) {
                buckets.push(Bucket {
                    registration: registration(uid),
                    kind: format!("kind{kind}"),
                    voice: None,
                    hour: hour as i64,
                    scored: 10,
                    score_sum: random.random_range(0..=10_000_000),
                });
            }
        }
    }
    buckets
}

fn owners(miners: u16) -> Owners {
    let owner = |uid: u16| {
        let hotkey = Hotkey::parse(&format!("miner{uid}")).unwrap_or_else(|_| unreachable!());
        (registration(uid), Owner { uid: MinerUid(uid), hotkey, open: true })
    };
    (0..miners).map(owner).collect()
}

/// The records of all miners out of their buckets; the median of some rounds, in milliseconds.
fn computed(miners: u16, buckets: &[Bucket]) -> Result<f64, Box<dyn Error>> {
    let (policy, kinds, owners) = (PolicyName::Default.policy(), kinds(), owners(miners));
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let standings = standings(&policy, &kinds, buckets, &[]);
        let (policy, kinds, owners, before) = (&policy, &kinds, &owners, &BTreeMap::new());
        let standings = &standings;
        let input = PeriodInput { policy, kinds, standings, owners, before, detailed: true };
        let records = performances(&input)?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
        let sum: f64 = records.iter().map(|record| record.weight).sum();
        if records.len() != usize::from(miners) || (sum - 1.0).abs() > 1e-9 {
            return Err(format!("{} records, which sum to {sum}", records.len()).into());
        }
    }
    Ok(median(took))
}

pub(crate) fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let month = buckets(256, 24, 30);
    let by_day = computed(256, &month)?;
    let hours = buckets(256, 1, 30);
    let by_hour = computed(256, &hours)?;
    let many = buckets(10_000, 24, 1);
    let full = computed(10_000, &many)?;
    println!("\nrecords of all miners, every step kept, medians of {ROUNDS} rounds");
    println!("256 miners x 6 kinds x 30 days          {by_day:>8.1} ms, {} sums", month.len());
    println!("the same with a sum for every hour      {by_hour:>8.1} ms, {} sums", hours.len());
    println!("10,000 miners x 6 kinds                 {full:>8.1} ms, {} sums", many.len());
    if args.json {
        let told = serde_json::json!({
            "days_ms": by_day, "hours_ms": by_hour, "many_miners_ms": full,
        });
        println!("{told}");
    }
    Ok(())
}
