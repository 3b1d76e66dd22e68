//! Which snapshot is believed: the one of which more than half of the stake says the same.
//!
//! Validators look at the chain at different moments, so only looks at one block can agree. They take
//! theirs at blocks that a number divides (`every`), which makes them meet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::snapshot::Snapshot;
use crate::domain::ids::Hotkey;
use crate::domain::limits::OFFERED_BLOCKS_MAX;
use crate::domain::units::Stake;

/// Why a snapshot is not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Of another subnet.
    #[error("`netuid` is {got}, this server is for {ours}")]
    OtherSubnet {
        /// What was sent.
        got: u16,
        /// What is served here.
        ours: u16,
    },
    /// Not newer than what is believed.
    #[error("`block` is {got}, and {current} is known already")]
    Old {
        /// What was sent.
        got: i64,
        /// The block of the adopted one.
        current: i64,
    },
    /// A block at which nobody else looks.
    #[error(
        "`block` is {got}: take snapshots at blocks that {every} divides, so that validators meet"
    )]
    OffBeat {
        /// What was sent.
        got: i64,
        /// Divides the blocks that are taken.
        every: i64,
    },
    /// The sender has too little stake for its word to count.
    #[error(
        "your stake of {stake} tokens does not count: a snapshot needs some, and at least {least} \
         (before the chain is known, that of `[[auth.hotkeys]]`)"
    )]
    TooLittleStake {
        /// Its stake.
        stake: f64,
        /// The least.
        least: f64,
    },
    /// The sender may not set weights, or is none of those whom the operator asks about the chain.
    #[error(
        "your word on the chain does not count: you need a validator permit with stake as of block \
         {block}, and a place in the operator's `[[auth.hotkeys]]`"
    )]
    NoPermit {
        /// Of what is believed.
        block: i64,
    },
    /// The sender said something else of this block before.
    #[error("you sent another snapshot of block {block} before; the first one stands")]
    Contradicted {
        /// Which.
        block: i64,
    },
}

/// Where a snapshot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// More is needed.
    Waits {
        /// Stake of those that sent the same.
        have: u128,
        /// Stake that must be passed.
        half: u128,
    },
    /// It is to be believed from now on.
    Adopted {
        /// What the chain said.
        snapshot: Arc<Snapshot>,
        /// Who sent it, by hotkey.
        senders: Vec<Hotkey>,
    },
}

#[derive(Debug, Clone)]
struct Offer {
    snapshot: Arc<Snapshot>,
    senders: BTreeSet<Hotkey>,
}

/// Snapshots that are offered and not believed yet, by block and content.
#[derive(Debug, Clone, Default)]
pub struct Offers {
    by_block: BTreeMap<i64, BTreeMap<[u8; 32], Offer>>,
}

/// What offers are judged by.
#[derive(Debug, Clone, Copy)]
pub struct Rule<'a> {
    /// The subnet.
    pub netuid: u16,
    /// Block of the adopted snapshot, if there is one.
    pub current: Option<i64>,
    /// Divides the blocks that are taken.
    pub every: i64,
    /// Least stake of a sender.
    pub stake_min: Stake,
    /// Everybody whose word counts, with their stakes.
    pub trusted: &'a BTreeMap<Hotkey, Stake>,
}

/// Everybody whose word counts, with the stakes that count: the validators of the configuration that
/// have a permit and stake by the snapshot that is believed. Before there is one, and if it knows none
/// of them, which would shut everybody out for ever, the configured stakes count.
#[must_use]
pub(super) fn trusted(
    configured: &BTreeMap<Hotkey, Stake>,
    believed: Option<&Snapshot>,
) -> BTreeMap<Hotkey, Stake> {
    let neurons = believed.into_iter().flat_map(|snapshot| snapshot.neurons.values());
    let permitted = neurons.filter(|n| n.validator_permit && n.stake > Stake::ZERO);
    let known: BTreeMap<Hotkey, Stake> = permitted
        .filter(|neuron| configured.contains_key(&neuron.hotkey))
        .map(|neuron| (neuron.hotkey.clone(), neuron.stake))
        .collect();
    if known.is_empty() { configured.clone() } else { known }
}

impl Rule<'_> {
    fn check(&self, sender: &Hotkey, snapshot: &Snapshot) -> Result<(), Refused> {
        let (got, every) = (snapshot.block, self.every.max(1));
        if snapshot.netuid != self.netuid {
            return Err(Refused::OtherSubnet { got: snapshot.netuid, ours: self.netuid });
        }
        if let Some(current) = self.current.filter(|current| got <= *current) {
            return Err(Refused::Old { got, current });
        }
        if got % every != 0 {
            return Err(Refused::OffBeat { got, every });
        }
        let stake = match (self.trusted.get(sender), self.current) {
            (Some(stake), _) => *stake,
            (None, Some(block)) => return Err(Refused::NoPermit { block }),
            (None, None) => Stake::ZERO,
        };
        if stake < self.stake_min || stake == Stake::ZERO {
            let (stake, least) = (stake.tokens(), self.stake_min.tokens());
            return Err(Refused::TooLittleStake { stake, least });
        }
        Ok(())
    }

    fn stake_of<'h>(&self, senders: impl Iterator<Item = &'h Hotkey>) -> u128 {
        let stakes = senders.filter_map(|sender| self.trusted.get(sender));
        stakes.filter_map(|stake| u128::try_from(stake.rao()).ok()).sum()
    }
}

impl Offers {
    /// Takes what a validator sent. The same again is the same; what is adopted makes everything up to
    /// its block obsolete.
    ///
    /// # Errors
    /// [`Refused`]; nothing changed then.
    pub fn take(
        &mut self,
        rule: &Rule<'_>,
        sender: &Hotkey,
        snapshot: Snapshot,
    ) -> Result<Standing, Refused> {
        rule.check(sender, &snapshot)?;
        let (block, digest) = (snapshot.block, snapshot.digest());
        let at_block = self.by_block.entry(block).or_default();
        let other = at_block
            .iter()
            .any(|(known, offer)| *known != digest && offer.senders.contains(sender));
        if other {
            return Err(Refused::Contradicted { block });
        }
        let fresh = || Offer { snapshot: Arc::new(snapshot), senders: BTreeSet::new() };
        let offer = at_block.entry(digest).or_insert_with(fresh);
        offer.senders.insert(sender.clone());
        let have = rule.stake_of(offer.senders.iter());
        let half = rule.stake_of(rule.trusted.keys()) / 2;
        if have > half {
            let snapshot = offer.snapshot.clone();
            let senders = offer.senders.iter().cloned().collect();
            self.by_block = self.by_block.split_off(&(block + 1));
            return Ok(Standing::Adopted { snapshot, senders });
        }
        self.forget_oldest(sender);
        Ok(Standing::Waits { have, half })
    }

    /// Each validator has its own room, so that one that runs ahead of all others drives out nobody's
    /// word but its own.
    fn forget_oldest(&mut self, sender: &Hotkey) {
        let of_sender = |offers: &BTreeMap<[u8; 32], Offer>| {
            offers.values().any(|offer| offer.senders.contains(sender))
        };
        let blocks = self.by_block.iter().filter(|(_, offers)| of_sender(offers));
        let blocks: Vec<i64> = blocks.map(|(block, _)| *block).collect();
        let surplus = blocks.len().saturating_sub(OFFERED_BLOCKS_MAX);
        for block in blocks.into_iter().take(surplus) {
            let Some(offers) = self.by_block.get_mut(&block) else { continue };
            offers.retain(|_, offer| {
                offer.senders.remove(sender);
                !offer.senders.is_empty()
            });
            if offers.is_empty() {
                self.by_block.remove(&block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::chain::make::{neuron, snapshot};

    fn key(n: u16) -> Hotkey {
        Hotkey::parse(&format!("v{n}")).unwrap()
    }

    #[test]
    fn whoever_has_a_permit_and_stake_on_the_chain_is_trusted() {
        let row = |uid: u16, stake: i64, permit: bool| {
            let mut row = neuron(uid);
            row["hotkey"] = format!("v{uid}").into();
            row["stake"] = stake.into();
            row["validator_permit"] = permit.into();
            row
        };
        let configured = stakes(&[5.0, 6.0, 7.0]);
        let trusted =
            |rows: &[serde_json::Value]| trusted(&configured, Some(&snapshot(1_000, rows)));
        assert_eq!(super::trusted(&configured, None), configured);
        let one = trusted(&[row(0, 50, true), row(1, 90, false), row(2, 0, true), row(9, 9, true)]);
        assert_eq!(one, [(key(0), Stake::from_tokens(50.0).unwrap())].into());
        assert_eq!(trusted(&[row(1, 90, false), row(9, 9, true)]), configured, "it knows none");
    }

    fn stakes(tokens: &[f64]) -> BTreeMap<Hotkey, Stake> {
        (0..).zip(tokens).map(|(n, t)| (key(n), Stake::from_tokens(*t).unwrap())).collect()
    }

    fn rule(trusted: &BTreeMap<Hotkey, Stake>) -> Rule<'_> {
        let stake_min = Stake::from_tokens(10.0).unwrap();
        Rule { netuid: 5, current: Some(600), every: 50, stake_min, trusted }
    }

    fn adopted(standing: Result<Standing, Refused>) -> Option<i64> {
        match standing.unwrap() {
            Standing::Adopted { snapshot, .. } => Some(snapshot.block),
            Standing::Waits { .. } => None,
        }
    }

    #[test]
    fn more_than_half_of_the_stake_decides() {
        let trusted = stakes(&[50.0, 30.0, 20.0]);
        let mut offers = Offers::default();
        let one = || snapshot(1_000, &[neuron(1)]);
        assert_eq!(adopted(offers.take(&rule(&trusted), &key(0), one())), None, "half is not more");
        assert_eq!(adopted(offers.take(&rule(&trusted), &key(0), one())), None, "said twice");
        assert_eq!(adopted(offers.take(&rule(&trusted), &key(2), one())), Some(1_000));
    }

    #[test]
    fn a_minority_that_lies_is_never_believed() {
        let trusted = stakes(&[40.0, 30.0, 30.0]);
        let mut offers = Offers::default();
        let lie = snapshot(1_000, &[neuron(9)]);
        let truth = || snapshot(1_000, &[neuron(1)]);
        assert_eq!(adopted(offers.take(&rule(&trusted), &key(0), lie)), None);
        let changed_mind = offers.take(&rule(&trusted), &key(0), truth());
        assert_eq!(changed_mind, Err(Refused::Contradicted { block: 1_000 }));
        assert_eq!(adopted(offers.take(&rule(&trusted), &key(1), truth())), None);
        let Standing::Adopted { snapshot: believed, senders } =
            offers.take(&rule(&trusted), &key(2), truth()).unwrap()
        else {
            panic!("two thirds agree")
        };
        assert_eq!((&*believed, &senders[..]), (&truth(), &[key(1), key(2)][..]));
    }

    #[test]
    fn what_cannot_count_is_refused_with_the_reason() {
        let trusted = stakes(&[50.0, 9.0]);
        let mut offers = Offers::default();
        let mut take = |sender, block, netuid: u16| {
            let mut sent = snapshot(block, &[neuron(1)]);
            sent.netuid = netuid;
            offers.take(&rule(&trusted), &key(sender), sent).unwrap_err()
        };
        assert_eq!(take(0, 1_000, 6), Refused::OtherSubnet { got: 6, ours: 5 });
        assert_eq!(take(0, 1_001, 5), Refused::OffBeat { got: 1_001, every: 50 });
        assert_eq!(take(1, 1_000, 5), Refused::TooLittleStake { stake: 9.0, least: 10.0 });
        assert_eq!(take(7, 1_000, 5), Refused::NoPermit { block: 600 });
        let trusted = stakes(&[50.0]);
        let rule = Rule { current: Some(1_000), ..rule(&trusted) };
        for block in [950, 1_000] {
            let old = offers.take(&rule, &key(0), snapshot(block, &[neuron(1)]));
            assert_eq!(old, Err(Refused::Old { got: block, current: 1_000 }));
        }
    }

    #[test]
    fn who_runs_ahead_drives_out_only_its_own_word() {
        let trusted = stakes(&[50.0, 30.0, 30.0]);
        let mut offers = Offers::default();
        let mut take = |sender, block| {
            let taken = offers.take(&rule(&trusted), &key(sender), snapshot(block, &[neuron(1)]));
            (adopted(taken), offers.by_block.len())
        };
        assert_eq!(take(1, 1_000), (None, 1));
        for n in 1..3 * OFFERED_BLOCKS_MAX as i64 {
            let (adopted, blocks) = take(0, 1_000 + n * 50);
            assert_eq!((adopted, blocks <= 1 + OFFERED_BLOCKS_MAX), (None, true));
        }
        assert_eq!(take(2, 1_000), (Some(1_000), OFFERED_BLOCKS_MAX), "what is newer waits on");
        let newest = 1_000 + (3 * OFFERED_BLOCKS_MAX as i64 - 1) * 50;
        assert_eq!(take(1, newest), (Some(newest), 0));
    }

    proptest! {
        /// Whoever holds less than half cannot have anything adopted that nobody else says.
        #[test]
        fn nothing_is_adopted_without_more_than_half(
            tokens in proptest::collection::vec(10.0..100.0_f64, 1..7),
            said in proptest::collection::vec((0_u16..7, 0_u16..3), 1..30),
        ) {
            let trusted = stakes(&tokens);
            let mut offers = Offers::default();
            let mut first: BTreeMap<u16, u16> = BTreeMap::new();
            for (sender, what) in said {
                if usize::from(sender) >= tokens.len() {
                    continue;
                }
                let taken = offers.take(&rule(&trusted), &key(sender), snapshot(1_000, &[neuron(what)]));
                if let Ok(standing) = taken {
                    first.entry(sender).or_insert(what);
                    let of = |keep: &dyn Fn(u16) -> bool| -> i64 {
                        let told = first.iter().filter(|(_, said)| keep(**said));
                        told.map(|(n, _)| trusted[&key(*n)].rao()).sum()
                    };
                    let have = of(&|said| said == what);
                    let all: i64 = trusted.values().map(|stake| stake.rao()).sum();
                    prop_assert_eq!(matches!(standing, Standing::Adopted { .. }), have > all / 2);
                    if matches!(standing, Standing::Adopted { .. }) {
                        break;
                    }
                } else {
                    prop_assert_ne!(first.get(&sender), Some(&what));
                }
            }
        }
    }
}
