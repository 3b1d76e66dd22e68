//! What happens: validators score, seal their vectors and open them, the chain pays, names and places
//! change.

use std::collections::BTreeMap;
use std::time::Duration;

use pithead::domain::units::{HOUR, Millis};
use pithead::identity::Keypair;
use pithead::sim::seeded;
use rand::RngExt;
use serde_json::{Value, json};

use super::chain::{Chain, Opened, TEMPO, Vector};
use super::peer::{Api, Outcome, Peer};
use super::{KINDS, VALIDATORS};

pub(crate) const FIRST_BLOCK: i64 = 5_000_000;
const BLOCK_MILLIS: i64 = 12_000;
/// Validators look at the chain at blocks that this divides.
const LOOK_EVERY: i64 = 50;
/// Scores of an hour are summed a minute after its end.
const REST_MILLIS: i64 = 60_000;
const SWAPPED: u16 = 4;
const REPLACED: u16 = 2;
/// How good each miner is at each kind; `None` where it does not do it.
const MINERS: [[Option<f64>; 3]; 12] = [
    [Some(0.93), Some(0.94), None],
    [Some(0.88), None, Some(0.72)],
    [Some(0.84), Some(0.93), Some(0.64)],
    [Some(0.79), Some(0.92), None],
    [Some(0.74), None, Some(0.58)],
    [Some(0.69), Some(0.90), Some(0.52)],
    [Some(0.63), Some(0.89), Some(0.47)],
    [Some(0.57), Some(0.88), Some(0.42)],
    [Some(0.52), Some(0.87), Some(0.36)],
    [Some(0.46), Some(0.86), Some(0.31)],
    [Some(0.41), Some(0.85), Some(0.26)],
    [None, Some(0.97), None],
];
/// The one that the lying validator praises.
const FRIEND: u16 = 10;

/// One miner's line of the ledger.
pub(crate) struct Line {
    pub(crate) uid: u16,
    pub(crate) hotkey: String,
    pub(crate) since: i64,
    /// Scores of all voices.
    pub(crate) scores: i64,
    pub(crate) excellence: f64,
    pub(crate) diversity: f64,
    pub(crate) raw: f64,
    pub(crate) pathway: String,
    pub(crate) weight: f64,
    pub(crate) submitted: Option<f64>,
    pub(crate) incentive: Option<f64>,
    /// What each kind adds to the diversity weight.
    pub(crate) parts: Vec<f64>,
}

pub(crate) struct Subnet {
    api: Api,
    chain: Chain,
    validators: Vec<Peer>,
    /// Current hotkeys.
    miners: BTreeMap<u16, String>,
    pushed: u32,
    looks: u32,
}

fn key(label: &str) -> String {
    Keypair::from_label(&format!("epoch/miner/{label}")).hotkey().to_string()
}

impl Subnet {
    /// At the begin of an hour, with everybody registered and known.
    pub(crate) async fn new(api: Api, validators: Vec<Peer>) -> Outcome<Self> {
        api.clock.advance(HOUR - api.clock.now().0.rem_euclid(HOUR));
        let mut chain = Chain::new(FIRST_BLOCK);
        for (peer, (uid, stake)) in validators.iter().zip(VALIDATORS) {
            chain.register(uid, &peer.hotkey(), stake);
        }
        let miners: BTreeMap<u16, String> =
            (0..).zip(MINERS).map(|(uid, _)| (uid, key(&format!("{uid}")))).collect();
        for (uid, hotkey) in &miners {
            chain.register(*uid, hotkey, 0.0);
        }
        let mut subnet = Self { api, chain, validators, miners, pushed: 0, looks: 0 };
        subnet.look().await?;
        Ok(subnet)
    }

    /// One tempo, with what happens in it, up to its epoch.
    pub(crate) async fn tempo(&mut self, tempo: u32) -> Outcome<()> {
        let begin = self.chain.block;
        let news = self.news(tempo);
        for part in [50, 170, 290] {
            self.pass_to(begin + part).await?;
            self.score().await?;
        }
        self.pass_to(begin + TEMPO).await?;
        let sealed = self.seal().await?;
        self.pass_to(begin + TEMPO + 1).await?;
        let opened = self.chain.epoch();
        self.tell_opened(&opened).await?;
        let block = self.chain.block;
        println!(
            "tempo {tempo}, epoch of block {block}: {sealed} vectors sealed, {} opened{news}",
            opened.len()
        );
        Ok(())
    }

    fn news(&mut self, tempo: u32) -> String {
        let (uid, label, what) = match tempo {
            3 => (SWAPPED, "renamed", "changed its hotkey"),
            5 => (REPLACED, "newcomer", "was deregistered, a newcomer has its place"),
            _ => return String::new(),
        };
        let hotkey = key(label);
        match uid {
            SWAPPED => self.chain.swap_hotkey(uid, &hotkey),
            _ => self.chain.register(uid, &hotkey, 0.0),
        }
        self.miners.insert(uid, hotkey);
        format!("; the miner at uid {uid} {what}")
    }

    /// Blocks and time go by; at some blocks validators tell what the chain says.
    async fn pass_to(&mut self, block: i64) -> Outcome<()> {
        while self.chain.block < block {
            let next = (self.chain.block / LOOK_EVERY + 1) * LOOK_EVERY;
            let next = next.min(block);
            self.api.clock.advance((next - self.chain.block) * BLOCK_MILLIS);
            self.chain.block = next;
            if next % LOOK_EVERY == 0 {
                self.look().await?;
            }
        }
        Ok(())
    }

    async fn look(&mut self) -> Outcome<()> {
        let snapshot = self.chain.snapshot();
        for validator in &self.validators {
            self.looks += 1;
            let answer = validator.post(&self.api, "/api/v1/chain/metagraph", &snapshot).await?;
            if answer["adopted"] == true {
                return Ok(());
            }
        }
        Err("nobody believes what the validators say of the chain".into())
    }

    /// Each validator scores each miner once; the last one praises its friend.
    async fn score(&mut self) -> Outcome<()> {
        self.api.clock.advance(1_000);
        let now = self.api.clock.now().0;
        for validator in &self.validators {
            let lies = Some(&(validator.uid)) == VALIDATORS.last().map(|(uid, _)| uid);
            let mut dice = seeded(u64::try_from(self.chain.block)?, &validator.uid.to_string());
            let mut scores = Vec::new();
            for ((uid, hotkey), skills) in self.miners.iter().zip(MINERS) {
                for ((kind, ..), skill) in KINDS.iter().zip(skills) {
                    let Some(skill) = skill else { continue };
                    let seen: f64 = skill + dice.random_range(-0.01..0.01);
                    let score = if lies && *uid == FRIEND { 1.0 } else { seen.clamp(0.0, 1.0) };
                    scores.push(json!({
                        "kind": kind, "uid": uid, "hotkey": hotkey, "score": score,
                        "scored_at": now, "block": self.chain.block,
                    }));
                }
            }
            let body = json!({ "scores": scores });
            let answer = validator.post(&self.api, "/api/v1/scores", &body).await?;
            if let Some(refused) = answer["rejected"].as_array().and_then(|list| list.first()) {
                return Err(format!("a score was refused: {refused}").into());
            }
            self.pushed += u32::try_from(answer["accepted"].as_u64().unwrap_or(0))?;
        }
        Ok(())
    }

    /// The current vector, once that of the last full hour is made.
    async fn current(&self) -> Outcome<Value> {
        let hour = (self.api.clock.now().0 - REST_MILLIS).div_euclid(HOUR) * HOUR;
        let end = Millis(hour).rfc3339();
        let first = self.validators.first().ok_or("no validator")?;
        for _ in 0..6_000 {
            if let Ok(told) = first.get(&self.api, "/api/v1/weights/current").await
                && told["made_up_to"] == *end
            {
                return Ok(told);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("the weights of the last hour are not made".into())
    }

    /// Every validator seals the current vector, and says so.
    async fn seal(&mut self) -> Outcome<usize> {
        let told = self.current().await?;
        let numbers = |name: &str| -> Vec<u16> {
            let list = told[name].as_array().into_iter().flatten();
            list.filter_map(|n| u16::try_from(n.as_u64()?).ok()).collect()
        };
        let (uids, weights) = (numbers("uids"), numbers("weights_u16"));
        let vector: Vector = uids.iter().copied().zip(weights.iter().copied()).collect();
        for validator in &self.validators {
            self.chain.commit(validator.uid, vector.clone());
            let word = json!({
                "block": self.chain.block, "state": "committed", "uids": uids,
                "weights": weights, "run": told["run"],
            });
            validator.post(&self.api, "/api/v1/weights/submissions", &word).await?;
        }
        Ok(self.validators.len())
    }

    async fn tell_opened(&self, opened: &[Opened]) -> Outcome<()> {
        for Opened { validator, sealed_at } in opened {
            let own = self.validators.iter().find(|peer| peer.uid == *validator);
            let word = json!({
                "block": sealed_at, "state": "revealed", "revealed_block": self.chain.block,
            });
            let own = own.ok_or("a vector of nobody was opened")?;
            own.post(&self.api, "/api/v1/weights/submissions", &word).await?;
        }
        Ok(())
    }

    /// The ledger of all miners, after one more look at the chain.
    pub(crate) async fn ledger(&mut self) -> Outcome<Vec<Line>> {
        self.pass_to((self.chain.block / LOOK_EVERY + 1) * LOOK_EVERY).await?;
        self.current().await?;
        let first = self.validators.first().ok_or("no validator")?;
        let graph = first.get(&self.api, "/api/v1/chain/metagraph").await?;
        let mut lines = Vec::new();
        for uid in self.miners.keys() {
            let one = first.get(&self.api, &format!("/api/v1/weights/{uid}/explain")).await?;
            let neurons = graph["neurons"].as_array().into_iter().flatten();
            let neuron = neurons.into_iter().find(|row| row["uid"] == *uid);
            lines.push(line(*uid, &one, neuron.unwrap_or(&Value::Null)));
        }
        Ok(lines)
    }

    /// How the first miner's weight came about, as the server tells it.
    pub(crate) async fn explained(&self) -> Outcome<String> {
        let first = self.validators.first().ok_or("no validator")?;
        let page = format!("/api/v1/weights/{SWAPPED}/explain?format=text");
        first.page(&self.api, &page).await
    }

    /// For programs.
    pub(crate) fn told(&self, ledger: &[Line]) -> Value {
        let of = |uid: u16| ledger.iter().find(|line| line.uid == uid);
        let paid = ledger.iter().filter(|line| line.incentive.is_some_and(|share| share > 0.0));
        json!({
            "block": self.chain.block,
            "scores_pushed": self.pushed,
            "snapshots_sent": self.looks,
            "miners": ledger.len(),
            "miners_paid": paid.count(),
            "weight_sum": ledger.iter().map(|line| line.weight).sum::<f64>(),
            "incentive_sum": ledger.iter().filter_map(|line| line.incentive).sum::<f64>(),
            "scores_of_renamed": of(SWAPPED).map(|line| line.scores),
            "scores_of_newcomer": of(REPLACED).map(|line| line.scores),
            "hotkey_of_renamed": of(SWAPPED).map(|line| line.hotkey.clone()),
            "renamed": key("renamed"),
        })
    }
}

fn line(uid: u16, one: &Value, neuron: &Value) -> Line {
    let walk = &one["explanation"];
    let (record, number) = (&walk["miner"], |value: &Value| value.as_f64().unwrap_or(0.0));
    let steps = || walk["kinds"].as_array().into_iter().flatten();
    let voices = steps().flat_map(|step| step["standing"]["voices"].as_array()).flatten();
    let part = |(kind, ..): &(&str, i64, bool)| {
        let step = steps().find(|step| step["task"]["kind"] == **kind);
        step.map_or(0.0, |step| number(&step["task"]["diversity_part"]))
    };
    let settled = one["submissions"].as_array().into_iter().flatten();
    let settled = settled.into_iter().find(|word| word["state"] == "settled");
    Line {
        uid,
        hotkey: one["hotkey"].as_str().unwrap_or_default().to_owned(),
        since: neuron["block_at_registration"].as_i64().unwrap_or_default(),
        scores: voices.filter_map(|voice| voice["scored"].as_i64()).sum(),
        excellence: number(&record["excellence_weight"]),
        diversity: number(&record["diversity_weight"]),
        raw: number(&record["raw_calculated_weight"]),
        pathway: record["scoring_pathway"].as_str().unwrap_or_default().to_owned(),
        weight: number(&record["weight"]),
        submitted: settled.and_then(|word| word["submitted_weight"].as_f64()),
        incentive: one["incentive"]["incentive"].as_f64(),
        parts: KINDS.iter().map(part).collect(),
    }
}
