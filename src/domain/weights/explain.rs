//! The walk of one miner's weight, from what each voice said to what goes on chain: for programs as
//! values, for people as a page of text.

use std::fmt;

use serde::Serialize;

use super::bucket::{Standing, Voice};
use super::policy::Policy;
use super::record::{KindRecord, Pathway, Record, TaskRecord};
use super::run::{Run, RunMiner};
use super::transform::Transform;
use crate::domain::ids::MinerUid;

/// One kind of the walk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Where the score comes from.
    pub standing: Standing,
    /// What the kind's miners share.
    pub kind: KindRecord,
    /// What becomes of the score.
    pub task: TaskRecord,
}

/// See the module's docs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// Who, and what came out.
    pub miner: Record,
    /// Its kinds.
    pub kinds: Vec<Step>,
    /// What excelling scores were multiplied with.
    pub excellence_boost: f64,
    /// What all miners share of the last steps.
    pub transform: Transform,
    /// The figures of the policy.
    pub policy: Policy,
}

impl Explained {
    /// The walk of a miner; `None` when it is not in the run.
    #[must_use]
    pub fn of(run: &Run, uid: MinerUid) -> Option<Self> {
        let (miner, record) = run.miner(uid)?;
        let kinds = record.tasks.iter().filter_map(|task| step(run, miner, task));
        Some(Self {
            miner: record.clone(),
            kinds: kinds.collect(),
            excellence_boost: run.calculation.excellence_boost,
            transform: run.calculation.transform.clone(),
            policy: run.policy.clone(),
        })
    }
}

fn step(run: &Run, miner: &RunMiner, task: &TaskRecord) -> Option<Step> {
    let kind = run.calculation.kinds.iter().find(|kind| kind.name == task.kind)?;
    let standing = miner.standings.get(&*task.kind)?;
    Some(Step { standing: standing.clone(), kind: kind.clone(), task: task.clone() })
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "1. Scores: of each kind the median of those who scored.")?;
        for step in &self.kinds {
            writeln!(f, "   {}: {:.6}", step.task.kind, step.task.score)?;
            for voice in &step.standing.voices {
                said(f, voice, &step.standing)?;
            }
        }
        self.percentiles(f)?;
        self.pathways(f)?;
        self.share(f)
    }
}

fn said(f: &mut fmt::Formatter<'_>, voice: &Voice, standing: &Standing) -> fmt::Result {
    let Voice { validator, scored, value } = voice;
    match validator {
        Some(id) => writeln!(f, "      validator {id}: {value:.6} of {scored} scores"),
        None => writeln!(
            f,
            "      this server: {value:.6} of {scored} scores; {} of {} leases were answered",
            standing.completed, standing.attempted
        ),
    }
}

impl Explained {
    fn percentiles(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "2. Percentiles: the share of the kind's miners that are not better, and what it multiplies with."
        )?;
        for Step { kind, task, .. } in &self.kinds {
            let (name, rank, by) = (&task.kind, task.percentile_rank, task.multiplier);
            let miners = kind.scored;
            match kind.ranked {
                true => writeln!(f, "   {name}: {rank:.2} % of {miners} miners, m = {by:.6}")?,
                false => writeln!(
                    f,
                    "   {name}: {rank:.2} %, since {miners} miners are too few to rank, m = {by:.6}"
                )?,
            }
        }
        Ok(())
    }

    fn pathways(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let miner = &self.miner;
        let boost = self.excellence_boost;
        writeln!(f, "3. Excellence: E = {:.6}, the best of", miner.excellence_weight)?;
        for Step { kind, task, .. } in &self.kinds {
            let (name, score, weight) = (&task.kind, task.score, kind.weight);
            let part = task.excellence_part;
            match kind.excellence_threshold {
                Some(from) if score >= from => writeln!(
                    f,
                    "   {name}: {score:.6} · weight {weight} · boost {boost:.6} = {part:.6}, excels from {from:.6}"
                )?,
                Some(from) => writeln!(f, "   {name}: 0, excels from {from:.6}")?,
                None => writeln!(f, "   {name}: 0, {} miners are too few to excel", kind.scored)?,
            }
        }
        let (diversity, bonus) = (miner.diversity_weight, miner.multi_task_bonus);
        writeln!(f, "4. Diversity: D = {diversity:.6}, the sum of")?;
        for Step { kind, task, .. } in &self.kinds {
            let (name, spread, weight) = (&task.kind, task.spread_score, kind.weight);
            let (by, part) = (task.multiplier, task.diversity_part);
            writeln!(
                f,
                "   {name}: {spread:.6} · weight {weight} · m {by:.6} · bonus {bonus:.2} = {part:.6}"
            )?;
        }
        let raw = miner.raw_calculated_weight;
        match miner.scoring_pathway {
            Pathway::Excellence => writeln!(f, "5. Raw weight: {raw:.6}, by excellence: E > D."),
            Pathway::Diversity => writeln!(f, "5. Raw weight: {raw:.6}, by diversity: D >= E."),
            Pathway::None => writeln!(f, "5. Raw weight: 0: neither earns anything."),
        }
    }

    fn share(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (miner, all) = (&self.miner, &self.transform);
        let (x, t, max) = (miner.relative_weight, miner.transformed_weight, all.raw_max);
        writeln!(f, "6. Relative weight: x = {x:.6}, of the largest raw weight {max:.6}.")?;
        if let Some(midpoint) = all.midpoint {
            writeln!(f, "   Bent around M = {midpoint:.6}: t = {t:.6}.")?;
        }
        if let Some(place) = miner.place {
            let exponent = self.policy.fallback_exponent;
            writeln!(
                f,
                "   All are much alike: place {place} counts instead, 1/{place}^{exponent}."
            )?;
        }
        let (weight, upscaled) = (miner.weight, miner.weight_u16);
        writeln!(f, "7. Weight: {weight:.8}, after division by the sum {:.6}.", all.sum)?;
        writeln!(f, "8. For the chain: {upscaled} of 65535.")
    }
}
