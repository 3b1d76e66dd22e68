//! A client that hands in ten times as many tasks as it may.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pithead::domain::limits::{BATCH_TASKS_MAX, TASKS_PER_MINUTE};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::super::people::Failure;
use super::super::wire::Wire;
use super::{ATTACKER, Attack, Siege};

const TIMES: u32 = 10;
const LINES: u32 = 32;

/// What it got, over all rounds.
#[derive(Debug, Default)]
pub(super) struct Greedy(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    refused: AtomicU64,
    /// What the limit lets through: each round's client is another one.
    allowed: AtomicU64,
}

impl Greedy {
    /// The part of what was sent beyond the limit that was answered 429.
    pub(super) fn share_refused(&self) -> f64 {
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed) as f64;
        // The last second of a round counts as allowed whole.
        (count(&self.0.refused) / (count(&self.0.sent) - count(&self.0.allowed)).max(1.0)).min(1.0)
    }
}

impl Attack for Greedy {
    async fn begin(
        &self,
        siege: &Siege,
        stop: &Arc<AtomicBool>,
    ) -> Result<JoinSet<Result<(), Failure>>, Box<dyn Error>> {
        let key = siege.server.key("client").await?;
        let mut crew = JoinSet::new();
        for line in 0..LINES {
            let wire = Wire::connect_from(ATTACKER, &siege.server.address, &key).await?;
            crew.spawn(send(stop.clone(), wire, self.0.clone(), line == 0));
        }
        Ok(crew)
    }
}

async fn send(
    stop: Arc<AtomicBool>,
    mut wire: Wire,
    counts: Arc<Counts>,
    tells: bool,
) -> Result<(), Failure> {
    let per_minute = TASKS_PER_MINUTE.get();
    let mut ticks = interval(Duration::from_secs(60) * LINES / (per_minute * TIMES));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let body = b"{\"text\":\"one of very many sentences\",\"redundancy\":1}";
    let began = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let answer = wire.post("/api/v1/tts", "application/json", "", body).await?;
        counts.sent.fetch_add(1, Ordering::Relaxed);
        if answer.status == 429 {
            counts.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
    if tells {
        let whole = began.elapsed().as_secs_f64() * f64::from(per_minute) / 60.0;
        let allowed = BATCH_TASKS_MAX as u64 + whole.ceil() as u64;
        counts.allowed.fetch_add(allowed, Ordering::Relaxed);
    }
    Ok(())
}
