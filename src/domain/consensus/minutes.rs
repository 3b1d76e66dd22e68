//! The minutes of a round: what its verdicts depended on, as values to be stored. The words
//! themselves stand in the stored reports; the minutes say which.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::event::Event;
use super::merge::ChainFacts;
use super::policy::ConsensusPolicy;
use super::replay::{VerdictInputs, VoteInput};
use super::row::Row;
use super::validator::Validator;
use super::verdict::{Agreed, Verdict, VoterName};
use crate::domain::ids::{Hotkey, MinerUid};
use crate::domain::report::MinerStatus;
use crate::domain::units::{Millis, Score};

/// Everything that the verdicts merged in one round depended on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Minutes {
    /// The round.
    pub round: i64,
    /// The rules in force.
    pub policy: ConsensusPolicy,
    /// Who counted, and how much.
    pub validators: Vec<Sheet>,
    /// Miners whose verdict was merged in this round, by uid.
    pub miners: Vec<MinerMinutes>,
    /// What happened to validators since the minutes before, for whoever keeps the minutes to add.
    #[serde(default)]
    pub events: Vec<(Millis, Event)>,
}

/// A validator's weight in the round; the fields are those of [`super::Vote`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see `Vote`")]
pub struct Sheet {
    pub hotkey: Hotkey,
    pub name: VoterName,
    pub rank: u16,
    pub base: i64,
    pub bias: i64,
    pub reputation: Score,
    pub clique_share: i64,
    pub period: i64,
}

/// One miner's ballot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinerMinutes {
    /// The miner.
    pub uid: MinerUid,
    /// What the round before ended with.
    pub previous: Agreed,
    /// What the chain said.
    pub chain: Option<ChainFacts>,
    /// The words that were heard.
    pub votes: Vec<Heard>,
    /// SHA-256 of the verdict's JSON, hexadecimal.
    pub verdict: String,
}

/// Which word was heard: a validator's, in the report that it signed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// Place of its sheet.
    pub sheet: u16,
    /// When the report was signed, nanoseconds.
    pub signed_nanos: i64,
    /// The first bytes of its body's hash, as a number: of two reports signed at once this is one.
    pub tie: u64,
    /// Its newest full report leaves the miner out.
    pub absent: bool,
}

/// SHA-256 of the verdict's JSON, hexadecimal: two verdicts are the same exactly when these are.
#[must_use]
pub fn fingerprint(verdict: &Verdict) -> String {
    // A verdict has no map and no float: its JSON always exists, and is always the same.
    hex::encode(Sha256::digest(serde_json::to_vec(verdict).unwrap_or_default()))
}

impl Minutes {
    /// The minutes of the verdicts that were merged in `round`.
    pub(super) fn of<'a>(
        policy: &ConsensusPolicy,
        round: i64,
        validators: &[Validator],
        rows: impl Iterator<Item = (MinerUid, &'a Row)>,
    ) -> Self {
        let mut places: Vec<Option<u16>> = vec![None; validators.len()];
        let mut sheets: Vec<Sheet> = Vec::new();
        for (place, v) in places.iter_mut().zip(validators).filter(|(_, v)| v.base > 0) {
            *place = u16::try_from(sheets.len()).ok();
            sheets.push(Sheet {
                hotkey: v.hotkey.clone(),
                name: v.name.clone(),
                rank: v.rank,
                base: v.base,
                bias: v.bias,
                reputation: v.reputation,
                clique_share: v.clique_share,
                period: v.period,
            });
        }
        let merged = rows.filter_map(|(uid, row)| {
            let verdict = row.verdict.as_ref().filter(|verdict| verdict.round == round)?;
            let heard = row.mentions.iter().filter_map(|mention| {
                let index = usize::from(mention.validator);
                let validator = validators.get(index)?;
                let sheet = (*places.get(index)?)?;
                (!validator.is_void(mention.order, mention.epoch)).then(|| Heard {
                    sheet,
                    signed_nanos: mention.order.nanos,
                    tie: mention.order.tie,
                    absent: validator.leaves_out(mention.order),
                })
            });
            Some(MinerMinutes {
                uid,
                previous: row.previous.clone(),
                chain: row.chain.as_deref().cloned(),
                votes: heard.collect(),
                verdict: fingerprint(verdict),
            })
        });
        let (policy, miners) = (policy.clone(), merged.collect());
        Self { round, policy, validators: sheets, miners, events: Vec::new() }
    }

    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.miners.is_empty() && self.events.is_empty()
    }

    /// The inputs of a miner's verdict; `word` finds what a validator said in a report. `None` when
    /// the miner was not merged in this round.
    ///
    /// # Errors
    /// The first word that `word` cannot find.
    pub fn inputs<E>(
        &self,
        uid: MinerUid,
        mut word: impl FnMut(&Sheet, Heard) -> Result<MinerStatus, E>,
    ) -> Result<Option<VerdictInputs>, E> {
        let Some(miner) = self.miners.iter().find(|miner| miner.uid == uid) else {
            return Ok(None);
        };
        let mut votes = Vec::with_capacity(miner.votes.len());
        for &heard in &miner.votes {
            let Some(sheet) = self.validators.get(usize::from(heard.sheet)) else { continue };
            votes.push(VoteInput {
                validator: sheet.name.clone(),
                rank: sheet.rank,
                base: sheet.base,
                bias: sheet.bias,
                reputation: sheet.reputation,
                clique_share: sheet.clique_share,
                period: sheet.period,
                signed_nanos: heard.signed_nanos,
                absent: heard.absent,
                status: word(sheet, heard)?,
            });
        }
        Ok(Some(VerdictInputs {
            policy: self.policy.clone(),
            uid,
            round: self.round,
            votes,
            previous: miner.previous.clone(),
            chain: miner.chain.clone(),
        }))
    }
}
