//! Few keys, of few secrets, many of which were taken back or are there already.

use pithead::domain::ids::Hotkey;
use pithead::store::*;

use super::super::make::at;
use super::{Command, World};

/// All keys, who is shut out, and what idempotency keys stand for, as text.
pub(super) async fn reads(store: &dyn Store) -> String {
    let mut keys = store.keys().await.unwrap();
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    let quarantine = store.quarantine().await.unwrap();
    let mut known = Vec::new();
    for key in 0..9 {
        for owner in ["alice", "bob"] {
            known.push(store.idempotent(owner, &key.to_string()).await.unwrap());
        }
    }
    format!("{keys:?} {quarantine:?} {known:?}")
}

impl World {
    fn by(&mut self) -> By {
        let netuid = if self.dice.one_in(4) { 49 } else { 5 };
        By { netuid, actor: "cli".to_owned(), now: self.now(), nonce: self.nonce() }
    }

    fn limit(&mut self) -> Option<u32> {
        self.dice.one_in(2).then(|| u32::from(self.dice.small(3)))
    }

    /// Few hotkeys and little room, so that they meet, are over, and find no place.
    fn quarantine(&mut self) -> Command {
        let hotkey = Hotkey::parse(&format!("hk{}", self.dice.small(4))).unwrap();
        let by = self.by();
        if self.dice.one_in(3) {
            return Command::LiftQuarantine(LiftQuarantine { hotkey, by });
        }
        let until = self.dice.one_in(2).then(|| by.now.plus(20_000));
        let reason = format!("reason{}", self.dice.small(2));
        Command::PutQuarantine(PutQuarantine { hotkey, reason, until, most: 3, by })
    }

    pub(super) fn keys(&mut self) -> Command {
        if self.dice.one_in(3) {
            return self.quarantine();
        }
        let id = self.dice.small(9).to_string();
        let hash = [u8::try_from(self.dice.small(3)).unwrap(); 32];
        let by = self.by();
        if let Some(nonce) = self.nonce().filter(|_| self.dice.one_in(2)) {
            return Command::Nonce(nonce);
        }
        match self.dice.below(8) {
            0..3 => {
                let limits = KeyLimits { in_flight: self.limit(), ..KeyLimits::default() };
                let expires_at = self.dice.one_in(2).then(|| at(90));
                let key = KeyRow { limits, expires_at, ..KeyRow::new(&id, hash, by.now) };
                Command::PutKey(PutKey { key, by })
            }
            3..5 => {
                let name = self.dice.one_in(2).then(|| format!("n{}", self.dice.small(2)));
                let expires_at = self.dice.one_in(3).then(|| self.dice.one_in(2).then(|| at(80)));
                let tasks_per_day = self.dice.one_in(2).then(|| self.limit());
                let change = ChangeKey::none(id, by);
                Command::ChangeKey(ChangeKey { name, expires_at, tasks_per_day, ..change })
            }
            5..7 => {
                let old_until = by.now.plus(i64::from(self.dice.small(2)) * 20_000);
                Command::RotateKey(RotateKey { id, secret_hash: hash, old_until, by })
            }
            _ => Command::RevokeKey(RevokeKey { id, by }),
        }
    }
}
