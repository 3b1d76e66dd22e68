//! Who may speak as what. The chain decides while the snapshot that is believed is young enough;
//! before there is one, and when it has become too old, the operator's allow-list does: roles that
//! nobody can vouch for any more are closed, not left open.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::adopt::trusted;
use super::snapshot::Snapshot;
use crate::domain::ids::Hotkey;
use crate::domain::units::{MINUTE, Millis, Stake};

/// What a hotkey is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reports and evaluates.
    Validator,
    /// Works. A listed miner's uid and hotkey are facts that no report can change.
    Miner,
    /// Runs this server: may do what an admin key may.
    Operator,
}

/// Where a hotkey stands in the subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its uid.
    pub uid: u16,
    /// Its stake.
    pub stake: Stake,
}

/// Why a hotkey has no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody knows it as that.
    #[error("is not known here: neither the chain nor `[[auth.hotkeys]]` lists it as that")]
    Unknown,
    /// The chain lists it, or the operator does, and it may not set weights.
    #[error("has no validator permit with stake as of block {block}")]
    NoPermit {
        /// Of what is believed.
        block: i64,
    },
    /// An operator shut it out, whatever the chain says.
    #[error("was shut out by the operator of this server, {}; ask there", until_when(.until))]
    Quarantined {
        /// Free from then on; until the operator lets it in when absent.
        until: Option<Millis>,
    },
    /// The chain does not list it any more.
    #[error("is not registered as of block {block}")]
    Gone {
        /// Of what is believed.
        block: i64,
    },
    /// It had its role by a snapshot that is too old to vouch for it.
    #[error(
        "had its role by block {block}, which is {age_secs} s old (at most {most_secs}); try again \
         once validators have sent a newer snapshot of the chain"
    )]
    Old {
        /// Of what is believed.
        block: i64,
        /// Since it was believed.
        age_secs: i64,
        /// How old it may be.
        most_secs: i64,
    },
}

fn until_when(until: &Option<Millis>) -> String {
    until
        .map_or_else(|| "for as long as it says".to_owned(), |at| format!("until {}", at.rfc3339()))
}

/// Hotkeys that the operator shut out, each with the moment from which on it is free, if there is one.
pub type Quarantine = BTreeMap<Hotkey, Option<Millis>>;

/// What is believed of the chain.
#[derive(Debug, Clone)]
struct Chain {
    block: i64,
    adopted_at: Millis,
    /// Everybody on it, and whether it has a permit and stake.
    listed: HashMap<Hotkey, (Place, bool)>,
    /// Whether anybody has.
    any_permit: bool,
}

/// See the module's docs. Made anew with each snapshot that is believed.
#[derive(Debug, Clone)]
pub struct Roles {
    configured: BTreeMap<Hotkey, (Role, Place)>,
    chain: Option<Chain>,
    /// Stakes of those whose word on the chain counts.
    witnesses: BTreeMap<Hotkey, Stake>,
    quarantine: Arc<Quarantine>,
    most_millis: i64,
}

impl Roles {
    /// As configured, of no chain; snapshots to come vouch for `most_millis` milliseconds.
    #[must_use]
    pub fn new(
        configured: impl IntoIterator<Item = (Hotkey, Role, Place)>,
        most_millis: i64,
    ) -> Self {
        let entry = |(hotkey, role, place)| (hotkey, (role, place));
        let configured = configured.into_iter().map(entry).collect();
        let (witnesses, quarantine) = (BTreeMap::new(), Arc::default());
        let mut roles = Self { configured, chain: None, witnesses, quarantine, most_millis };
        roles.witnesses = trusted(&roles.configured_validators(), None);
        roles
    }

    /// The same, when this snapshot is believed since then.
    #[must_use]
    pub fn believing(&self, snapshot: &Snapshot, adopted_at: Millis) -> Self {
        let listed = snapshot.neurons.iter().map(|(uid, neuron)| {
            let permit = neuron.validator_permit && neuron.stake > Stake::ZERO;
            (neuron.hotkey.clone(), (Place { uid: uid.0, stake: neuron.stake }, permit))
        });
        let listed: HashMap<_, _> = listed.collect();
        let any_permit = listed.values().any(|(_, permit)| *permit);
        let chain = Chain { block: snapshot.block, adopted_at, listed, any_permit };
        Self {
            configured: self.configured.clone(),
            witnesses: trusted(&self.configured_validators(), Some(snapshot)),
            chain: Some(chain),
            quarantine: Arc::clone(&self.quarantine),
            most_millis: self.most_millis,
        }
    }

    /// The same, when these are shut out and nobody else is.
    #[must_use]
    pub fn shutting_out(&self, quarantine: Arc<Quarantine>) -> Self {
        Self { quarantine, ..self.clone() }
    }

    /// Who is shut out; the time of some may be over.
    #[must_use]
    pub const fn quarantine(&self) -> &Arc<Quarantine> {
        &self.quarantine
    }

    /// Whether it is let in now. Operators always are, or one could lock oneself out.
    ///
    /// # Errors
    /// [`Denied::Quarantined`].
    pub fn let_in(&self, hotkey: &Hotkey, now: Millis) -> Result<(), Denied> {
        let Some(&until) = self.quarantine.get(hotkey) else { return Ok(()) };
        let over = until.is_some_and(|until| now >= until);
        if over || self.configured(hotkey) == Some(Role::Operator) {
            return Ok(());
        }
        Err(Denied::Quarantined { until })
    }

    fn configured_validators(&self) -> BTreeMap<Hotkey, Stake> {
        let all = self.configured.iter();
        let validators = all.filter(|(_, (role, _))| *role == Role::Validator);
        validators.map(|(hotkey, (_, place))| (hotkey.clone(), place.stake)).collect()
    }

    /// What the operator says that it is.
    #[must_use]
    pub fn configured(&self, hotkey: &Hotkey) -> Option<Role> {
        self.configured.get(hotkey).map(|(role, _)| *role)
    }

    /// All hotkeys of the operator's list.
    pub fn all_configured(&self) -> impl Iterator<Item = (&Hotkey, Role, Place)> {
        self.configured.iter().map(|(hotkey, (role, place))| (hotkey, *role, *place))
    }

    /// Everybody whose word on the chain counts now, with the stakes that count: see `trusted`. By a
    /// snapshot that is too old nobody does: else those who left since could hold up the next one.
    #[must_use]
    pub fn witnesses(&self, now: Millis) -> BTreeMap<Hotkey, Stake> {
        let mut witnesses = match self.is_old(now) {
            true => trusted(&self.configured_validators(), None),
            false => self.witnesses.clone(),
        };
        witnesses.retain(|hotkey, _| self.let_in(hotkey, now).is_ok());
        witnesses
    }

    /// The newest block that is believed.
    #[must_use]
    pub fn block(&self) -> Option<i64> {
        self.chain.as_ref().map(|chain| chain.block)
    }

    /// Since when that is believed.
    #[must_use]
    pub fn adopted_at(&self) -> Option<Millis> {
        self.chain.as_ref().map(|chain| chain.adopted_at)
    }

    /// Everybody whom the operator named, as what, and then all validators of the chain that he did
    /// not; by hotkey.
    #[must_use]
    pub fn named(&self) -> Vec<(&Hotkey, Role)> {
        let configured = self.configured.iter().map(|(hotkey, (role, _))| (hotkey, *role));
        let listed = self.chain.iter().flat_map(|chain| &chain.listed);
        let permitted = listed.filter(|(_, (_, permit))| *permit).map(|(hotkey, _)| hotkey);
        let mut others: Vec<_> =
            permitted.filter(|hotkey| !self.configured.contains_key(*hotkey)).collect();
        others.sort_unstable();
        configured.chain(others.into_iter().map(|hotkey| (hotkey, Role::Validator))).collect()
    }

    /// Whether what is believed is too old to vouch for anybody.
    #[must_use]
    pub fn is_old(&self, now: Millis) -> bool {
        self.chain.as_ref().is_some_and(|chain| self.old(chain, now).is_some())
    }

    fn old(&self, chain: &Chain, now: Millis) -> Option<Denied> {
        let (age, most) = (now.since(chain.adopted_at), self.most_millis);
        // By a clock that was set back its age is not known.
        let unknown = age < -MINUTE;
        let old =
            || Denied::Old { block: chain.block, age_secs: age / 1_000, most_secs: most / 1_000 };
        (age > most || unknown).then(old)
    }

    /// The chain's word on a validator, however old that is: its place, or nothing without a permit.
    fn permitted(&self, hotkey: &Hotkey) -> Option<Place> {
        let (place, permit) = self.chain.as_ref()?.listed.get(hotkey)?;
        permit.then_some(*place)
    }

    fn configured_place(&self, hotkey: &Hotkey, role: Role) -> Option<Place> {
        let (own, place) = self.configured.get(hotkey)?;
        (*own == role).then_some(*place)
    }

    /// The stake with which a validator's reports count: nothing of one that is shut out now, or that
    /// the chain gives no permit, however old it is. `None` when nothing is known of it.
    #[must_use]
    pub fn stake(&self, hotkey: &Hotkey, now: Millis) -> Option<Stake> {
        if self.let_in(hotkey, now).is_err() {
            return Some(Stake::ZERO);
        }
        let configured = || self.configured_place(hotkey, Role::Validator).map(|own| own.stake);
        match &self.chain {
            Some(chain) if chain.any_permit => {
                Some(self.permitted(hotkey).map_or(Stake::ZERO, |place| place.stake))
            }
            Some(_) | None => configured(),
        }
    }

    /// Whether it may speak as a validator now, and from where.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn validator(&self, hotkey: &Hotkey, now: Millis) -> Result<Place, Denied> {
        self.let_in(hotkey, now)?;
        let configured = self.configured_place(hotkey, Role::Validator);
        let Some(chain) = self.chain.as_ref() else { return configured.ok_or(Denied::Unknown) };
        let block = chain.block;
        let permitted = self.permitted(hotkey);
        match (self.old(chain, now), permitted, configured) {
            (None, Some(place), _) => Ok(place),
            // A chain without a single validator shuts nobody out, or it would for ever.
            (None, None, Some(place)) if !chain.any_permit => Ok(place),
            (None, None, Some(_)) => Err(Denied::NoPermit { block }),
            (None, None, None) if chain.listed.contains_key(hotkey) => {
                Err(Denied::NoPermit { block })
            }
            (Some(_), place, Some(own)) => Ok(place.unwrap_or(own)),
            (Some(old), Some(_), None) => Err(old),
            (None | Some(_), None, None) => Err(Denied::Unknown),
        }
    }

    /// Whether it may speak as a miner now, if it is registered here.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn miner(&self, hotkey: &Hotkey, now: Millis) -> Result<(), Denied> {
        self.let_in(hotkey, now)?;
        let Some(chain) = self.chain.as_ref() else { return Ok(()) };
        if self.configured(hotkey) == Some(Role::Miner) {
            return Ok(());
        }
        if let Some(old) = self.old(chain, now) {
            return Err(old);
        }
        let gone = Denied::Gone { block: chain.block };
        chain.listed.contains_key(hotkey).then_some(()).ok_or(gone)
    }

    /// Its uid: as the chain says, else as the operator does.
    #[must_use]
    pub fn uid(&self, hotkey: &Hotkey) -> Option<u16> {
        let listed = self.chain.as_ref().and_then(|chain| chain.listed.get(hotkey));
        let configured = || self.configured.get(hotkey).map(|(_, place)| place.uid);
        listed.map(|(place, _)| place.uid).or_else(configured)
    }

    /// Whether anybody vouches for it now, as whatever; before the chain is known, whether it is
    /// `reported` as a miner.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn anybody(&self, hotkey: &Hotkey, reported: bool, now: Millis) -> Result<(), Denied> {
        self.let_in(hotkey, now)?;
        if self.configured.contains_key(hotkey) {
            return Ok(());
        }
        let Some(chain) = self.chain.as_ref() else {
            return reported.then_some(()).ok_or(Denied::Unknown);
        };
        if !chain.listed.contains_key(hotkey) {
            return Err(Denied::Unknown);
        }
        self.old(chain, now).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
#[path = "roles_tests.rs"]
mod tests;
