//! A siege: what checking signatures costs, and what attackers do to everybody else. Good traffic is
//! that of `--hostile`: ordinary clients that submit and follow tasks at a small fixed rate. It runs
//! calm and under each attack in turn. Attackers come from other addresses of the machine.

mod broken;
mod cost;
mod greedy;
mod replays;
mod slow;

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tokio::task::JoinSet;

use super::Args;
use super::figures::{Spread, median};
use super::hostile::{self, CAPACITY, CLIENTS, Times};
use super::people::{Failure, People, joined, report};
use super::server::Child;
use super::wire::Wire;

/// Calm and under attack in turn.
const ROUNDS: usize = 3;
/// Where attackers come from; ordinary clients come from 127.0.0.1.
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Everybody who takes part.
struct Siege {
    server: Child,
    people: People,
    /// Of ordinary clients.
    keys: Vec<String>,
}

impl Siege {
    /// p99 of good requests, in nanoseconds, while it is as it is now.
    async fn good(&self) -> Result<f64, Box<dyn Error>> {
        let mut times = Times::default();
        hostile::phase(&self.server, &self.keys, &mut times).await?;
        Ok(Spread::of(times.requests).p99 as f64)
    }

    /// Median over rounds of p99 beside an attack over p99 of the calm before it.
    async fn beside<A: Attack>(&self, attack: &A) -> Result<f64, Box<dyn Error>> {
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let calm = self.good().await?;
            let stop = Arc::new(AtomicBool::new(false));
            let crew = attack.begin(self, &stop).await?;
            let under = self.good().await;
            stop.store(true, Ordering::Relaxed);
            joined(crew).await?;
            ratios.push(under? / calm);
            hostile::wait_for_quiet(&self.server).await?;
        }
        Ok(median(ratios))
    }
}

/// What goes on beside good traffic until it is told to stop.
trait Attack {
    async fn begin(
        &self,
        siege: &Siege,
        stop: &Arc<AtomicBool>,
    ) -> Result<JoinSet<Result<(), Failure>>, Box<dyn Error>>;
}

pub(crate) async fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let server = Child::start(args).await?;
    report(&server, args.miners, CAPACITY).await?;
    let people = People::of(&server, args.miners, 1).await?;
    let mut keys = Vec::new();
    for _ in 0..CLIENTS {
        keys.push(server.key("client").await?);
    }
    let siege = Siege { server, people, keys };
    let micros = cost::measure(&siege).await?;
    let replays = replays::measure(&siege, args).await?;
    let over = Arc::new(AtomicBool::new(false));
    let mut miners: JoinSet<Result<(), Failure>> = JoinSet::new();
    for (uid, key) in (0_u16..).zip(&siege.people.miners) {
        let wire = Wire::connect(&siege.server.address, key).await?;
        miners.spawn(hostile::mine(over.clone(), wire, uid));
    }
    hostile::wait_for_quiet(&siege.server).await?;
    siege.good().await?;
    let broken = broken::measure(&siege).await?;
    let greedy = greedy::Greedy::default();
    let greedy_ratio = siege.beside(&greedy).await?;
    let slow = slow::Slow::of(&siege).await?;
    let slow_ratio = siege.beside(&slow).await?;
    over.store(true, Ordering::Relaxed);
    joined(miners).await?;
    let panics = siege.server.panics()?;
    let share = greedy.share_refused();
    println!("\nsignature and role              {micros:.0} us of one core");
    println!("malformed or tampered           {broken}, {panics} panics in all");
    println!("greedy: excess that got 429     {share:.4}");
    println!("greedy: p99 of the others       {greedy_ratio:.2} times");
    println!("slow: connections made          {}", slow.made());
    println!("slow: p99 of the others         {slow_ratio:.2} times");
    println!("replays                         {replays}");
    if args.json {
        println!(
            "{}",
            json!({
                "signature_us": micros, "broken_accepted": broken.accepted,
                "broken_5xx": broken.faults, "broken_unanswered": broken.unanswered,
                "panics": panics, "greedy_share_429": share, "greedy_p99_ratio": greedy_ratio,
                "slow_p99_ratio": slow_ratio, "replays": replays.sent,
                "replay_second_answers": replays.answers, "replay_second_rows": replays.rows,
            })
        );
    }
    Ok(())
}
