//! One miner's line in the table: every validator's newest word on it, and its verdict.

use std::sync::Arc;

use super::input::Observation;
use super::merge::{Ballot, ChainFacts, Vote};
use super::validator::{SignedOrder, Validator};
use super::verdict::{Agreed, Verdict};
use crate::domain::ids::{Hotkey, MinerUid};
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
    /// Since when the miner has this uid; the beginning of time while nobody had it before.
    pub(super) ignore_before: Millis,
    /// Its hotkey: who names it speaks of it, also before that moment.
    pub(super) newcomer: Option<Hotkey>,
    pub(super) chain: Option<Box<ChainFacts>>,
    pub(super) observation: Option<Observation>,
}

impl Row {
    pub(super) fn agreed(&self) -> &Agreed {
        self.verdict.as_ref().map_or(&self.previous, |verdict| &verdict.agreed)
    }

    /// Whether a word is about whoever had the uid before.
    pub(super) fn is_of_another(&self, order: SignedOrder, status: &MinerStatus) -> bool {
        let names_it = status.hotkey.is_some() && status.hotkey == self.newcomer;
        order.millis() < self.ignore_before && !names_it
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
