//! A chain in memory: who is registered, vectors that are sealed until they are opened, and epochs
//! that turn what is open into incentives.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) const NETUID: u16 = 49;
/// Blocks between two epochs, less one.
pub(crate) const TEMPO: i64 = 360;

/// Pairs of uid and weight.
pub(crate) type Vector = Vec<(u16, u16)>;

struct Neuron {
    hotkey: String,
    stake: f64,
    permit: bool,
    registered: i64,
    last_update: i64,
    incentive: f64,
}

struct Sealed {
    validator: u16,
    block: i64,
    vector: Vector,
}

/// See the module's docs.
pub(crate) struct Chain {
    pub(crate) block: i64,
    pub(crate) last_step: i64,
    neurons: BTreeMap<u16, Neuron>,
    sealed: Vec<Sealed>,
    open: BTreeMap<u16, Vector>,
}

/// A vector that the epoch opened.
pub(crate) struct Opened {
    pub(crate) validator: u16,
    /// The block at which it was sealed.
    pub(crate) sealed_at: i64,
}

impl Chain {
    pub(crate) fn new(block: i64) -> Self {
        let (neurons, sealed, open) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { block, last_step: block - 1, neurons, sealed, open }
    }

    /// Gives a uid to somebody, from this block on.
    pub(crate) fn register(&mut self, uid: u16, hotkey: &str, stake: f64) {
        let (hotkey, registered, permit) = (hotkey.to_owned(), self.block, stake > 0.0);
        let neuron = Neuron { hotkey, stake, permit, registered, last_update: 0, incentive: 0.0 };
        self.neurons.insert(uid, neuron);
    }

    /// The same owner under a new hotkey: the block of the registration stays.
    pub(crate) fn swap_hotkey(&mut self, uid: u16, hotkey: &str) {
        if let Some(neuron) = self.neurons.get_mut(&uid) {
            hotkey.clone_into(&mut neuron.hotkey);
        }
    }

    /// Takes a sealed vector; it is opened by the epoch after the next one.
    pub(crate) fn commit(&mut self, validator: u16, vector: Vector) {
        self.sealed.push(Sealed { validator, block: self.block, vector });
    }

    /// One epoch: opens what was sealed before the last one, and pays each miner what the majority of
    /// the stake agrees on, the stake-weighted median of its shares.
    pub(crate) fn epoch(&mut self) -> Vec<Opened> {
        let before = self.last_step;
        let (due, sealed) =
            std::mem::take(&mut self.sealed).into_iter().partition(|one| one.block <= before);
        self.sealed = sealed;
        let mut opened = Vec::new();
        for Sealed { validator, block, vector } in due {
            opened.push(Opened { validator, sealed_at: block });
            self.open.insert(validator, vector);
            if let Some(neuron) = self.neurons.get_mut(&validator) {
                neuron.last_update = self.block;
            }
        }
        let shares: BTreeMap<u16, f64> =
            self.neurons.keys().map(|uid| (*uid, self.agreed_share(*uid))).collect();
        let sum: f64 = shares.values().sum();
        for (uid, neuron) in &mut self.neurons {
            let share = shares.get(uid).copied().unwrap_or(0.0);
            neuron.incentive = if sum > 0.0 { share / sum } else { 0.0 };
        }
        self.last_step = self.block;
        opened
    }

    fn agreed_share(&self, uid: u16) -> f64 {
        let mut said: Vec<(f64, f64)> = Vec::new();
        for (validator, neuron) in self.neurons.iter().filter(|(_, neuron)| neuron.permit) {
            let vector = self.open.get(validator).map_or(&[][..], Vec::as_slice);
            let sum: f64 = vector.iter().map(|(_, weight)| f64::from(*weight)).sum();
            let own = vector.iter().find(|(of, _)| *of == uid);
            said.push((own.map_or(0.0, |(_, weight)| f64::from(*weight) / sum), neuron.stake));
        }
        said.sort_by(|a, b| a.0.total_cmp(&b.0));
        let half = said.iter().map(|(_, stake)| stake).sum::<f64>() / 2.0;
        let mut heard = 0.0;
        for (share, stake) in said {
            heard += stake;
            if heard >= half {
                return share;
            }
        }
        0.0
    }

    /// As the SDK's `metagraph` shows it.
    pub(crate) fn snapshot(&self) -> Value {
        let row = |(uid, neuron): (&u16, &Neuron)| {
            json!({
                "uid": uid, "hotkey": neuron.hotkey, "stake": neuron.stake,
                "validator_permit": neuron.permit, "last_update": neuron.last_update,
                "block_at_registration": neuron.registered, "incentive": neuron.incentive,
            })
        };
        json!({
            "netuid": NETUID, "block": self.block, "tempo": TEMPO, "last_step": self.last_step,
            "neurons": self.neurons.iter().map(row).collect::<Vec<_>>(),
        })
    }
}
