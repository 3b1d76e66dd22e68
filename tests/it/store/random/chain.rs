//! Weights that two validators set at a few blocks: the same ones, others, and words out of order.

use std::sync::Arc;

use pithead::domain::chain::{Mode, Snapshot};
use pithead::domain::ids::MinerUid;
use pithead::store::*;
use serde_json::json;

use super::{World, told};
use crate::store::make::{at, hotkey};

/// What is known of the chain, as text.
pub(super) async fn reads(store: &dyn Store) -> Vec<String> {
    let mut text = vec![told(store.metagraph(5).await)];
    for secs in [0, 20, 60, 1_000] {
        text.push(told(store.metagraph_before(5, at(secs)).await));
        text.push(told(store.submissions_before(5, at(secs)).await));
    }
    for (validator, before) in [(None, None), (Some(hotkey("one")), Some((4, hotkey("one"))))] {
        let page = SubmissionPage { netuid: 5, validator, before, limit: 4 };
        text.push(told(store.submissions(page).await));
    }
    text
}

impl World {
    pub(super) fn submission(&mut self) -> PutSubmission {
        let (validator, block) = (self.dice.small(2), i64::from(self.dice.small(6)));
        let modes = [Mode::Plain, Mode::CommitReveal];
        let mode = self.dice.one_in(2).then(|| self.dice.pick(&modes)).flatten();
        let other = self.dice.one_in(6);
        let vector = (0..3).map(|uid| (MinerUid(uid), 10 + uid + u16::from(other))).collect();
        let state = match self.dice.below(5) {
            0 => Told::Calculated,
            1 | 2 => Told::Sent,
            3 => Told::Revealed(i64::from(self.dice.small(9))),
            _ => Told::Failed("SettingWeightsTooFast".to_owned()),
        };
        PutSubmission {
            netuid: 5,
            validator: hotkey(["one", "two"][usize::from(validator)]),
            validator_uid: validator,
            block,
            mode,
            version_key: self.dice.one_in(2).then_some(7),
            weights: (!self.dice.one_in(3)).then_some(vector),
            run: None,
            state,
            open_max: [100, 100, 2, 0][self.dice.below(4) as usize],
            now: self.now(),
            nonce: self.nonce(),
        }
    }

    /// What the chain says of the two: sometimes that it forgot what they set.
    pub(super) fn adopt(&mut self) -> Adopt {
        let block = 3 + i64::from(self.dice.small(12));
        let neuron = |(uid, name, last_update): (u16, &str, i64)| {
            json!({
                "uid": uid, "hotkey": name, "stake": 1, "validator_permit": true,
                "last_update": last_update, "block_at_registration": 0, "incentive": 0.5,
            })
        };
        let seen = [("one", self.dice.small(4)), ("two", self.dice.small(4))];
        let seen = (0..).zip(seen).map(|(uid, (name, at))| (uid, name, i64::from(at)));
        let neurons: Vec<_> = seen.map(neuron).collect();
        let body = json!({
            "netuid": 5, "block": block, "tempo": 2, "last_step": block - 1, "neurons": neurons,
        });
        let snapshot = Arc::new(Snapshot::parse(&body).unwrap());
        let senders = vec![hotkey("one")];
        let row = SnapshotRow { snapshot, adopted_at: self.now(), senders };
        Adopt { row, nonce: self.nonce() }
    }
}
