//! Who is in the fleet: drawn from the seed, so that a server can be told before the run starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use rand::RngExt;
use rand::rngs::StdRng;

use crate::domain::ids::Hotkey;
use crate::identity::keypair::Keypair;
use crate::sim::fleet::FleetConfig;
use crate::sim::seeded;
use crate::sim::validator::Behaviour;

/// What a member of the subnet may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Works.
    Miner,
    /// Reports and evaluates.
    Validator,
}

/// One entry of the server's role list.
#[derive(Debug, Clone)]
pub struct Member {
    /// Miner or validator.
    pub role: Role,
    /// Its address.
    pub hotkey: Hotkey,
    /// Its place in the subnet; miners come first, from 0.
    pub uid: u16,
    /// Its stake in whole tokens.
    pub stake: f64,
}

/// How good a simulated miner is.
#[derive(Debug, Clone, Copy)]
pub struct MinerProfile {
    /// Chance that a word of an answer is right, 0..=1.
    pub quality: f64,
    /// Mean time to work on a task.
    pub service_millis: u64,
    /// Chance to give a task back as failed.
    pub failure_rate: f64,
    /// Chance to take a task and never be heard of it again.
    pub crash_rate: f64,
    /// Tasks at a time.
    pub capacity: u16,
}

impl MinerProfile {
    /// A miner of a plausible subnet: mostly good, some bad, few hopeless.
    pub fn draw(rng: &mut StdRng, config: &FleetConfig) -> Self {
        Self {
            quality: 1.0 - 0.5 * rng.random::<f64>().powi(2),
            service_millis: (config.service_millis as f64 * rng.random_range(0.5..2.0)) as u64,
            failure_rate: config.failure_rate_max.clamp(0.0, 1.0) * rng.random::<f64>(),
            crash_rate: config.crash_rate_max.clamp(0.0, 1.0) * rng.random::<f64>(),
            capacity: rng.random_range(2..=4),
        }
    }

    /// The true performance, 0..=1: what an honest validator would measure in the long run.
    #[must_use]
    pub fn performance(&self) -> f64 {
        self.quality * (1.0 - self.failure_rate) * (1.0 - self.crash_rate)
    }
}

/// A miner as the whole fleet knows it.
#[derive(Debug)]
pub struct KnownMiner {
    /// Who it is.
    pub member: Member,
    /// What it can do.
    pub profile: MinerProfile,
    /// Whether colluding validators lift it.
    pub is_friend: bool,
    busy: AtomicU16,
}

impl KnownMiner {
    /// A miner that does nothing yet.
    #[must_use]
    pub fn new(member: Member, profile: MinerProfile, is_friend: bool) -> Self {
        Self { member, profile, is_friend, busy: AtomicU16::new(0) }
    }

    /// Tasks in work now.
    #[must_use]
    pub fn load(&self) -> u16 {
        self.busy.load(Ordering::Relaxed)
    }

    /// Counts one more task until the guard is dropped, even by an aborted future.
    #[must_use]
    pub fn work(self: &Arc<Self>) -> Working {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Working(Arc::clone(self))
    }
}

/// One task in work.
#[derive(Debug)]
pub struct Working(Arc<KnownMiner>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A validator as the fleet knows it.
#[derive(Debug, Clone)]
pub struct KnownValidator {
    /// Who it is.
    pub member: Member,
    /// How honest it is.
    pub behaviour: Behaviour,
}

/// Everybody, with their keys.
#[derive(Debug)]
pub struct Roster {
    /// Miners by uid.
    pub miners: Vec<(Arc<KnownMiner>, Arc<Keypair>)>,
    /// Validators by uid.
    pub validators: Vec<(KnownValidator, Arc<Keypair>)>,
}

impl Roster {
    /// Draws the fleet of a configuration.
    #[must_use]
    pub fn draw(config: &FleetConfig) -> Self {
        let profiles: Vec<_> = (0..config.miners)
            .map(|uid| {
                let mut rng = seeded(config.seed, &format!("miner/{uid}/profile"));
                MinerProfile::draw(&mut rng, config)
            })
            .collect();
        let liars = config.liars.min(config.validators);
        let honest = config.validators - liars;
        Self {
            miners: (0..config.miners)
                .zip(&profiles)
                .map(|(uid, profile)| {
                    draw_miner(config, uid, profile, is_worst(profile, &profiles))
                })
                .collect(),
            validators: (0..config.validators)
                .map(|index| draw_validator(config, index, index.checked_sub(honest)))
                .collect(),
        }
    }

    /// The miners alone.
    #[must_use]
    pub fn known_miners(&self) -> Arc<[Arc<KnownMiner>]> {
        self.miners.iter().map(|(miner, _)| Arc::clone(miner)).collect()
    }

    /// The role list.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let miners = self.miners.iter().map(|(miner, _)| miner.member.clone());
        let validators = self.validators.iter().map(|(validator, _)| validator.member.clone());
        miners.chain(validators).collect()
    }
}

fn draw_miner(
    config: &FleetConfig,
    uid: u16,
    profile: &MinerProfile,
    is_friend: bool,
) -> (Arc<KnownMiner>, Arc<Keypair>) {
    let label = format!("miner/{uid}");
    let keypair = Keypair::from_label(&format!("pithead-sim/{}/{label}", config.seed));
    let stake = seeded(config.seed, &format!("{label}/stake")).random_range(100_u32..1_000);
    let hotkey = keypair.hotkey().clone();
    let member = Member { role: Role::Miner, hotkey, uid, stake: f64::from(stake) };
    (Arc::new(KnownMiner::new(member, *profile, is_friend)), Arc::new(keypair))
}

fn draw_validator(
    config: &FleetConfig,
    index: u16,
    lie: Option<u16>,
) -> (KnownValidator, Arc<Keypair>) {
    let label = format!("validator/{index}");
    let keypair = Keypair::from_label(&format!("pithead-sim/{}/{label}", config.seed));
    let stake = seeded(config.seed, &format!("{label}/stake")).random_range(1_000_u32..1_500);
    let behaviour = lie
        .map_or(Behaviour::Honest, |lie| Behaviour::LIES[usize::from(lie) % Behaviour::LIES.len()]);
    let member = Member {
        role: Role::Validator,
        hotkey: keypair.hotkey().clone(),
        uid: config.miners.saturating_add(index),
        stake: f64::from(stake),
    };
    (KnownValidator { member, behaviour }, Arc::new(keypair))
}

/// Colluders lift those who need it: the worst quarter, at least one.
fn is_worst(profile: &MinerProfile, all: &[MinerProfile]) -> bool {
    let worse = all.iter().filter(|other| other.performance() < profile.performance()).count();
    worse < all.len().div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_draws_the_same_fleet_and_another_seed_another() {
        let config = FleetConfig::default();
        let keys = |config: &FleetConfig| {
            Roster::draw(config).members().into_iter().map(|m| m.hotkey).collect::<Vec<_>>()
        };
        assert_eq!(keys(&config), keys(&config));
        assert_ne!(keys(&config), keys(&FleetConfig { seed: config.seed + 1, ..config.clone() }));
    }

    #[test]
    fn liars_are_as_many_as_asked_for_and_uids_are_unique() {
        let config = FleetConfig { miners: 9, validators: 7, liars: 3, ..FleetConfig::default() };
        let roster = Roster::draw(&config);
        let lying = roster.validators.iter().filter(|(v, _)| v.behaviour != Behaviour::Honest);
        assert_eq!(lying.count(), 3);
        let uids: Vec<_> = roster.members().iter().map(|member| member.uid).collect();
        assert_eq!(uids, (0..16).collect::<Vec<u16>>());
        assert_eq!(roster.known_miners().iter().filter(|miner| miner.is_friend).count(), 3);
    }
}
