//! Endpoints, callbacks, and what is written for them when something happens.

use pithead::domain::lease::LossReason;
use pithead::domain::units::Millis;
use pithead::domain::webhook::{EventType, lane_of_webhook};
use pithead::store::*;

use super::make::*;
use super::on_every_store;

on_every_store!(
    a_task_on_its_way_is_told_step_by_step,
    every_end_is_told_to_endpoint_and_callback,
    a_retired_miner_that_ends_a_task_is_told,
    an_answer_that_ends_a_task_tells_of_both,
    nobody_hears_of_what_he_does_not_want_or_own,
    one_without_endpoints_writes_nothing,
    an_owner_has_so_many_endpoints_and_no_more,
    a_secret_is_rotated_once_and_the_last_one_stays,
    the_first_callback_secret_stands,
    a_delivery_is_tried_until_it_is_taken_and_noted_once,
    one_that_is_gone_is_told_nothing_more,
    a_delivery_is_begun_anew,
    a_deleted_endpoint_goes_with_its_deliveries,
    what_is_left_to_do_is_not_forgotten,
    lanes_with_something_left_are_found_in_pages,
    deliveries_are_listed_in_pages_newest_first,
);

async fn put(store: &dyn Store, n: u128, events: &str) {
    let mut command = webhook(n);
    command.webhook.events = events.to_owned();
    assert_eq!(store.put_webhook(command).await.unwrap(), WebhookPut::Done);
}

/// Everything that was written for an endpoint, oldest first.
async fn told(store: &dyn Store, n: u128) -> Vec<DeliveryRow> {
    let page = DeliveryPage { webhook: webhook_id(n), before: None, limit: 100 };
    let mut rows = store.deliveries(page).await.unwrap();
    rows.reverse();
    rows
}

/// What they tell: event, status, answers, moment; those of one moment by event.
fn summary(rows: &[DeliveryRow]) -> Vec<(EventType, &'static str, u16, Millis)> {
    let one = |row: &DeliveryRow| (row.event, row.status.as_str(), row.responses, row.created_at);
    let mut all: Vec<_> = rows.iter().map(one).collect();
    all.sort_unstable_by_key(|row| (row.3, row.0));
    all
}

async fn a_task_on_its_way_is_told_step_by_step(store: &dyn Store) {
    put(store, 1, "").await;
    done(store, 1, 2).await;
    store.evaluate(evaluate(1, 1, &[(0, 80), (1, 60)])).await.unwrap();
    store.evaluate(evaluate(1, 2, &[(0, 80), (1, 60)])).await.unwrap();
    let rows = told(store, 1).await;
    let expected = [
        (EventType::FirstResponse, "processing", 1, at(10)),
        (EventType::Done, "done", 2, at(20)),
        (EventType::Approved, "approved", 2, at(200)),
    ];
    assert_eq!(summary(&rows), expected);
    for row in &rows {
        assert_eq!((row.owner.as_str(), row.task), ("alice", task_id(1)));
        assert_eq!((row.attempts, row.next_at), (0, Some(row.created_at)));
        assert_eq!((row.webhook, &row.url), (Some(webhook_id(1)), &None));
    }
}

/// A task with a callback, leased; one miner.
async fn calling(store: &dyn Store, n: u128) {
    let callback_url = Some(format!("https://receiver.example/{n}"));
    store.enqueue(enqueue(NewTask { callback_url, ..task(n, 1) })).await.unwrap();
    lease(store, n, 1).await;
}

async fn every_end_is_told_to_endpoint_and_callback(store: &dyn Store) {
    put(store, 1, "").await;
    for n in 1..=4 {
        calling(store, n).await;
    }
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(5))).await.unwrap();
    store.release(release(token(2, 0, 1), miner(1), LossReason::Impossible)).await.unwrap();
    store.cancel(cancel(3)).await.unwrap();
    store.cancel(cancel(3)).await.unwrap();
    store.sweep(sweep(at(3_600))).await.unwrap();
    let lanes = store.lanes("", 10).await.unwrap();
    let names: Vec<_> = lanes.iter().map(|lane| lane.lane.clone()).collect();
    let callbacks = "callback:receiver.example:443".to_owned();
    assert_eq!(names, [callbacks.clone(), lane_of_webhook(webhook_id(1))]);
    let rows = store.due(&callbacks, at(9_999), 10).await.unwrap();
    let ends = [
        (EventType::Done, "done", 1, at(5)),
        (EventType::Failed, "failed", 0, at(10)),
        (EventType::Cancelled, "cancelled", 0, at(50)),
        (EventType::Expired, "expired", 0, at(3_600)),
    ];
    assert_eq!(summary(&rows), ends);
    assert_eq!(rows[0].url.as_deref(), Some("https://receiver.example/1"));
    assert_eq!(rows[0].webhook, None);
    let mut all = ends.to_vec();
    all.insert(0, (EventType::FirstResponse, "done", 1, at(5)));
    assert_eq!(summary(&told(store, 1).await), all);
}

async fn a_retired_miner_that_ends_a_task_is_told(store: &dyn Store) {
    put(store, 1, "").await;
    leased(store, 1, 1).await;
    let policy = pithead::domain::lease::LeasePolicy { attempts_max: 0, ..policy() };
    let successor = Register {
        id: registration_id(9),
        hotkey: hotkey("other"),
        policy,
        now: at(7),
        ..register(1, 2)
    };
    store.register(successor).await.unwrap();
    assert_eq!(summary(&told(store, 1).await), [(EventType::Failed, "failed", 0, at(7))]);
}

async fn an_answer_that_ends_a_task_tells_of_both(store: &dyn Store) {
    put(store, 1, "").await;
    store.enqueue(enqueue(NewTask { enough: 1, ..task(1, 3) })).await.unwrap();
    lease(store, 1, 3).await;
    store.respond(respond(token(1, 1, 1), miner(2), "a", at(5))).await.unwrap();
    let expected =
        [(EventType::FirstResponse, "done", 1, at(5)), (EventType::Done, "done", 1, at(5))];
    assert_eq!(summary(&told(store, 1).await), expected);
}

async fn nobody_hears_of_what_he_does_not_want_or_own(store: &dyn Store) {
    put(store, 1, "task.approved task.failed").await;
    put(store, 2, "task.done").await;
    let mut bobs = webhook(3);
    bobs.webhook.owner = "bob".to_owned();
    store.put_webhook(bobs).await.unwrap();
    let mut disabled = webhook(4);
    (disabled.webhook.disabled_at, disabled.webhook.disabled_reason) = (Some(at(0)), None);
    store.put_webhook(disabled).await.unwrap();
    done(store, 1, 1).await;
    assert_eq!(told(store, 1).await, []);
    assert_eq!(summary(&told(store, 2).await), [(EventType::Done, "done", 1, at(10))]);
    assert_eq!(told(store, 3).await, []);
    assert_eq!(told(store, 4).await, []);
}

async fn one_without_endpoints_writes_nothing(store: &dyn Store) {
    done(store, 1, 2).await;
    store.evaluate(evaluate(1, 1, &[(0, 80), (1, 60)])).await.unwrap();
    assert_eq!(store.lanes("", 10).await.unwrap(), []);
    assert_eq!(store.deliveries_written(), 0);
    put(store, 1, "").await;
    done(store, 2, 1).await;
    assert_eq!(store.deliveries_written(), 2);
}

async fn an_owner_has_so_many_endpoints_and_no_more(store: &dyn Store) {
    for n in 1..=3 {
        put(store, n, "").await;
    }
    assert_eq!(store.put_webhook(webhook(4)).await.unwrap(), WebhookPut::Full);
    assert_eq!(store.put_webhook(webhook(3)).await.unwrap(), WebhookPut::Done, "there already");
    let mut bobs = webhook(5);
    bobs.webhook.owner = "bob".to_owned();
    assert_eq!(store.put_webhook(bobs).await.unwrap(), WebhookPut::Done);
    let count = async |owner: Option<&str>| {
        store.webhooks(owner.map(str::to_owned), 10).await.unwrap().len()
    };
    assert_eq!(
        (count(Some("alice")).await, count(Some("bob")).await, count(None).await),
        (3, 1, 4)
    );
    assert!(store.delete_webhook(webhook_id(1)).await.unwrap());
    assert!(!store.delete_webhook(webhook_id(1)).await.unwrap());
    assert_eq!(store.put_webhook(webhook(4)).await.unwrap(), WebhookPut::Done);
    let signed = PutWebhook { nonce: nonce(1), ..webhook(9) };
    store.put_webhook(signed.clone()).await.unwrap();
    assert!(matches!(store.put_webhook(signed).await, Err(StoreError::Replayed)));
}

async fn a_secret_is_rotated_once_and_the_last_one_stays(store: &dyn Store) {
    put(store, 1, "").await;
    let rotate = |secret: &str, until| RotateWebhook {
        id: webhook_id(1),
        secret: secret.to_owned(),
        old_until: at(until),
    };
    assert!(store.rotate_webhook(rotate("whsec_b", 10)).await.unwrap());
    // The same command again, by a caller that did not hear the answer.
    assert!(store.rotate_webhook(rotate("whsec_b", 20)).await.unwrap());
    let row = store.webhook(webhook_id(1)).await.unwrap().unwrap();
    assert_eq!((row.secret.as_str(), row.old_secret.as_deref()), ("whsec_b", Some("whsec_1")));
    assert_eq!(row.old_until, Some(at(10)));
    let none = RotateWebhook { id: webhook_id(2), ..rotate("whsec_c", 30) };
    assert!(!store.rotate_webhook(none).await.unwrap());
    assert_eq!(store.webhook(webhook_id(2)).await.unwrap(), None);
}

async fn the_first_callback_secret_stands(store: &dyn Store) {
    let row = |secret: &str| CallbackSecretRow {
        owner: "alice".to_owned(),
        secret: secret.to_owned(),
        created_at: at(1),
    };
    assert_eq!(store.callback_secret("alice").await.unwrap(), None);
    assert_eq!(store.know_callback_secret(row("a")).await.unwrap(), "a");
    assert_eq!(store.know_callback_secret(row("b")).await.unwrap(), "a");
    assert_eq!(store.callback_secret("alice").await.unwrap().as_deref(), Some("a"));
}

/// The one delivery that is left to do for endpoint 1.
async fn only(store: &dyn Store) -> DeliveryRow {
    put(store, 1, "task.done").await;
    done(store, 1, 1).await;
    let mut rows = told(store, 1).await;
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

async fn note(store: &dyn Store, row: &DeliveryRow, attempts: u32, after: AfterTry) -> bool {
    let command = NoteDelivery { id: row.id, attempts, tried: tried(500, at(30)), after };
    store.note_delivery(command).await.unwrap()
}

async fn a_delivery_is_tried_until_it_is_taken_and_noted_once(store: &dyn Store) {
    let row = only(store).await;
    let lane = row.lane.clone();
    assert_eq!(store.due(&lane, at(9), 5).await.unwrap(), [], "not due yet");
    assert_eq!(store.due(&lane, at(10), 5).await.unwrap(), std::slice::from_ref(&row));
    assert!(note(store, &row, 0, AfterTry::Again(at(60))).await);
    assert!(!note(store, &row, 0, AfterTry::Delivered).await, "that try was noted");
    let found = store.delivery(row.id).await.unwrap().unwrap();
    assert_eq!((found.attempts, found.next_at), (1, Some(at(60))));
    assert_eq!(found.tried, Some(tried(500, at(30))));
    assert_eq!(store.due(&lane, at(59), 5).await.unwrap(), []);
    assert!(note(store, &row, 1, AfterTry::Delivered).await);
    let found = store.delivery(row.id).await.unwrap().unwrap();
    assert_eq!((found.attempts, found.next_at, found.given_up_at), (2, None, None));
    assert_eq!(found.delivered_at, Some(at(30)));
    assert!(!note(store, &row, 2, AfterTry::GivenUp).await, "nothing is left to do");
    assert_eq!(store.lanes("", 5).await.unwrap(), []);
}

async fn one_that_is_gone_is_told_nothing_more(store: &dyn Store) {
    let row = only(store).await;
    done(store, 2, 1).await;
    put(store, 2, "task.done").await;
    done(store, 3, 1).await;
    assert!(note(store, &row, 0, AfterTry::Disable("gone".to_owned())).await);
    let found = store.webhook(webhook_id(1)).await.unwrap().unwrap();
    assert_eq!((found.disabled_at, found.disabled_reason.as_deref()), (Some(at(30)), Some("gone")));
    for row in told(store, 1).await {
        assert_eq!((row.next_at, row.given_up_at), (None, Some(at(30))), "{row:?}");
    }
    assert_eq!(told(store, 1).await.len(), 3);
    done(store, 4, 1).await;
    assert_eq!(told(store, 1).await.len(), 3, "nor is anything new written");
    let other = told(store, 2).await;
    assert_eq!(other.len(), 2);
    assert!(other.iter().all(|row| row.next_at.is_some()), "others are still told");
}

async fn a_delivery_is_begun_anew(store: &dyn Store) {
    let row = only(store).await;
    assert!(note(store, &row, 0, AfterTry::GivenUp).await);
    let written = store.deliveries_written();
    assert!(store.redeliver(row.id, at(77)).await.unwrap());
    assert_eq!(store.deliveries_written(), written + 1, "there is something to look for");
    let found = store.delivery(row.id).await.unwrap().unwrap();
    assert_eq!((found.attempts, found.next_at, found.given_up_at), (0, Some(at(77)), None));
    let none = pithead::domain::ids::DeliveryId(uuid::Uuid::nil());
    assert!(!store.redeliver(none, at(77)).await.unwrap());
}

async fn a_deleted_endpoint_goes_with_its_deliveries(store: &dyn Store) {
    let row = only(store).await;
    assert!(store.delete_webhook(webhook_id(1)).await.unwrap());
    assert_eq!(store.delivery(row.id).await.unwrap(), None);
    assert!(!note(store, &row, 0, AfterTry::Delivered).await);
}

async fn what_is_left_to_do_is_not_forgotten(store: &dyn Store) {
    let row = only(store).await;
    let before = Prune { deliveries: at(11), ..FORGET_NOTHING };
    assert_eq!(store.prune(before).await.unwrap(), 0);
    assert!(note(store, &row, 0, AfterTry::Delivered).await);
    // As old, and still to be done when the other one goes.
    done(store, 2, 1).await;
    let early = Prune { deliveries: at(10), ..before };
    assert_eq!(store.prune(early).await.unwrap(), 0);
    assert_eq!(store.prune(before).await.unwrap(), 1);
    assert_eq!(store.delivery(row.id).await.unwrap(), None);
    let left = told(store, 1).await;
    assert_eq!(left.iter().map(|row| row.task).collect::<Vec<_>>(), [task_id(2)]);
}

async fn lanes_with_something_left_are_found_in_pages(store: &dyn Store) {
    for n in 1..=3 {
        put(store, n, "task.done").await;
    }
    done(store, 1, 1).await;
    done(store, 2, 1).await;
    let names = |lanes: Vec<Lane>| lanes.into_iter().map(|lane| lane.lane).collect::<Vec<_>>();
    let all = names(store.lanes("", 10).await.unwrap());
    assert_eq!(all, [1, 2, 3].map(|n| lane_of_webhook(webhook_id(n))));
    assert_eq!(names(store.lanes("", 2).await.unwrap()), all[..2]);
    assert_eq!(names(store.lanes(&all[1], 2).await.unwrap()), all[2..]);
    assert_eq!(store.due(&all[0], at(99), 1).await.unwrap().len(), 1);
    assert_eq!(store.due(&all[0], at(99), 9).await.unwrap().len(), 2);
}

async fn deliveries_are_listed_in_pages_newest_first(store: &dyn Store) {
    put(store, 1, "task.cancelled").await;
    for n in 0..5 {
        store.enqueue(enqueue(task(n, 1))).await.unwrap();
        let now = at(i64::try_from(n).unwrap());
        store.cancel(Cancel { now, ..cancel(n) }).await.unwrap();
    }
    let page = async |before| {
        let page = DeliveryPage { webhook: webhook_id(1), before, limit: 2 };
        store.deliveries(page).await.unwrap()
    };
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let rows = page(before).await;
        let Some(last) = rows.last() else { break };
        before = Some(last.id);
        seen.extend(rows.iter().map(|row| row.created_at));
    }
    assert_eq!(seen, [4, 3, 2, 1, 0].map(at));
}
