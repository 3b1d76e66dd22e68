//! One calculation of the current vector as it is kept: what went in, in the very form that
//! `pithead weights compute` reads, and all that came out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bucket::{Standing, Standings};
use super::policy::{Policy, PolicyName};
use super::record::{Calculation, Record};
use super::{Miner, TaskValue, WeightedKind, WeightsError, compute};
use crate::domain::ids::{Hotkey, MinerUid, RegistrationId};

/// Whom a registration stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Place in the subnet.
    pub uid: MinerUid,
    /// Hotkey.
    pub hotkey: Hotkey,
    /// Whether the place is still its own.
    pub open: bool,
}

/// Owners by registration.
pub type Owners = BTreeMap<RegistrationId, Owner>;

/// A task value, as the file has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileScore {
    /// Who.
    pub uid: MinerUid,
    /// Name of the kind.
    pub kind: String,
    /// How good, 0..=1.
    pub score: f64,
}

/// What `pithead weights compute --from FILE` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightsFile {
    /// Name of the policy.
    pub policy: PolicyName,
    /// The kinds.
    pub kinds: Vec<WeightedKind>,
    /// The task values, by uid and kind.
    pub scores: Vec<FileScore>,
}

/// One miner of a run: who it was, and what its task values were made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunMiner {
    /// Place in the subnet.
    pub uid: MinerUid,
    /// Whose.
    pub registration: RegistrationId,
    /// Hotkey.
    pub hotkey: Hotkey,
    /// By kind.
    pub standings: BTreeMap<String, Standing>,
}

/// See the module's docs. Holds no time: where nothing changed, the bytes are the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What went in.
    pub file: WeightsFile,
    /// Every figure of the policy.
    pub policy: Policy,
    /// The miners that have a weight, in the order of their uids.
    pub miners: Vec<RunMiner>,
    /// What came out.
    pub calculation: Calculation,
}

impl Run {
    /// The run over the standings of a window. Only who holds its uid now is in it.
    ///
    /// # Errors
    /// [`WeightsError`] when the values cannot be used.
    pub fn of(
        name: PolicyName,
        policy: Policy,
        kinds: &[WeightedKind],
        standings: &Standings,
        owners: &Owners,
    ) -> Result<Self, WeightsError> {
        let mut miners: BTreeMap<MinerUid, RunMiner> = BTreeMap::new();
        for ((registration, kind), standing) in standings {
            let owner = owners.get(registration).filter(|owner| owner.open);
            let (Some(owner), Some(kind)) = (owner, kinds.get(*kind)) else { continue };
            let known = miners.entry(owner.uid).or_insert_with(|| RunMiner {
                uid: owner.uid,
                registration: *registration,
                hotkey: owner.hotkey.clone(),
                standings: BTreeMap::new(),
            });
            // A uid has one open registration; if rows said otherwise, the newest one has it.
            if known.registration != *registration {
                known.registration = *registration;
                known.hotkey = owner.hotkey.clone();
                known.standings.clear();
            }
            known.standings.insert(kind.name.clone(), standing.clone());
        }
        miners.retain(|_, miner| miner.standings.values().any(|of| of.value.is_some()));
        let miners: Vec<RunMiner> = miners.into_values().collect();
        let mut scores = Vec::new();
        for miner in &miners {
            for kind in kinds {
                let value = miner.standings.get(&kind.name).and_then(|standing| standing.value);
                let Some(score) = value else { continue };
                scores.push(FileScore { uid: miner.uid, kind: kind.name.clone(), score });
            }
        }
        let file = WeightsFile { policy: name, kinds: kinds.to_vec(), scores };
        let calculation = file.compute_by(&policy)?;
        Ok(Self { file, policy, miners, calculation })
    }

    /// One miner's part.
    #[must_use]
    pub fn miner(&self, uid: MinerUid) -> Option<(&RunMiner, &Record)> {
        let miner = self.miners.iter().find(|miner| miner.uid == uid)?;
        let record = self.calculation.records.iter().find(|record| record.miner.uid == uid)?;
        Some((miner, record))
    }
}

impl WeightsFile {
    /// What the command makes of the file.
    ///
    /// # Errors
    /// [`WeightsError`] when the values cannot be used.
    pub fn compute(&self) -> Result<Calculation, WeightsError> {
        self.compute_by(&self.policy.policy())
    }

    fn compute_by(&self, policy: &Policy) -> Result<Calculation, WeightsError> {
        let values = self.scores.iter().map(|one| TaskValue {
            miner: Miner::from(one.uid),
            kind: &one.kind,
            score: one.score,
        });
        let values: Vec<TaskValue<'_>> = values.collect();
        compute(policy, &self.kinds, &values)
    }
}
