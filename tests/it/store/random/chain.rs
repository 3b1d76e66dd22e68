//! Weights that two validators set at a few blocks: the same ones, others, and words out of order.

use pithead::domain::chain::Mode;
use pithead::domain::ids::MinerUid;
use pithead::store::*;

use super::World;
use crate::store::make::hotkey;

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
            now: self.now(),
            nonce: self.nonce(),
        }
    }
}
