//! Registrations: who has a uid.

use pithead::domain::lease::LossReason;
use pithead::domain::task::SlotState;
use pithead::store::*;

use super::make::*;
use super::on_every_store;

on_every_store!(
    a_new_uid_opens_a_registration,
    the_same_miner_again_changes_nothing,
    capacity_and_coldkey_are_brought_up_to_date,
    less_capacity_than_leases_is_no_error,
    another_hotkey_closes_the_old_registration,
    a_replaced_miner_loses_its_leases,
    another_block_is_another_registration,
    an_unknown_block_is_the_same_registration,
    an_old_one_returns_with_its_record,
    an_old_one_returns_with_its_coldkey,
    uids_do_not_disturb_each_other,
    a_block_that_was_not_known_is_filled_in,
    an_earlier_block_corrects_a_later_one,
    another_hotkey_at_the_same_block_is_the_same_miner_renamed,
    a_renamed_miner_keeps_its_leases_and_its_record,
    whoever_comes_back_under_its_old_identity_goes_on_there,
    a_registration_without_a_successor_closes_and_loses_its_leases,
    what_changes_hands_stands_in_the_audit_log,
);

async fn a_new_uid_opens_a_registration(store: &dyn Store) {
    let command = Register { coldkey: Some(hotkey("cold")), ..register(0, 5) };
    let registered = store.register(command).await.unwrap();
    assert_eq!((registered.closed.len(), registered.lost.len()), (0, 0));
    let row = registered.row;
    assert_eq!((row.id, row.uid.0, row.capacity, row.live), (registration_id(0), 0, 5, 0));
    assert_eq!((row.hotkey.as_str(), row.coldkey.clone()), ("miner0", Some(hotkey("cold"))));
    assert_eq!((row.opened_at, row.closed_at), (at(0), None));
    assert_eq!(store.registration(row.id).await.unwrap(), Some(row));
    assert_eq!(store.registration(registration_id(1)).await.unwrap(), None);
}

async fn the_same_miner_again_changes_nothing(store: &dyn Store) {
    let first = store.register(register(1, 5)).await.unwrap();
    let again = Register { id: registration_id(9), now: at(7), ..register(1, 5) };
    assert_eq!(store.register(again).await.unwrap(), first);
    assert_eq!(store.registration(registration_id(9)).await.unwrap(), None);
}

async fn capacity_and_coldkey_are_brought_up_to_date(store: &dyn Store) {
    store.register(register(1, 5)).await.unwrap();
    let more = Register { capacity: 8, coldkey: Some(hotkey("cold")), ..register(1, 5) };
    let row = store.register(more).await.unwrap().row;
    assert_eq!((row.capacity, row.coldkey), (8, Some(hotkey("cold"))));
    let row = store.register(register(1, 3)).await.unwrap().row;
    assert_eq!((row.capacity, row.coldkey), (3, Some(hotkey("cold"))), "not known is not gone");
}

async fn less_capacity_than_leases_is_no_error(store: &dyn Store) {
    store.register(register(1, 2)).await.unwrap();
    store.enqueue(enqueue(task(1, 3))).await.unwrap();
    store.assign(assign(1, [grant(0, 1, miner(1)), grant(1, 1, miner(1))])).await.unwrap();
    let row = store.register(register(1, 1)).await.unwrap().row;
    assert_eq!((row.capacity, row.live), (1, 2));
    let granted = store.assign(assign(1, [grant(2, 1, miner(1))])).await.unwrap();
    assert_eq!(granted, [Granted::NoRoom]);
}

/// Somebody else at the uid of miner `n`.
fn successor(n: u128, id: u128, name: &str) -> Register {
    Register { id: registration_id(id), hotkey: hotkey(name), now: at(60), ..register(n, 5) }
}

async fn another_hotkey_closes_the_old_registration(store: &dyn Store) {
    store.register(register(1, 5)).await.unwrap();
    let registered = store.register(successor(1, 100, "new")).await.unwrap();
    assert_eq!(registered.closed, [registration_id(1)]);
    assert_eq!((registered.row.id, registered.row.opened_at), (registration_id(100), at(60)));
    let old = store.registration(registration_id(1)).await.unwrap().unwrap();
    assert_eq!(old.closed_at, Some(at(60)));
    // The first at its uid.
    store.register(register(2, 5)).await.unwrap();
    let loaded = store.load(at(0)).await.unwrap();
    assert_eq!(loaded.replaced, [registration_id(100)].into());
    assert!(loaded.registrations.contains(&registered.row));
}

async fn a_replaced_miner_loses_its_leases(store: &dyn Store) {
    store.register(register(1, 5)).await.unwrap();
    for n in [2, 1] {
        leased(store, n, 2).await;
    }
    let registered = store.register(successor(1, 100, "new")).await.unwrap();
    let lost: Vec<_> =
        registered.lost.iter().map(|l| (l.token, l.holder, l.reason, l.retry_at)).collect();
    let expected = [1, 2].map(|n| (token(n, 0, 1), miner(1), LossReason::Retired, Some(at(60))));
    assert_eq!(lost, expected);
    let old = store.registration(registration_id(1)).await.unwrap().unwrap();
    assert_eq!((old.live, old.record.lost), (0, 0), "to be replaced is no fault");
    let found = record(store, 1).await;
    assert_eq!((found.slots[0].state, found.slots[0].failures), (SlotState::Queued, 0));
    assert_eq!(found.slots[1].state, SlotState::Running, "others keep theirs");
    let late = store.respond(respond(token(1, 0, 1), miner(1), "a", at(61))).await.unwrap();
    assert_eq!(late, Responded::Lost);
}

async fn another_block_is_another_registration(store: &dyn Store) {
    store.register(Register { registered_block: 10, ..register(1, 5) }).await.unwrap();
    let again = Register { registered_block: 20, ..successor(1, 100, "miner1") };
    let registered = store.register(again).await.unwrap();
    assert_eq!(registered.closed, [registration_id(1)]);
    assert_eq!(registered.row.id, registration_id(100));
}

async fn an_unknown_block_is_the_same_registration(store: &dyn Store) {
    store.register(Register { registered_block: 10, ..register(1, 5) }).await.unwrap();
    let registered = store.register(successor(1, 100, "miner1")).await.unwrap();
    assert_eq!((registered.row.id, registered.row.registered_block), (registration_id(1), 10));
    assert_eq!(registered.closed, []);
}

async fn an_old_one_returns_with_its_record(store: &dyn Store) {
    done(store, 1, 1).await;
    store.register(successor(1, 100, "new")).await.unwrap();
    let back = Register { capacity: 2, ..successor(1, 101, "miner1") };
    let registered = store.register(back).await.unwrap();
    assert_eq!(registered.closed, [registration_id(100)]);
    let row = registered.row;
    assert_eq!((row.id, row.record.answered, row.capacity), (registration_id(1), 1, 2));
    assert_eq!((row.opened_at, row.closed_at), (at(60), None));
    store.enqueue(enqueue(task(2, 1))).await.unwrap();
    let granted = store.assign(assign(2, [grant(0, 1, miner(1))])).await.unwrap();
    assert_eq!(granted, [Granted::Yes]);
}

async fn an_old_one_returns_with_its_coldkey(store: &dyn Store) {
    store.register(Register { coldkey: Some(hotkey("cold")), ..register(1, 5) }).await.unwrap();
    store.register(successor(1, 100, "new")).await.unwrap();
    let row = store.register(successor(1, 101, "miner1")).await.unwrap().row;
    assert_eq!((row.id, row.coldkey), (registration_id(1), Some(hotkey("cold"))));
}

async fn uids_do_not_disturb_each_other(store: &dyn Store) {
    store.register(register(2, 5)).await.unwrap();
    store.register(register(1, 5)).await.unwrap();
    let same_hotkey =
        Register { id: registration_id(3), hotkey: hotkey("miner1"), ..register(3, 1) };
    assert_eq!(store.register(same_hotkey).await.unwrap().closed, []);
    let open = store.load(at(0)).await.unwrap().registrations;
    let uids: Vec<_> = open.iter().map(|row| row.uid.0).collect();
    assert_eq!(uids, [1, 2, 3]);
}

/// Miner 1 as the chain knows it.
fn on_chain(name: &str, block: i64) -> Register {
    Register { registered_block: block, ..successor(1, 100, name) }
}

async fn a_block_that_was_not_known_is_filled_in(store: &dyn Store) {
    done(store, 1, 1).await;
    let known = Register { coldkey: Some(hotkey("cold")), ..on_chain("miner1", 10) };
    let registered = store.register(known).await.unwrap();
    assert_eq!((registered.closed, registered.lost.len()), (vec![], 0));
    let row = registered.row;
    assert_eq!((row.id, row.registered_block, row.record.answered), (registration_id(1), 10, 1));
    assert_eq!((row.opened_at, row.coldkey.clone()), (at(0), Some(hotkey("cold"))));
    assert_eq!(store.registration(row.id).await.unwrap(), Some(row));
}

async fn an_earlier_block_corrects_a_later_one(store: &dyn Store) {
    store.register(Register { registered_block: 20, ..register(1, 5) }).await.unwrap();
    let registered = store.register(on_chain("miner1", 10)).await.unwrap();
    assert_eq!(registered.closed, []);
    assert_eq!((registered.row.id, registered.row.registered_block), (registration_id(1), 10));
}

async fn another_hotkey_at_the_same_block_is_the_same_miner_renamed(store: &dyn Store) {
    store.register(Register { registered_block: 10, ..register(1, 5) }).await.unwrap();
    let registered = store.register(on_chain("new", 10)).await.unwrap();
    assert_eq!(registered.closed, []);
    let row = registered.row;
    assert_eq!((row.id, row.hotkey.as_str()), (registration_id(1), "new"));
    assert_eq!(store.registration(row.id).await.unwrap(), Some(row));
    let stranger = store.register(on_chain("other", 11)).await.unwrap();
    assert_eq!(stranger.closed, [registration_id(1)]);
}

async fn a_renamed_miner_keeps_its_leases_and_its_record(store: &dyn Store) {
    store.register(Register { registered_block: 10, ..register(1, 5) }).await.unwrap();
    leased(store, 1, 1).await;
    let renamed = store.register(on_chain("new", 10)).await.unwrap();
    assert_eq!((renamed.lost.len(), renamed.row.live), (0, 1));
    let late = store.respond(respond(token(1, 0, 1), miner(1), "a", at(61))).await.unwrap();
    assert!(matches!(late, Responded::Accepted { .. }), "{late:?}");
}

async fn whoever_comes_back_under_its_old_identity_goes_on_there(store: &dyn Store) {
    store.register(Register { registered_block: 10, ..register(1, 5) }).await.unwrap();
    store.register(on_chain("new", 0)).await.unwrap();
    let again = Register { id: registration_id(101), ..on_chain("miner1", 0) };
    assert_eq!(store.register(again).await.unwrap().row.id, registration_id(101));
    let known = Register { id: registration_id(102), ..on_chain("miner1", 10) };
    let registered = store.register(known).await.unwrap();
    assert_eq!(registered.closed, [registration_id(101)]);
    assert_eq!((registered.row.id, registered.row.closed_at), (registration_id(1), None));
}

async fn a_registration_without_a_successor_closes_and_loses_its_leases(store: &dyn Store) {
    leased(store, 1, 1).await;
    let end = Deregister { id: registration_id(1), policy: policy(), now: at(60) };
    let lost = store.deregister(end).await.unwrap().unwrap();
    let lost: Vec<_> = lost.iter().map(|l| (l.token, l.holder, l.reason)).collect();
    assert_eq!(lost, [(token(1, 0, 1), miner(1), LossReason::Retired)]);
    let row = store.registration(registration_id(1)).await.unwrap().unwrap();
    assert_eq!((row.closed_at, row.live, row.record.lost), (Some(at(60)), 0, 0));
    assert_eq!(store.deregister(end).await.unwrap(), None, "closed already");
    let nobody = Deregister { id: registration_id(9), ..end };
    assert_eq!(store.deregister(nobody).await.unwrap(), None);
}

async fn what_changes_hands_stands_in_the_audit_log(store: &dyn Store) {
    store.register(Register { registered_block: 10, ..register(1, 5) }).await.unwrap();
    store.register(on_chain("miner1", 10)).await.unwrap();
    store.register(on_chain("new", 10)).await.unwrap();
    store.register(on_chain("other", 11)).await.unwrap();
    let end = Deregister { id: registration_id(100), policy: policy(), now: at(61) };
    for _ in 0..2 {
        store.deregister(end).await.unwrap();
    }
    let page = AuditPage { netuid: 49, action: "registration.".into(), before: None, limit: 9 };
    let entries = store.audit(page).await.unwrap();
    let told: Vec<_> =
        entries.iter().map(|e| (e.fact.action(), e.fact.subject().to_owned(), e.at)).collect();
    let (one, two) = (registration_id(1).to_string(), registration_id(100).to_string());
    let expected = [
        ("registration.closed", two, at(61)),
        ("registration.replaced", one.clone(), at(60)),
        ("registration.renamed", one, at(60)),
    ];
    assert_eq!(told, expected);
    assert_eq!(entries[1].fact.detail()["by"]["hotkey"], "other");
    assert_eq!(entries[2].fact.detail()["from"], "miner1");
}
