//! A simulated subnet around the real `ReportTable`.

use pithead::domain::consensus::{
    ConsensusPolicy, MergeMode, Observation, Phase, Report, ReportTable, Standing,
};
use pithead::domain::ids::{Hotkey, MinerUid, ReportId};
use pithead::domain::report::MinerStatus;
use pithead::domain::units::{MINUTE, Millis, Score, Stake};

use super::attack::{Attack, Miner};

pub(crate) const ONE: i64 = pithead::domain::units::ONE;
pub(crate) const VALIDATORS: usize = 64;
pub(crate) const MINERS: usize = 256;

/// Noise of an honest score, one standard deviation.
const SIGMA: f64 = 0.03;

/// Honest misses: a miner that serves and did not answer this validator, or the other way round.
const MISSED: f64 = 0.005;

/// Answers that Pithead itself has of an observed miner.
const EVIDENCE: u32 = 400;

const START: i64 = 1_748_779_200_000;
const EPOCH: i64 = 20 * MINUTE;

/// Small, fast, and the same everywhere: SplitMix64.
#[derive(Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Within 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normal, mean 0, deviation 1 (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) attack: Attack,
    /// Per cent of the stake that lies.
    pub(crate) dishonest: u32,
    /// Honest epochs before the lies begin.
    pub(crate) sleep: usize,
    /// Whether Pithead feeds in what it sees.
    pub(crate) observes: bool,
    pub(crate) policy: Policy,
    pub(crate) merges: Merges,
}

/// When verdicts follow; they are the same either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merges {
    /// After each of the 64 reports, as when they come one by one.
    EveryReport,
    /// Once per epoch, as in a burst.
    Once,
}

/// Which merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Weighted averages.
    Seed,
    /// A weighted median alone: no average of the inliers, no reputation.
    Median,
    /// The default.
    Robust,
}

impl Policy {
    fn policy(self) -> ConsensusPolicy {
        let mut policy = ConsensusPolicy::default();
        match self {
            Self::Seed => policy.mode = MergeMode::Seed,
            Self::Median => (policy.scale_floor, policy.clip_factor) = (0, 0),
            Self::Robust => {}
        }
        policy.reputation.enabled = self == Self::Robust;
        policy
    }
}

pub(crate) struct World {
    scene: Scene,
    rng: Rng,
    pub(crate) table: ReportTable,
    miners: Vec<Miner>,
    stakes: Vec<f64>,
    liars: Vec<bool>,
    epoch: usize,
    /// Honest validators that were quarantined after an epoch, and all there were.
    pub(crate) quarantined: (usize, usize),
    /// Time in the table, seconds.
    pub(crate) spent: f64,
}

impl World {
    pub(crate) fn new(scene: Scene) -> Self {
        let mut rng = Rng(scene.seed);
        let miners = (0..MINERS).map(|uid| Miner::draw(uid, &mut rng)).collect();
        let stakes: Vec<f64> = (0..VALIDATORS).map(|_| 1e4 * rng.normal().exp()).collect();
        let liars = liars(&stakes, f64::from(scene.dishonest) / 100.0, &mut rng);
        let mut table = ReportTable::new(scene.policy.policy());
        for (index, stake) in stakes.iter().enumerate() {
            let (uid, stake) = (u16::try_from(index).ok(), Stake::from_tokens(*stake));
            let reputation = Score::ONE;
            table.set_standing(Standing { hotkey: key(index), uid, stake, reputation });
        }
        let (quarantined, spent) = ((0, 0), 0.0);
        Self { scene, rng, table, miners, stakes, liars, epoch: 0, quarantined, spent }
    }

    /// Every validator reports once, and the round ends.
    pub(crate) fn run(&mut self, epochs: usize) -> &mut Self {
        for _ in 0..epochs {
            self.run_epoch();
        }
        self
    }

    fn run_epoch(&mut self) {
        let now = START + i64::try_from(self.epoch).unwrap_or(0) * EPOCH;
        for (uid, miner) in self.miners.iter().enumerate().filter(|(_, m)| m.is_observed) {
            let share = miner.truth as f64 / 1e6;
            let error = (share * (1.0 - share) / f64::from(EVIDENCE)).sqrt() * self.rng.normal();
            let seen = Observation {
                performance: Score::from_f64((share + error).clamp(0.0, 1.0)),
                is_serving: Some(miner.serves),
                evidence: EVIDENCE,
            };
            let seen = Some(seen).filter(|_| self.scene.observes);
            self.table.observe(MinerUid(u16::try_from(uid).unwrap_or(0)), seen);
        }
        let reports: Vec<Report> = (0..VALIDATORS).map(|index| self.report(index, now)).collect();
        let started = std::time::Instant::now();
        for report in reports {
            self.table.apply(Millis(now), report);
            if self.scene.merges == Merges::EveryReport {
                self.table.merge_dirty(Millis(now));
            }
        }
        // The next round: what was earned counts, and what was agreed stays.
        self.table.refresh(Millis(now + MINUTE));
        self.spent = started.elapsed().as_secs_f64();
        self.epoch += 1;
        for (view, is_liar) in self.table.validators().zip(&self.liars) {
            if !is_liar {
                self.quarantined.0 += usize::from(view.track.phase == Phase::Quarantined);
                self.quarantined.1 += 1;
            }
        }
    }

    fn report(&mut self, index: usize, now: i64) -> Report {
        let lies = self.epoch >= self.scene.sleep && self.liars.get(index) == Some(&true);
        let attack = if lies { self.scene.attack } else { Attack::None };
        let mut statuses = Vec::with_capacity(MINERS);
        for (uid, &miner) in self.miners.iter().enumerate() {
            let noise = self.rng.normal() * SIGMA * ONE as f64;
            let honest = (miner.truth + noise as i64).clamp(0, ONE);
            let seen = miner.serves != (self.rng.unit() < MISSED);
            let uid = MinerUid(u16::try_from(uid).unwrap_or(u16::MAX));
            let performance = attack.performance(honest, miner, self.epoch, &mut self.rng);
            statuses.push(MinerStatus {
                performance: Some(Score::clamped(performance)),
                is_serving: Some(attack.is_serving(seen, miner)),
                ..MinerStatus::new(uid)
            });
        }
        let count = (self.epoch * VALIDATORS + index) as u128;
        Report {
            id: ReportId(uuid::Uuid::from_u128(count)),
            validator: key(index),
            epoch: None,
            sequence: None,
            signed_nanos: now * 1_000_000,
            partial: false,
            body_hash: [0; 32],
            statuses,
        }
    }

    /// Mean absolute error of the published performance: over all miners, over observed ones.
    pub(crate) fn errors(&self) -> (f64, f64) {
        let (mut all, mut observed) = (Vec::new(), Vec::new());
        for (verdict, miner) in self.table.verdicts().zip(&self.miners) {
            let published = verdict.performance.map_or(0, Score::millionths);
            let error = published.abs_diff(miner.truth) as f64 / 1e6;
            all.push(error);
            observed.extend(miner.is_observed.then_some(error));
        }
        (mean(&all), mean(&observed))
    }

    /// Share of miners of which `is_serving` is right.
    pub(crate) fn serving_right(&self) -> f64 {
        let rights = self.table.verdicts().zip(&self.miners);
        let rights: Vec<f64> = rights
            .map(|(verdict, miner)| f64::from(u8::from(verdict.is_serving == Some(miner.serves))))
            .collect();
        mean(&rights)
    }

    /// The liars' share of the weight now, as a share of what their stake alone would give.
    pub(crate) fn liar_weight(&self) -> f64 {
        let views = self.table.validators().zip(&self.liars).filter(|(_, is_liar)| **is_liar);
        let now: i64 = views.map(|(view, _)| view.base_weight).sum();
        let stake: f64 = self.stakes.iter().sum();
        let lying = self.stakes.iter().zip(&self.liars).filter(|(_, is_liar)| **is_liar);
        now as f64 / 1e6 / (lying.map(|(stake, _)| stake).sum::<f64>() / stake)
    }

    /// One line: mean trust, bias and clique share of the honest and of the liars.
    pub(crate) fn story(&self) -> String {
        let side = |lying: bool| {
            let views: Vec<_> = self.table.validators().zip(&self.liars).collect();
            let of = |number: fn(&pithead::domain::consensus::ValidatorView) -> i64| {
                let mine = views.iter().filter(|(_, liar)| **liar == lying);
                mean(&mine.map(|(view, _)| number(view) as f64 / 1e6).collect::<Vec<_>>())
            };
            format!(
                "trust {:.3} bias {:+.3} clique share {:.2} quarantined {:.2}",
                of(|v| v.track.trust()),
                of(|v| v.track.bias),
                of(|v| v.track.clique_share),
                of(|v| if v.track.phase == Phase::Quarantined { ONE } else { 0 }),
            )
        };
        format!("honest: {} | liars: {}", side(false), side(true))
    }
}

/// Draws liars until their stake is the nearest to the share that drawing reaches.
fn liars(stakes: &[f64], share: f64, rng: &mut Rng) -> Vec<bool> {
    let whole: f64 = stakes.iter().sum();
    let mut order: Vec<(u64, usize)> = (0..stakes.len()).map(|index| (rng.next(), index)).collect();
    order.sort_unstable();
    let mut liars = vec![false; stakes.len()];
    let mut sum = 0.0;
    // Who does not fit any more is passed over: the share is met from below.
    for (_, index) in order {
        let (Some(stake), Some(is_liar)) = (stakes.get(index), liars.get_mut(index)) else {
            continue;
        };
        if sum + stake <= share * whole {
            sum += stake;
            *is_liar = true;
        }
    }
    liars
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn key(index: usize) -> Hotkey {
    Hotkey::parse(&format!("validator-{index:02}")).unwrap_or_else(|_| unreachable!("a good name"))
}
