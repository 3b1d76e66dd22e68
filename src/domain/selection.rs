//! Which miner gets a slot: availability with its breakdown, the filters with their reasons, and
//! the draw of a few candidates of whom the best is taken.
//!
//! Drawing a few and taking their best, instead of taking the best of all, keeps work from herding
//! onto the miners whose score was highest a moment ago.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::ids::{Hotkey, MinerUid, RegistrationId};
use super::kind::KindIndex;
use super::limits;
use super::miner::{Contact, Gate, KindRecords, Record};
use super::task::text_enum;
use super::units::{Millis, ONE, Score, Stake};

/// Weights and counts of selection, from the configuration. Shares in millionths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelectionPolicy {
    /// Weight of performance in availability.
    pub performance_millionths: i64,
    /// Weight of free capacity.
    pub load_millionths: i64,
    /// Weight of stake.
    pub stake_millionths: i64,
    /// Weight of recency.
    pub recency_millionths: i64,
    /// Boost of a well-agreed verdict, times its confidence.
    pub boost_millionths: i64,
    /// Confidence above which the boost is given.
    pub boost_above_millionths: i64,
    /// Stake, in whole tokens, that counts as full.
    pub stake_norm_tokens: i64,
    /// Milliseconds without a mention after which a miner is stale.
    pub miner_timeout_millis: i64,
    /// Candidates drawn per slot.
    pub candidates: usize,
    /// Share of slots that go to miners with little evidence.
    pub explore_millionths: i64,
    /// Outcomes below which a miner has little evidence.
    pub explore_below: i64,
}

impl Default for SelectionPolicy {
    fn default() -> Self {
        Self {
            performance_millionths: 400_000,
            load_millionths: 300_000,
            stake_millionths: 200_000,
            recency_millionths: 100_000,
            boost_millionths: 200_000,
            boost_above_millionths: 700_000,
            stake_norm_tokens: 1_000,
            miner_timeout_millis: limits::MINER_TIMEOUT_MILLIS,
            candidates: 3,
            explore_millionths: 50_000,
            explore_below: 10,
        }
    }
}

/// A miner as selection sees it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The registration.
    pub registration: RegistrationId,
    /// Its uid.
    pub uid: MinerUid,
    /// Its hotkey.
    pub hotkey: Hotkey,
    /// Its coldkey; unknown ones count as distinct.
    pub coldkey: Option<Hotkey>,
    /// Whether the verdict says that it serves.
    pub serving: bool,
    /// The verdict's performance.
    pub performance: Score,
    /// The verdict's confidence.
    pub confidence: Score,
    /// Whether the verdict is contested.
    pub contested: bool,
    /// Stake.
    pub stake: Stake,
    /// Tasks that it can hold at once.
    pub capacity: u32,
    /// Load that validators report, in millionths of a task.
    pub reported_load_millionths: i64,
    /// Leases that it holds from us, those being written included.
    pub live: u32,
    /// Last mention by a validator or own contact.
    pub last_seen: Millis,
    /// Kinds that it serves; empty means all.
    pub kinds: Vec<String>,
    /// Polls of it that are parked now.
    pub parked: u32,
    /// How often the validators that list it report, in milliseconds; 0 when not known.
    pub report_period_millis: i64,
    /// How its leases went, over all kinds.
    pub record: Record,
    /// How they went by kind, with a circuit breaker for each.
    pub records: KindRecords,
    /// When it was heard of.
    pub contact: Contact,
}

/// The parts of an availability score, each already weighted, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Availability {
    /// From performance.
    pub performance: i64,
    /// From free capacity.
    pub load: i64,
    /// From stake.
    pub stake: i64,
    /// From recency.
    pub recency: i64,
    /// From a confident verdict.
    pub boost: i64,
    /// The sum, uncapped: what ranks.
    pub total: i64,
}

impl Availability {
    /// The score that is shown: the sum capped at 1.
    #[must_use]
    pub const fn shown(&self) -> Score {
        Score::clamped(self.total)
    }
}

const fn share(weight: i64, of: i64) -> i64 {
    weight.saturating_mul(of) / ONE
}

impl Candidate {
    /// Its availability: `0.4 performance + 0.3 (1 - load/capacity) + 0.2 min(1, stake/norm) +
    /// 0.1 max(0, 1 - age/timeout)`, clamped to 0..=1, plus `0.2 confidence` for a confident,
    /// uncontested verdict (seed 000; weights from the policy). `performance` is the verdict's
    /// blended with what we saw: [`Self::performance_at`] a kind, or over all of them.
    #[must_use]
    pub fn availability(
        &self,
        performance: Score,
        policy: &SelectionPolicy,
        now: Millis,
    ) -> Availability {
        let capacity = i64::from(self.capacity.max(1)) * ONE;
        let load = (i64::from(self.live) * ONE).max(self.reported_load_millionths);
        let free = ONE - (i128::from(load.min(capacity)) * 1_000_000 / i128::from(capacity)) as i64;
        let norm = policy.stake_norm_tokens.max(1);
        let staked = (self.stake.rao() / 1_000 / norm).min(ONE);
        let timeout = self.timeout_millis(policy).max(1);
        let age = now.since(self.last_seen).clamp(0, timeout);
        let performance = share(policy.performance_millionths, performance.millionths());
        let load = share(policy.load_millionths, free);
        let stake = share(policy.stake_millionths, staked);
        let recency = share(policy.recency_millionths, ONE - age * ONE / timeout);
        let confident = self.confidence.millionths() > policy.boost_above_millionths;
        let boost = if confident && !self.contested {
            share(policy.boost_millionths, self.confidence.millionths())
        } else {
            0
        };
        let total = (performance + load + stake + recency).clamp(0, ONE) + boost;
        Availability { performance, load, stake, recency, boost, total }
    }

    /// Performance at the kind of a demand: the verdict and what we saw, blended by evidence.
    #[must_use]
    pub fn performance_at(&self, demand: Demand<'_>) -> Score {
        self.records.blended(demand.index, self.performance, demand.p50_millis)
    }

    /// Milliseconds without a word after which it is stale: the policy's, or three report periods
    /// where those are longer. Validators that report every 20 minutes are not silent after 15.
    #[must_use]
    pub fn timeout_millis(&self, policy: &SelectionPolicy) -> i64 {
        let periods = self.report_period_millis.saturating_mul(limits::MINER_TIMEOUT_PERIODS);
        policy.miner_timeout_millis.max(periods)
    }

    /// Whether it was mentioned within the timeout.
    #[must_use]
    pub fn fresh(&self, policy: &SelectionPolicy, now: Millis) -> bool {
        now.since(self.last_seen) < self.timeout_millis(policy)
    }

    /// Whether it claims this kind; a miner that claims nothing is taken for all.
    #[must_use]
    pub fn serves(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|known| known == kind)
    }

    /// Whether it could ever get such work: what an estimate counts.
    #[must_use]
    pub fn capable(&self, kind: &str, policy: &SelectionPolicy, now: Millis) -> bool {
        self.serving && self.serves(kind) && self.fresh(policy, now)
    }
}

/// What a slot wants of a miner.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// Capability tag of the kind.
    pub kind: &'a str,
    /// The kind's place in the registry.
    pub index: KindIndex,
    /// The time within which half of all answers of this kind came lately, where known.
    pub p50_millis: Option<i64>,
    /// Registrations that hold, answered or failed a slot of this task.
    pub used: &'a [RegistrationId],
    /// Whose coldkeys are known, with them.
    pub used_coldkeys: &'a [(RegistrationId, Hotkey)],
}

text_enum! {
    /// Why a miner was passed over.
    PassedOver {
        /// Not mentioned lately.
        Stale = "stale",
        /// The verdict says that it does not serve.
        NotServing = "not_serving",
        /// It failed too often in a row at this kind.
        Quarantined = "quarantined",
        /// It does not serve this kind.
        Incapable = "incapable",
        /// No room.
        Full = "full",
        /// It is on this task already, or failed it.
        OnTask = "on_task",
        /// Another miner of the same owner is on this task.
        SameOwner = "same_owner",
    }
}

impl PassedOver {
    /// Whether another task might get the miner.
    const fn is_of_task(self) -> bool {
        match self {
            Self::OnTask | Self::SameOwner => true,
            Self::Stale | Self::NotServing | Self::Quarantined | Self::Incapable | Self::Full => {
                false
            }
        }
    }
}

/// Whether `candidate` may get a slot now, or why not.
///
/// # Errors
/// The first reason, in the order of [`PassedOver`].
pub fn eligible(
    candidate: &Candidate,
    demand: Demand<'_>,
    policy: &SelectionPolicy,
    now: Millis,
) -> Result<(), PassedOver> {
    if !candidate.fresh(policy, now) {
        return Err(PassedOver::Stale);
    }
    if !candidate.serving {
        return Err(PassedOver::NotServing);
    }
    // A half-open gate is open again once the probe is granted: one passes.
    if let Gate::Open(_) = candidate.records.gate(demand.index, now) {
        return Err(PassedOver::Quarantined);
    }
    if !candidate.serves(demand.kind) {
        return Err(PassedOver::Incapable);
    }
    if candidate.live >= candidate.capacity {
        return Err(PassedOver::Full);
    }
    if demand.used.contains(&candidate.registration) {
        return Err(PassedOver::OnTask);
    }
    match &candidate.coldkey {
        Some(owner) if demand.used_coldkeys.iter().any(|(_, used)| used == owner) => {
            Err(PassedOver::SameOwner)
        }
        _ => Ok(()),
    }
}

/// One candidate that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Considered {
    /// Its uid.
    pub uid: MinerUid,
    /// Its score in millionths, or why it was passed over.
    pub outcome: Result<i64, PassedOver>,
}

/// A decision and what led to it.
#[derive(Debug, Clone, Default)]
pub struct Decision {
    /// Place of the chosen miner among the candidates given.
    pub chosen: Option<usize>,
    /// Whether it was chosen for having little evidence.
    pub explored: bool,
    /// Whether somebody was passed over for this task's sake: another task may fare better.
    pub on_task: bool,
    /// Who was looked at.
    pub considered: Vec<Considered>,
}

/// Candidates up to which all are looked at, so that a small network is judged exactly.
const LOOK_AT_ALL: usize = 48;
/// Draws in a large network before all are looked at after all.
const DRAWS_MAX: usize = 64;

/// Chooses a miner for one slot among `pool` (places in `all`; only miners that may have room).
///
/// Draws up to `policy.candidates` eligible ones, weighted by availability, and takes the best by
/// (availability in steps of 5 %, a parked poll, fewest in flight, availability). The same pool,
/// time and seed give the same choice.
pub fn select(
    demand: Demand<'_>,
    all: &[Candidate],
    pool: &[usize],
    policy: &SelectionPolicy,
    now: Millis,
    rng: &mut impl RngExt,
) -> Decision {
    let mut decision = Decision::default();
    let mut drawn = draw(demand, all, pool, policy, now, rng, &mut decision);
    if drawn.is_empty() {
        return decision;
    }
    let explore = rng.random_range(0..ONE) < policy.explore_millionths;
    if explore {
        let little = |place: &usize| {
            let evidence = all.get(*place).map(|c| c.records.evidence(demand.index));
            evidence.is_some_and(|evidence| evidence < policy.explore_below)
        };
        let unknown: Vec<_> = drawn.iter().map(|d| d.place).filter(little).collect();
        if !unknown.is_empty() {
            decision.chosen = unknown.get(rng.random_range(0..unknown.len())).copied();
            decision.explored = true;
            return decision;
        }
    }
    keep_by_weight(&mut drawn, policy.candidates.max(1), rng);
    let best = drawn.iter().max_by_key(|d| {
        let candidate = all.get(d.place);
        let parked = candidate.is_some_and(|c| c.parked > 0);
        let live = candidate.map_or(u32::MAX, |c| c.live);
        (d.score / 50_000, parked, std::cmp::Reverse(live), d.score, d.lot)
    });
    decision.chosen = best.map(|d| d.place);
    decision
}

/// An eligible candidate with its score and a random number that breaks ties (never the uid).
struct Drawn {
    place: usize,
    score: i64,
    lot: u32,
}

fn draw(
    demand: Demand<'_>,
    all: &[Candidate],
    pool: &[usize],
    policy: &SelectionPolicy,
    now: Millis,
    rng: &mut impl RngExt,
    decision: &mut Decision,
) -> Vec<Drawn> {
    let mut drawn: Vec<Drawn> = Vec::new();
    let mut look = |place: usize, lot: u32, drawn: &mut Vec<Drawn>, note: bool| {
        let Some(candidate) = all.get(place) else { return };
        let outcome = eligible(candidate, demand, policy, now)
            .map(|()| candidate.availability(candidate.performance_at(demand), policy, now).total);
        match outcome {
            Ok(score) => drawn.push(Drawn { place, score, lot }),
            Err(reason) => decision.on_task |= reason.is_of_task(),
        }
        if note {
            decision.considered.push(Considered { uid: candidate.uid, outcome });
        }
    };
    if pool.len() > LOOK_AT_ALL {
        let enough = policy.candidates.max(1) * 4;
        for _ in 0..DRAWS_MAX {
            let place = pool.get(rng.random_range(0..pool.len())).copied().unwrap_or_default();
            if !drawn.iter().any(|d| d.place == place) {
                look(place, rng.random(), &mut drawn, true);
            }
            if drawn.len() >= enough {
                return drawn;
            }
        }
        if !drawn.is_empty() {
            return drawn;
        }
    }
    for &place in pool {
        look(place, rng.random(), &mut drawn, pool.len() <= LOOK_AT_ALL);
    }
    drawn
}

/// Keeps `keep` of the drawn, each with a chance in proportion to its score.
fn keep_by_weight(drawn: &mut Vec<Drawn>, keep: usize, rng: &mut impl RngExt) {
    for kept in 0..keep.min(drawn.len()) {
        let rest = drawn.get(kept..).unwrap_or_default();
        let total: i64 = rest.iter().map(|d| d.score.max(1)).sum();
        let mut ticket = rng.random_range(0..total.max(1));
        let hit = rest.iter().position(|d| {
            ticket -= d.score.max(1);
            ticket < 0
        });
        drawn.swap(kept, kept + hit.unwrap_or(0));
    }
    drawn.truncate(keep);
}

#[cfg(test)]
mod tests;
