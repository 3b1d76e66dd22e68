//! The figures: errors after ten epochs of lies, as ratios to the error without any.

use std::fmt::Write as _;

use super::attack::Attack;
use super::world::{Merges, Policy, Scene, World, mean};

/// Epochs of lies before the error is measured.
const EPOCHS: usize = 10;

/// Honest epochs of a sleeper before it lies.
const SLEEP: usize = 20;

/// How much is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) seeds: u64,
    /// Honest epochs before the lies; each is tried.
    pub(crate) sleeps: &'static [usize],
    /// Epochs whose merge is timed on a real server.
    pub(crate) timed_epochs: usize,
}

impl Effort {
    pub(crate) const FULL: Self = Self { seeds: 3, sleeps: &[0, SLEEP], timed_epochs: 15 };
    /// For tests: liars sleep no longer than the memory of five reports.
    pub(crate) const QUICK: Self = Self { seeds: 1, sleeps: &[0, 5], timed_epochs: 3 };
}

/// What these figures do not say.
pub(crate) const NOT_COVERED: &str = "\
Not covered: a majority that lies only about miners Pithead does not see; lies smaller than the
tolerance (0.1), which no reputation notices and only the clamp bounds; liars who each add noise of
their own and stay below one wrong word in twenty; a miner that treats validators and Pithead
differently; whoever holds the keys of the honest.";

/// A line in the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    Seed,
    Median,
    Robust,
    RobustObserved,
}

impl Curve {
    pub(crate) const ALL: [Self; 4] =
        [Self::Seed, Self::Median, Self::Robust, Self::RobustObserved];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Median => "median",
            Self::Robust => "robust",
            Self::RobustObserved => "robust, observed",
        }
    }

    const fn policy(self) -> Policy {
        match self {
            Self::Seed => Policy::Seed,
            Self::Median => Policy::Median,
            Self::Robust | Self::RobustObserved => Policy::Robust,
        }
    }
}

/// The worst attack's error at each share of dishonest weight; for `RobustObserved` over the
/// observed miners.
pub(crate) fn curve(curve: Curve, shares: &[u32], effort: Effort) -> Vec<f64> {
    let observes = curve == Curve::RobustObserved;
    let at = |share: &u32| {
        let (all, observed) = worst(curve.policy(), *share, observes, effort).1;
        if observes { observed } else { all }
    };
    shares.iter().map(at).collect()
}

fn scene(policy: Policy, attack: Attack, dishonest: u32, observes: bool, seed: u64) -> Scene {
    Scene { seed: 1 + seed, attack, dishonest, sleep: 0, observes, policy, merges: Merges::Once }
}

/// Mean errors over the seeds: of all miners, of the observed.
fn errors(scene: impl Fn(u64) -> Scene, seeds: u64) -> (f64, f64) {
    let runs: Vec<(f64, f64)> = (0..seeds)
        .map(|seed| {
            let scene = scene(seed);
            World::new(scene).run(scene.sleep + EPOCHS).errors()
        })
        .collect();
    let side = |of: fn(&(f64, f64)) -> f64| mean(&runs.iter().map(of).collect::<Vec<_>>());
    (side(|run| run.0), side(|run| run.1))
}

/// The measured attack with the largest error, at once or after a sleep.
fn worst(policy: Policy, share: u32, observes: bool, effort: Effort) -> (String, (f64, f64)) {
    let mut worst = (String::new(), (0.0, 0.0));
    let of = |errors: (f64, f64)| if observes { errors.1 } else { errors.0 };
    // Without a memory a sleeper is like the others.
    let sleeps: &[usize] = if policy == Policy::Robust && share > 0 { effort.sleeps } else { &[0] };
    for attack in Attack::MEASURED {
        for &sleep in sleeps {
            let scene = |seed| Scene { sleep, ..scene(policy, attack, share, observes, seed) };
            let found = errors(scene, effort.seeds);
            if of(found) > of(worst.1) {
                worst = (format!("{attack:?} after {sleep}"), found);
            }
        }
    }
    worst
}

/// Every figure by its name.
pub(crate) fn figures(effort: Effort) -> Vec<(&'static str, f64)> {
    let seeds = effort.seeds;
    let honest = |policy, observes| errors(|s| scene(policy, Attack::None, 0, observes, s), seeds);
    let worst_of = |share, observes| worst(Policy::Robust, share, observes, effort).1;
    let (clean, clean_seen, plain, at_33, at_45, at_60, fate) = std::thread::scope(|scope| {
        let at_33 = scope.spawn(|| worst_of(33, false).0);
        let at_45 = scope.spawn(|| worst_of(45, false).0);
        let at_60 = scope.spawn(|| worst_of(60, true).1);
        let fate = scope.spawn(|| fate(seeds));
        let clean = (honest(Policy::Robust, false).0, honest(Policy::Robust, true).1);
        let joined = (at_33.join(), at_45.join(), at_60.join());
        let (at_33, at_45, at_60) = match joined {
            (Ok(at_33), Ok(at_45), Ok(at_60)) => (at_33, at_45, at_60),
            _ => (f64::NAN, f64::NAN, f64::NAN),
        };
        let fate = fate.join().unwrap_or_default();
        (clean.0, clean.1, honest(Policy::Seed, false).0, at_33, at_45, at_60, fate)
    });
    vec![
        ("honest_ratio", clean / plain),
        ("error_ratio_33", at_33 / clean),
        ("error_ratio_45", at_45 / clean),
        ("error_ratio_60_observed", at_60 / clean_seen),
        ("is_serving_right_40", fate.serving_right),
        ("liar_weight_after_5", fate.liar_weight),
        ("honest_quarantined", fate.quarantined),
        ("epoch_merge_domain_ms", epoch_merge_domain_ms()),
    ]
}

/// How the two sides fare.
#[derive(Default)]
struct Fate {
    /// Share of extreme liars' weight that is left after five reports, the most of all seeds.
    liar_weight: f64,
    /// Share of `is_serving` that is right with 40 % liars, the least of all attacks and seeds.
    serving_right: f64,
    /// Share of honest validators in quarantine.
    quarantined: f64,
}

fn fate(seeds: u64) -> Fate {
    let (mut liar_weight, mut serving_right) = (0.0_f64, 1.0_f64);
    let (mut wrongly, mut honest) = (0, 0);
    for seed in 0..seeds {
        let scene = scene(Policy::Robust, Attack::Extreme, 33, false, seed);
        liar_weight = liar_weight.max(World::new(scene).run(5).liar_weight());
        for (attack, dishonest) in
            Attack::ALL.into_iter().map(|a| (a, 40)).chain([(Attack::None, 0)])
        {
            let mut world = World::new(Scene { attack, dishonest, ..scene });
            world.run(EPOCHS);
            serving_right = serving_right.min(world.serving_right());
            wrongly += world.quarantined.0;
            honest += world.quarantined.1;
        }
    }
    let quarantined = wrongly as f64 / f64::from(honest.max(1) as u32);
    Fate { liar_weight, serving_right, quarantined }
}

/// Median time to take in and merge the reports of one epoch in the table alone, without a server.
fn epoch_merge_domain_ms() -> f64 {
    let timed = scene(Policy::Robust, Attack::None, 0, true, 0);
    let mut timed = World::new(Scene { merges: Merges::EveryReport, ..timed });
    let mut times: Vec<f64> = (0..EPOCHS).map(|_| timed.run(1).spent * 1e3).collect();
    times.sort_by(f64::total_cmp);
    times.get(EPOCHS / 2).copied().unwrap_or(0.0)
}

/// Each attack by itself: its error as a ratio to none, and how the two sides fared.
pub(crate) fn detail(seeds: u64) -> String {
    let clean = errors(|s| scene(Policy::Robust, Attack::None, 0, false, s), seeds).0;
    let mut text = String::new();
    for (dishonest, observes) in [(33, false), (45, false), (45, true), (60, true)] {
        for attack in Attack::ALL {
            for sleep in [0, SLEEP] {
                let scene =
                    |s| Scene { sleep, ..scene(Policy::Robust, attack, dishonest, observes, s) };
                let (all, observed) = errors(scene, seeds);
                let mut world = World::new(scene(0));
                let story = world.run(sleep + EPOCHS).story();
                let (all, observed) = (all / clean, observed / clean);
                let line = format!("{dishonest} % {attack:?} after {sleep}, observing {observes}");
                writeln!(text, "{line}: all {all:.2}, observed {observed:.2}\n    {story}").ok();
            }
        }
    }
    text
}
