//! One look at the metagraph, at one block.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::domain::ids::{Hotkey, MinerUid};
use crate::domain::limits::{BLOCK_MAX, NEURONS_MAX};
use crate::domain::units::Stake;

/// The metagraph of one subnet at one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which subnet.
    pub netuid: u16,
    /// Seen at this block.
    pub block: i64,
    /// Blocks between two of its epochs, less one.
    pub tempo: u16,
    /// The block of its last epoch.
    pub last_step: i64,
    /// Fewest weights that a vector may have, where told.
    pub min_allowed_weights: Option<u16>,
    /// Largest share of one weight, in 1/65535, where told.
    pub max_weight_limit: Option<u16>,
    /// Who is registered.
    pub neurons: BTreeMap<MinerUid, Neuron>,
}

/// One uid of a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neuron {
    /// Who answers there.
    pub hotkey: Hotkey,
    /// Who owns it, where told.
    pub coldkey: Option<Hotkey>,
    /// All of its stake.
    pub stake: Stake,
    /// Whether it may set weights.
    pub validator_permit: bool,
    /// Whether it set weights lately.
    pub active: bool,
    /// When it last set weights, a block.
    pub last_update: i64,
    /// Registered at this block.
    pub block_at_registration: i64,
    /// Share of the miners' reward, in 1/65535.
    pub incentive: u16,
    /// Cap of its weight by the stake's majority, in 1/65535.
    pub consensus: u16,
    /// Share of the validators' reward, in 1/65535.
    pub dividends: u16,
    /// Rao per epoch.
    pub emission: i64,
}

/// What is wrong with a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {reason}")]
pub struct BadSnapshot {
    /// The field, with its place.
    pub field: String,
    /// Completes "the field ..".
    pub reason: String,
}

impl Snapshot {
    /// Reads what a validator sent: `{netuid, block, tempo, last_step?, min_allowed_weights?,
    /// max_weight_limit?, neurons: [{uid, hotkey, coldkey?, stake, validator_permit, active?,
    /// last_update, block_at_registration, incentive, consensus?, dividends?, emission?, ..}]}`.
    /// Stake and emission are whole tokens; what else is there is passed over.
    ///
    /// # Errors
    /// [`BadSnapshot`] for the first field that cannot be used.
    pub fn parse(value: &Value) -> Result<Self, BadSnapshot> {
        let whole = Object::of(String::new(), value)?;
        let netuid = whole.u16("netuid")?;
        let block = whole.block("block")?;
        let tempo = whole.u16("tempo")?;
        let last_step = whole.told("last_step", Object::block)?;
        let last_step = last_step.unwrap_or_else(|| last_epoch(netuid, block, tempo));
        if last_step > block {
            return Err(bad("last_step", "must not be after `block`"));
        }
        let list = whole.get("neurons").and_then(Value::as_array);
        let list = list.ok_or_else(|| bad("neurons", "must be a list of objects"))?;
        if list.is_empty() {
            return Err(bad("neurons", "is empty: a subnet without anyone is not believed"));
        }
        if list.len() > NEURONS_MAX {
            return Err(bad("neurons", &format!("has more than {NEURONS_MAX} entries")));
        }
        let (mut neurons, mut hotkeys) = (BTreeMap::new(), BTreeSet::new());
        for (index, value) in list.iter().enumerate() {
            let row = Object::of(format!("neurons[{index}]"), value)?;
            let uid = MinerUid(row.u16("uid")?);
            let neuron = row.neuron(block)?;
            if !hotkeys.insert(neuron.hotkey.clone()) {
                return Err(row.bad("hotkey", "appears twice"));
            }
            if neurons.insert(uid, neuron).is_some() {
                return Err(row.bad("uid", "appears twice"));
            }
        }
        Ok(Self {
            netuid,
            block,
            tempo,
            last_step,
            min_allowed_weights: whole.told("min_allowed_weights", Object::u16)?,
            max_weight_limit: whole.told("max_weight_limit", Object::u16)?,
            neurons,
        })
    }

    /// The form that [`Self::parse`] reads, with whole rao beside tokens: what is read of it is this
    /// snapshot again, to the last figure.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let share = |share: u16| f64::from(share) / f64::from(u16::MAX);
        let row = |(uid, neuron): (&MinerUid, &Neuron)| {
            json!({
                "uid": uid,
                "hotkey": neuron.hotkey,
                "coldkey": neuron.coldkey,
                "stake": neuron.stake.tokens(),
                "stake_rao": neuron.stake.rao(),
                "validator_permit": neuron.validator_permit,
                "active": neuron.active,
                "last_update": neuron.last_update,
                "block_at_registration": neuron.block_at_registration,
                "incentive": share(neuron.incentive),
                "consensus": share(neuron.consensus),
                "dividends": share(neuron.dividends),
                "emission": Stake::from_rao(neuron.emission).tokens(),
                "emission_rao": neuron.emission,
            })
        };
        json!({
            "netuid": self.netuid,
            "block": self.block,
            "tempo": self.tempo,
            "last_step": self.last_step,
            "min_allowed_weights": self.min_allowed_weights,
            "max_weight_limit": self.max_weight_limit,
            "neurons": self.neurons.iter().map(row).collect::<Vec<_>>(),
        })
    }

    /// SHA-256 of everything in it, in a form of our own: two validators that saw the same chain at
    /// the same block have the same one, however they wrote it down.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let limits = [self.min_allowed_weights, self.max_weight_limit];
        for number in [self.netuid.into(), self.block, self.tempo.into(), self.last_step]
            .into_iter()
            .chain(limits.map(|limit| limit.map_or(-1, i64::from)))
        {
            hash.update(number.to_be_bytes());
        }
        for (uid, neuron) in &self.neurons {
            let coldkey = neuron.coldkey.as_ref().map_or("", Hotkey::as_str);
            for text in [neuron.hotkey.as_str(), coldkey] {
                hash.update([u8::try_from(text.len()).unwrap_or(u8::MAX)]);
                hash.update(text);
            }
            for number in [
                uid.0.into(),
                neuron.stake.rao(),
                neuron.validator_permit.into(),
                neuron.active.into(),
                neuron.last_update,
                neuron.block_at_registration,
                neuron.incentive.into(),
                neuron.consensus.into(),
                neuron.dividends.into(),
                neuron.emission,
            ] {
                hash.update(number.to_be_bytes());
            }
        }
        hash.finalize().into()
    }

    /// The place of each miner by incentive, from 1; equals share the best one. Who has none has no
    /// place.
    #[must_use]
    pub fn ranks(&self) -> BTreeMap<MinerUid, u32> {
        let paid = self.neurons.iter().filter(|(_, neuron)| neuron.incentive > 0);
        let mut order: Vec<_> = paid.map(|(uid, neuron)| (neuron.incentive, *uid)).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        let mut ranks = BTreeMap::new();
        let (mut rank, mut before) = (0, None);
        for (place, (incentive, uid)) in (1..).zip(order) {
            if before != Some(incentive) {
                (rank, before) = (place, Some(incentive));
            }
            ranks.insert(uid, rank);
        }
        ranks
    }
}

/// The last block at or before this one at which the subnet had an epoch: one where
/// `(block + netuid + 1) mod (tempo + 1) = tempo`, as the chain has it. A subnet of tempo 0 has none.
const fn last_epoch(netuid: u16, block: i64, tempo: u16) -> i64 {
    let since = (block + netuid as i64 + 2) % (tempo as i64 + 1);
    if tempo == 0 || since > block { 0 } else { block - since }
}

fn bad(field: &str, reason: &str) -> BadSnapshot {
    BadSnapshot { field: field.to_owned(), reason: reason.to_owned() }
}

/// An object and where it stands.
struct Object<'a> {
    place: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    fn of(place: String, value: &'a Value) -> Result<Self, BadSnapshot> {
        let name = if place.is_empty() { "body" } else { &place };
        let fields = value.as_object().ok_or_else(|| bad(name, "must be an object"))?;
        Ok(Self { place, fields })
    }

    fn bad(&self, field: &str, reason: &str) -> BadSnapshot {
        match self.place.is_empty() {
            true => bad(field, reason),
            false => bad(&format!("{}.{field}", self.place), reason),
        }
    }

    fn get(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    fn need(&self, field: &str) -> Result<&'a Value, BadSnapshot> {
        self.get(field).ok_or_else(|| self.bad(field, "is missing"))
    }

    /// A field that need not be there.
    fn told<T>(
        &self,
        field: &str,
        read: impl FnOnce(&Self, &str) -> Result<T, BadSnapshot>,
    ) -> Result<Option<T>, BadSnapshot> {
        self.get(field).map(|_| read(self, field)).transpose()
    }

    fn u16(&self, field: &str) -> Result<u16, BadSnapshot> {
        let number = self.need(field)?.as_u64().and_then(|number| u16::try_from(number).ok());
        number.ok_or_else(|| self.bad(field, "must be a whole number, 0 to 65535"))
    }

    fn block(&self, field: &str) -> Result<i64, BadSnapshot> {
        let number = self.need(field)?.as_i64();
        let number = number.filter(|number| (0..=BLOCK_MAX).contains(number));
        number.ok_or_else(|| self.bad(field, "must be the number of a block"))
    }

    fn flag(&self, field: &str) -> Result<bool, BadSnapshot> {
        let flag = self.need(field)?.as_bool();
        flag.ok_or_else(|| self.bad(field, "must be true or false"))
    }

    /// A share as the chain has it, told as a number from 0 to 1.
    fn share(&self, field: &str) -> Result<u16, BadSnapshot> {
        let share = self.need(field)?.as_f64().filter(|share| (0.0..=1.0).contains(share));
        let share = share.ok_or_else(|| self.bad(field, "must be a number, 0 to 1"))?;
        Ok((share * f64::from(u16::MAX)).round() as u16)
    }

    /// Whole rao in `<field>_rao`, or tokens in the field itself: a float does not hold every number
    /// of rao.
    fn tokens(&self, field: &str) -> Result<Stake, BadSnapshot> {
        let exact = format!("{field}_rao");
        if let Some(rao) = self.get(&exact) {
            let rao = rao.as_i64().filter(|rao| *rao >= 0).map(Stake::from_rao);
            return rao.ok_or_else(|| self.bad(&exact, "must be a whole number of rao"));
        }
        let tokens = self.need(field)?.as_f64().and_then(Stake::from_tokens);
        tokens.ok_or_else(|| self.bad(field, "must be a number of tokens, 0 to 9.2e9"))
    }

    fn key(&self, field: &str) -> Result<Hotkey, BadSnapshot> {
        let key = self.need(field)?.as_str().and_then(|text| Hotkey::parse(text).ok());
        key.ok_or_else(|| self.bad(field, "must be an ss58 address"))
    }

    fn neuron(&self, block: i64) -> Result<Neuron, BadSnapshot> {
        let neuron = Neuron {
            hotkey: self.key("hotkey")?,
            coldkey: self.told("coldkey", Self::key)?,
            stake: self.tokens("stake")?,
            validator_permit: self.flag("validator_permit")?,
            active: self.told("active", Self::flag)?.unwrap_or(true),
            last_update: self.block("last_update")?,
            block_at_registration: self.block("block_at_registration")?,
            incentive: self.share("incentive")?,
            consensus: self.told("consensus", Self::share)?.unwrap_or(0),
            dividends: self.told("dividends", Self::share)?.unwrap_or(0),
            emission: match self.get("emission").or_else(|| self.get("emission_rao")) {
                Some(_) => self.tokens("emission")?.rao(),
                None => 0,
            },
        };
        for (field, at) in [
            ("last_update", neuron.last_update),
            ("block_at_registration", neuron.block_at_registration),
        ] {
            if at > block {
                return Err(self.bad(field, "must not be after `block`"));
            }
        }
        Ok(neuron)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::chain::make::{body, neuron};

    fn refused(change: impl FnOnce(&mut Value)) -> String {
        let mut body = body(1_000, &[neuron(0), neuron(1)]);
        change(&mut body);
        Snapshot::parse(&body).unwrap_err().to_string()
    }

    #[test]
    fn a_snapshot_is_read_whatever_else_it_says() {
        let mut sent = body(1_000, &[neuron(7), neuron(3)]);
        sent["neurons"][0]["axon"] = "10.0.0.1:8091".into();
        sent["price"] = json!({ "unknown": true });
        let snapshot = Snapshot::parse(&sent).unwrap();
        assert_eq!((snapshot.netuid, snapshot.block, snapshot.tempo), (5, 1_000, 360));
        let uids: Vec<u16> = snapshot.neurons.keys().map(|uid| uid.0).collect();
        assert_eq!(uids, [3, 7]);
        let seven = &snapshot.neurons[&MinerUid(7)];
        assert_eq!(seven.stake, Stake::from_tokens(107.0).unwrap());
        assert_eq!((seven.incentive, seven.last_update), (6_554, 900));
    }

    #[test]
    fn shares_of_the_chain_come_back_as_they_were() {
        for share in [0, 1, 2, 32_767, 32_768, 65_534, 65_535] {
            let mut sent = body(1_000, &[neuron(0)]);
            sent["neurons"][0]["incentive"] = (f64::from(share) / 65_535.0).into();
            let got = Snapshot::parse(&sent).unwrap().neurons[&MinerUid(0)].incentive;
            assert_eq!(got, share);
        }
    }

    #[test]
    fn what_is_written_down_is_read_again_to_the_last_figure() {
        let mut sent = body(1_000, &[neuron(0), neuron(1)]);
        sent["neurons"][0]["stake_rao"] = 9_007_199_254_740_993_i64.into();
        sent["neurons"][1]["emission_rao"] = 9_007_199_254_740_995_i64.into();
        sent["neurons"][1]["coldkey"] = Value::Null;
        sent["min_allowed_weights"] = 8.into();
        let snapshot = Snapshot::parse(&sent).unwrap();
        assert_eq!(snapshot.neurons[&MinerUid(0)].stake.rao(), 9_007_199_254_740_993);
        assert_eq!(snapshot.neurons[&MinerUid(1)].emission, 9_007_199_254_740_995);
        let text = snapshot.to_json().to_string();
        let again = Snapshot::parse(&serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!((again.digest(), &again), (snapshot.digest(), &snapshot));
    }

    #[test]
    fn the_last_epoch_is_counted_as_the_chain_counts() {
        for (netuid, block, tempo, expected) in [
            (5, 1_000, 360, 715),
            (5, 715, 360, 715),
            (5, 714, 360, 354),
            (5, 3, 360, 0),
            (0, 99, 100, 99),
            (1, 99, 100, 98),
            (0, 7, 0, 0),
        ] {
            assert_eq!(last_epoch(netuid, block, tempo), expected, "{netuid} {block} {tempo}");
        }
        let mut sent = body(1_000, &[neuron(0)]);
        sent["last_step"] = 640.into();
        assert_eq!(Snapshot::parse(&sent).unwrap().last_step, 640);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let said = refused(|body| body["neurons"] = json!([]));
        assert!(said.starts_with("`neurons` is empty"), "{said}");
        let said = refused(|body| body["neurons"][1]["uid"] = 0.into());
        assert_eq!(said, "`neurons[1].uid` appears twice");
        let said = refused(|body| body["neurons"][1]["hotkey"] = "hot0".into());
        assert_eq!(said, "`neurons[1].hotkey` appears twice");
        for (field, value) in [
            ("uid", json!(65_536)),
            ("uid", json!(1.5)),
            ("hotkey", json!("no key!")),
            ("stake", json!(-1)),
            ("stake", json!("many")),
            ("validator_permit", json!(1)),
            ("incentive", json!(1.01)),
            ("incentive", json!(null)),
            ("last_update", json!(1_001)),
            ("block_at_registration", json!(-1)),
            ("block_at_registration", json!(1_001)),
        ] {
            let said = refused(|body| body["neurons"][1][field] = value.clone());
            assert!(said.starts_with(&format!("`neurons[1].{field}` ")), "{value}: {said}");
        }
        for (field, value) in [
            ("netuid", json!(-1)),
            ("block", json!(null)),
            ("tempo", json!("360")),
            ("last_step", json!(1_001)),
            ("max_weight_limit", json!(65_536)),
        ] {
            let said = refused(|body| body[field] = value.clone());
            assert!(said.starts_with(&format!("`{field}` ")), "{value}: {said}");
        }
        assert!(Snapshot::parse(&json!([])).unwrap_err().to_string().starts_with("`body`"));
        let many: Vec<Value> = vec![json!({}); NEURONS_MAX + 1];
        let said = refused(|body| body["neurons"] = many.into());
        assert!(said.starts_with("`neurons` has more than"), "{said}");
    }

    #[test]
    fn the_same_chain_has_the_same_digest_and_another_one_another() {
        let digest = |body: &Value| Snapshot::parse(body).unwrap().digest();
        let one = body(1_000, &[neuron(0), neuron(1)]);
        let mut other_order = body(1_000, &[neuron(1), neuron(0)]);
        other_order["neurons"][0]["axon"] = "1.2.3.4:5".into();
        assert_eq!(digest(&one), digest(&other_order));
        for (field, value) in [
            ("uid", json!(9)),
            ("hotkey", json!("else")),
            ("coldkey", json!("else")),
            ("stake", json!(1)),
            ("validator_permit", json!(true)),
            ("active", json!(false)),
            ("last_update", json!(1)),
            ("block_at_registration", json!(1)),
            ("incentive", json!(0.5)),
            ("consensus", json!(0.5)),
            ("dividends", json!(0.5)),
            ("emission", json!(3)),
        ] {
            let mut changed = one.clone();
            changed["neurons"][1][field] = value;
            assert_ne!(digest(&one), digest(&changed), "{field}");
        }
        for field in ["netuid", "block", "tempo", "last_step", "min_allowed_weights"] {
            let mut changed = one.clone();
            changed[field] = 998.into();
            assert_ne!(digest(&one), digest(&changed), "{field}");
        }
    }

    #[test]
    fn equal_incentives_share_the_best_place() {
        let mut sent = body(1_000, &[neuron(0), neuron(1), neuron(2), neuron(3), neuron(4)]);
        for (place, incentive) in [0.1, 0.4, 0.4, 0.0, 0.1].into_iter().enumerate() {
            sent["neurons"][place]["incentive"] = incentive.into();
        }
        let ranks = Snapshot::parse(&sent).unwrap().ranks();
        let ranks: Vec<_> = ranks.into_iter().map(|(uid, rank)| (uid.0, rank)).collect();
        assert_eq!(ranks, [(0, 3), (1, 1), (2, 1), (4, 3)]);
    }
}
