//! One miner's line in the table: every validator's newest word on it, and its verdict.

use std::sync::Arc;

use super::input::Observation;
use super::merge::{Ballot, ChainFacts, Vote};
use super::validator::{SignedOrder, Validator};
use super::verdict::{Agreed, Verdict};
use crate::domain::ids::MinerUid;
use crate::domain::report::MinerStatus;
use crate::domain::units::Millis;

/// One miner's votes and verdict.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Sorted by validator.
    pub(super) mentions: Vec<Mention>,
    /// What the last round agreed on; frozen for the round of the verdict.
    pub(super) previous: Agreed,
    pub(super) verdict: Option<Arc<Verdict>>,
    pub(super) ignore_before: Millis,
    pub(super) chain: Option<Box<ChainFacts>>,
    pub(super) observation: Option<Observation>,
}

impl Row {
    pub(super) fn agreed(&self) -> &Agreed {
        self.verdict.as_ref().map_or(&self.previous, |verdict| &verdict.agreed)
    }

    pub(super) fn mention_of(&self, validator: u16) -> Option<&Mention> {
        let place = self.mentions.binary_search_by_key(&validator, |m| m.validator).ok()?;
        self.mentions.get(place)
    }

    /// Takes a validator's newer word; false when it has one at least as new.
    pub(super) fn take(&mut self, mut mention: Mention) -> bool {
        if let Some(peer) = self.mentions.first() {
            mention.status.share_texts(&peer.status);
        }
        match self.mentions.binary_search_by_key(&mention.validator, |m| m.validator) {
            Ok(place) => match self.mentions.get_mut(place) {
                Some(known) if known.order < mention.order => *known = mention,
                _ => return false,
            },
            Err(place) => self.mentions.insert(place, mention),
        }
        true
    }

    /// The votes of the active validators; a void one is no vote.
    pub(super) fn ballot<'a>(
        &'a self,
        validators: &'a [Validator],
        uid: MinerUid,
        round: i64,
    ) -> Ballot<'a> {
        let mut votes = Vec::with_capacity(self.mentions.len());
        for mention in &self.mentions {
            let Some(validator) = validators.get(usize::from(mention.validator)) else { continue };
            if validator.base == 0 || validator.is_void(mention.order, mention.epoch) {
                continue;
            }
            votes.push(Vote {
                validator: &validator.name,
                rank: validator.rank,
                base: validator.base,
                bias: validator.bias,
                reputation: validator.reputation,
                clique_share: validator.clique_share,
                period: validator.period,
                signed_nanos: mention.order.nanos,
                absent: validator.leaves_out(mention.order),
                status: &mention.status,
            });
        }
        Ballot { uid, round, votes, previous: &self.previous, chain: self.chain.as_deref() }
    }
}

/// A validator's newest word on a miner.
#[derive(Debug)]
pub(super) struct Mention {
    pub(super) validator: u16,
    pub(super) order: SignedOrder,
    pub(super) epoch: Option<i64>,
    pub(super) status: MinerStatus,
}
