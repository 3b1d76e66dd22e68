//! What the weights cost: from sums of scores to the records of all miners, for a month of scores and
//! for very many miners; what is read and written is not in it. And beside it what it costs to write
//! the records of one period.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use pithead::domain::chain::{ChainFigures, SetWeight, State};
use pithead::domain::ids::{Hotkey, MinerUid, RegistrationId};
use pithead::domain::period::{Period, begin_of};
use pithead::domain::weights::{
    Bucket, Grain, Owner, Owners, Performance, PeriodInput, PolicyName, WeightedKind, performances,
    standings,
};
use pithead::store::sql::{Location, SqlStore};
use pithead::store::{PutRecords, Store};
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

/// The records of all miners out of their buckets; and the median of some rounds, in milliseconds.
fn computed(miners: u16, buckets: &[Bucket]) -> Result<(Vec<Performance>, f64), Box<dyn Error>> {
    let (policy, kinds, owners) = (PolicyName::Default.policy(), kinds(), owners(miners));
    let (mut made, mut took) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let standings = standings(&policy, &kinds, Grain::Day, buckets, &[]);
        let (policy, kinds, owners, before) = (&policy, &kinds, &owners, &BTreeMap::new());
        let standings = &standings;
        let input = PeriodInput { policy, kinds, standings, owners, before, detailed: true };
        let records = performances(&input)?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
        let sum: f64 = records.iter().map(|record| record.weight).sum();
        if records.len() != usize::from(miners) || (sum - 1.0).abs() > 1e-9 {
            return Err(format!("{} records, which sum to {sum}", records.len()).into());
        }
        made = records;
    }
    Ok((made, median(took)))
}

/// A day's records, each with what the chain made of its weight.
fn day(records: Vec<Performance>) -> PutRecords {
    let set = |of: &Performance| {
        let set = SetWeight {
            validator_hotkey: of.hotkey.clone(),
            block: 5_000_000,
            state: State::Settled,
            submitted_weight: of.weight,
        };
        ChainFigures {
            submitted_weight: Some(of.weight),
            validator_hotkey: Some(of.hotkey.clone()),
            weight_submission_block: Some(5_000_000),
            incentive: Some(of.weight),
            consensus_rank: Some(of.rank),
            consensus_block: Some(5_000_300),
            submissions: vec![set],
        }
    };
    PutRecords {
        period: Period::Daily,
        start: begin_of(20_000),
        end: begin_of(20_001),
        policy_hash: PolicyName::Default.policy().hash(),
        now: begin_of(20_001),
        chain: records.iter().map(|of| (of.registration, set(of))).collect(),
        records,
    }
}

/// What one period's records take to be durable in a new SQLite file, in one transaction; the median
/// of some files, in milliseconds.
async fn written(records: &[Performance]) -> Result<f64, Box<dyn Error>> {
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir()?;
        let store = SqlStore::open(Location::Sqlite(folder.path().join("pithead.db"))).await?;
        let put = day(records.to_vec());
        let began = Instant::now();
        let changed = store.put_records(put).await?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
        store.close().await;
        if changed != records.len() as u64 {
            return Err(format!("{changed} records were written").into());
        }
    }
    Ok(median(took))
}

pub(crate) async fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let month = buckets(256, 24, 30);
    let (records, by_day) = computed(256, &month)?;
    let put = written(&records).await?;
    let hours = buckets(256, 1, 30);
    let (_, by_hour) = computed(256, &hours)?;
    let many = buckets(10_000, 24, 1);
    let (_, full) = computed(10_000, &many)?;
    println!("\nrecords of all miners, every step kept, medians of {ROUNDS} rounds");
    println!("256 miners x 6 kinds x 30 days          {by_day:>8.1} ms, {} sums", month.len());
    println!("the same with a sum for every hour      {by_hour:>8.1} ms, {} sums", hours.len());
    println!("10,000 miners x 6 kinds                 {full:>8.1} ms, {} sums", many.len());
    println!("256 records x 6 kinds into SQLite       {put:>8.1} ms, durable");
    if args.json {
        let told = serde_json::json!({
            "days_ms": by_day, "hours_ms": by_hour, "many_miners_ms": full, "put_ms": put,
        });
        println!("{told}");
    }
    Ok(())
}
