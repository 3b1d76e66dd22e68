//! What a snapshot changes in our registrations. A miner is its registration: whoever takes over its
//! uid later inherits nothing, and whoever only changes its hotkey stays who it was.

use std::collections::BTreeMap;

use super::snapshot::Snapshot;
use crate::domain::ids::{Hotkey, MinerUid, RegistrationId};

/// An open registration of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Key.
    pub registration: RegistrationId,
    /// Its uid.
    pub uid: MinerUid,
    /// Its hotkey.
    pub hotkey: Hotkey,
    /// Since which block; 0 when not known.
    pub registered_block: i64,
}

/// One change, at a uid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody of whom we did not know.
    Opened,
    /// As we knew, and now we know since when: registered at this block.
    Confirmed(i64),
    /// The same miner under this hotkey.
    Renamed(Hotkey),
    /// Another miner has the uid now: the old registration ends, and nothing that it earned counts
    /// for the new one.
    Replaced,
    /// Nobody has the uid any more: this registration ends.
    Gone(RegistrationId),
}

/// What to change, by uid. Applied, the open registrations are those of the snapshot,
/// and the same snapshot again changes nothing.
///
/// The hotkey differs and the block is the one we know: renamed. The hotkey differs and the block is
/// another one, or we never knew it: replaced, since an owner must not earn by a stranger's work. The
/// hotkey is the same and the block has risen: it was deregistered and came back, replaced too.
#[must_use]
pub fn changes(open: &[Known], snapshot: &Snapshot) -> BTreeMap<MinerUid, Change> {
    let known: BTreeMap<MinerUid, &Known> = open.iter().map(|known| (known.uid, known)).collect();
    let mut changes = BTreeMap::new();
    for (uid, neuron) in &snapshot.neurons {
        let (block, same_hotkey) = (
            neuron.block_at_registration,
            known.get(uid).is_some_and(|known| known.hotkey == neuron.hotkey),
        );
        let change = match known.get(uid) {
            None => Change::Opened,
            Some(known) if known.registered_block == block && same_hotkey => continue,
            Some(known)
                if same_hotkey
                    && (known.registered_block == 0 || block < known.registered_block) =>
            {
                Change::Confirmed(block)
            }
            Some(known) if known.registered_block == block && block > 0 => {
                Change::Renamed(neuron.hotkey.clone())
            }
            Some(_) => Change::Replaced,
        };
        changes.insert(*uid, change);
    }
    for known in known.values().filter(|known| !snapshot.neurons.contains_key(&known.uid)) {
        changes.insert(known.uid, Change::Gone(known.registration));
    }
    changes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::domain::chain::make::{neuron, snapshot};

    fn id(n: u128) -> RegistrationId {
        RegistrationId(Uuid::from_u128(n))
    }

    fn known(uid: u16, hotkey: &str, block: i64) -> Known {
        let hotkey = Hotkey::parse(hotkey).unwrap();
        Known { registration: id(uid.into()), uid: MinerUid(uid), hotkey, registered_block: block }
    }

    /// A row of uid, hotkey and block.
    fn row(uid: u16, hotkey: &str, block: i64) -> Value {
        let mut row = neuron(uid);
        row["hotkey"] = hotkey.into();
        row["block_at_registration"] = block.into();
        row
    }

    #[test]
    fn each_case_is_told_apart() {
        let renamed = Change::Renamed(Hotkey::parse("b").unwrap());
        for (ours, theirs, expected) in [
            ((100, "a"), (100, "a"), None),
            ((0, "a"), (100, "a"), Some(Change::Confirmed(100))),
            ((120, "a"), (100, "a"), Some(Change::Confirmed(100))),
            ((100, "a"), (100, "b"), Some(renamed)),
            ((100, "a"), (101, "b"), Some(Change::Replaced)),
            ((0, "a"), (101, "b"), Some(Change::Replaced)),
            ((0, "a"), (0, "b"), Some(Change::Replaced)),
            ((100, "a"), (101, "a"), Some(Change::Replaced)),
            ((100, "a"), (99, "b"), Some(Change::Replaced)),
        ] {
            let open = [known(3, ours.1, ours.0)];
            let got = changes(&open, &snapshot(1_000, &[row(3, theirs.1, theirs.0)]));
            assert_eq!(got.get(&MinerUid(3)), expected.as_ref(), "{ours:?} {theirs:?}");
        }
        let got = changes(&[known(3, "a", 1)], &snapshot(1_000, &[row(4, "a", 1)]));
        let expected = [(MinerUid(3), Change::Gone(id(3))), (MinerUid(4), Change::Opened)];
        assert_eq!(got, expected.into());
    }

    /// Our registrations after the changes.
    fn applied(open: &[Known], snapshot: &Snapshot) -> Vec<Known> {
        let mut after: BTreeMap<MinerUid, Known> =
            open.iter().map(|known| (known.uid, known.clone())).collect();
        let fresh = |uid: MinerUid| {
            let neuron = &snapshot.neurons[&uid];
            Known {
                registration: id(1_000 + u128::from(uid.0)),
                uid,
                hotkey: neuron.hotkey.clone(),
                registered_block: neuron.block_at_registration,
            }
        };
        for (uid, change) in changes(open, snapshot) {
            match change {
                Change::Opened | Change::Replaced => drop(after.insert(uid, fresh(uid))),
                Change::Confirmed(block) => {
                    after.get_mut(&uid).unwrap().registered_block = block;
                }
                Change::Renamed(hotkey) => after.get_mut(&uid).unwrap().hotkey = hotkey,
                Change::Gone(registration) => {
                    assert_eq!(after.remove(&uid).unwrap().registration, registration);
                }
            }
        }
        after.into_values().collect()
    }

    proptest! {
        #[test]
        fn after_the_changes_we_know_what_the_chain_says_and_the_same_again_is_nothing(
            ours in proptest::collection::btree_map(0_u16..8, ("[ab]", 0_i64..3), 0..8),
            theirs in proptest::collection::btree_map(0_u16..8, 0_i64..3, 1..8),
            renamed in proptest::collection::btree_set(0_u16..8, 0..4),
        ) {
            let open: Vec<_> = ours
                .iter()
                .map(|(uid, (name, block))| known(*uid, &format!("{name}{uid}"), *block))
                .collect();
            let rows: Vec<_> = theirs
                .iter()
                .map(|(uid, block)| {
                    let name = if renamed.contains(uid) { "b" } else { "a" };
                    row(*uid, &format!("{name}{uid}"), *block)
                })
                .collect();
            let snapshot = snapshot(1_000, &rows);
            let after = applied(&open, &snapshot);
            let ours: Vec<_> = after
                .iter()
                .map(|known| (known.uid, known.hotkey.clone(), known.registered_block))
                .collect();
            let theirs: Vec<_> = snapshot
                .neurons
                .iter()
                .map(|(uid, n)| (*uid, n.hotkey.clone(), n.block_at_registration))
                .collect();
            prop_assert_eq!(ours, theirs);
            prop_assert_eq!(changes(&after, &snapshot), BTreeMap::new());
            let mut backwards = open.clone();
            backwards.reverse();
            prop_assert_eq!(changes(&backwards, &snapshot), changes(&open, &snapshot));
            // Nobody keeps a registration that was somebody else's.
            for known in &after {
                let before = open.iter().find(|before| before.registration == known.registration);
                if let Some(before) = before {
                    let same_block = before.registered_block == known.registered_block;
                    prop_assert!(before.hotkey == known.hotkey || same_block);
                }
            }
        }
    }
}
