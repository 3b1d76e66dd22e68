use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::units::MINUTE;

const KIND: KindIndex = KindIndex(0);

fn id(n: u128) -> TaskId {
    TaskId(Uuid::from_u128(n))
}

fn ticket(n: u128, owner: &str, priority: Priority, since: i64) -> Ticket<'_> {
    Ticket { id: id(n), kind: KIND, priority, owner, since: Millis(since), slots: 1 }
}

fn normal(n: u128, owner: &str) -> Ticket<'_> {
    ticket(n, owner, Priority::Normal, 0)
}

#[test]
fn urgent_goes_before_normal_and_old_before_new_and_nothing_starves() {
    let mut queue = ReadyQueue::default();
    for (n, priority, at) in [
        (1, Priority::Normal, 1),
        (2, Priority::Normal, 0),
        (3, Priority::Urgent, 2),
        (4, Priority::Low, 0),
        (5, Priority::Urgent, 3 * 60 * MINUTE),
    ] {
        let owner = format!("client {n}");
        queue.put(&ticket(n, &owner, priority, at));
    }
    assert_eq!(queue.peek(10), [id(3), id(2), id(1), id(4), id(5)]);
}

#[test]
fn of_one_client_the_oldest_goes_first() {
    let mut queue = ReadyQueue::default();
    for n in [3, 1, 2] {
        queue.put(&ticket(n, "a", Priority::Normal, n as i64));
    }
    assert_eq!(queue.peek(3), [id(1), id(2), id(3)]);
}

#[test]
fn a_client_with_one_task_does_not_wait_for_one_with_a_thousand() {
    let mut queue = ReadyQueue::default();
    for n in 0..1_000 {
        queue.put(&normal(n, "many"));
    }
    // Some of them were served before the other came.
    for n in 0..5 {
        queue.begin(&normal(n, "many"), 1, Millis(10));
    }
    queue.put(&ticket(5_000, "one", Priority::Normal, 20));
    let place = queue.peek(10).iter().position(|found| *found == id(5_000)).unwrap();
    assert!(place <= 1, "it is at place {place}");
    assert_eq!(queue.ahead(KIND, Priority::Normal, "third"), 2);
    assert_eq!(queue.ahead(KIND, Priority::Normal, "many"), 996);
}

#[test]
fn more_slots_cost_a_client_more_turns() {
    let mut queue = ReadyQueue::default();
    for n in 0..100 {
        queue.put(&Ticket { slots: 4, ..normal(n, "wide") });
        queue.put(&normal(1_000 + n, "narrow"));
    }
    let mut slots = BTreeMap::new();
    for _ in 0..50 {
        let next = queue.peek(1)[0];
        let wide = next.0.as_u128() < 1_000;
        let (owner, width) = if wide { ("wide", 4) } else { ("narrow", 1) };
        let n = next.0.as_u128();
        queue.begin(&Ticket { slots: width, ..normal(n, owner) }, 1, Millis(0));
        *slots.entry(owner).or_insert(0) += width;
    }
    assert_eq!(slots["wide"], slots["narrow"]);
}

#[test]
fn who_always_has_one_task_waiting_earns_no_more_than_who_has_many() {
    let mut queue = ReadyQueue::default();
    (0..100).for_each(|n| queue.put(&normal(n, "many")));
    let mut given = BTreeMap::new();
    for round in 0..60_u128 {
        let single = normal(1_000 + round, "single");
        queue.put(&single);
        // Two turns between its submissions: it must not have the first of them each time.
        for _ in 0..2 {
            let next = queue.peek(1)[0];
            let owner = if next.0.as_u128() < 1_000 { "many" } else { "single" };
            queue.begin(&normal(next.0.as_u128(), owner), 1, Millis(1));
            *given.entry(owner).or_insert(0_i32) += 1;
        }
    }
    assert!((given["many"] - given["single"]).abs() <= 2, "{given:?}");
}

#[test]
fn what_was_begun_is_looked_at_within_bounds_and_turns_reach_all() {
    let mut queue = ReadyQueue::default();
    for n in 0..1_000 {
        queue.put_begun(&ticket(n, "a", Priority::Normal, n as i64));
    }
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        let mut look = queue.look();
        let turn: Vec<_> = std::iter::from_fn(|| look.next(&queue)).collect();
        assert!(turn.len() <= BEGUN_LOOKS);
        assert_eq!(turn[0].1, id(0), "the head is looked at in every turn");
        seen.extend(turn);
    }
    assert_eq!(seen.len(), 1_000);
}

#[test]
fn a_blocked_kind_is_passed_over() {
    let mut queue = ReadyQueue::default();
    queue.put(&normal(1, "a"));
    queue.put(&Ticket { kind: KindIndex(1), ..ticket(2, "a", Priority::Normal, 5) });
    queue.put_begun(&normal(3, "a"));
    let mut look = queue.look();
    assert!(look.next(&queue).is_some_and(|(kind, _)| kind == KIND));
    look.block(KIND);
    assert_eq!(look.next(&queue), Some((KindIndex(1), id(2))));
    assert_eq!(look.next(&queue), None);
}

#[test]
fn delayed_tasks_come_due_in_order() {
    let mut queue = ReadyQueue::default();
    queue.delay(Millis(30), id(3));
    queue.delay(Millis(10), id(1));
    assert_eq!(queue.next_due(), Some(Millis(10)));
    assert_eq!(queue.due(Millis(9)), []);
    assert_eq!(queue.due(Millis(30)), [id(1), id(3)]);
    assert_eq!(queue.next_due(), None);
}

/// Backlogged clients with weights; tasks are begun one after the other, and replaced.
fn shares(weights: &[u32], widths: &[u16], begun: usize) -> Vec<u64> {
    let mut queue = ReadyQueue::default();
    let names: Vec<String> = (0..weights.len()).map(|n| format!("client {n}")).collect();
    let width = |n: u128| widths[n as usize % widths.len()];
    let mut next = 0_u128;
    let mut whose = BTreeMap::new();
    let mut add = |queue: &mut ReadyQueue, client: usize, whose: &mut BTreeMap<TaskId, usize>| {
        next += 1;
        queue.put(&Ticket { slots: width(next), ..normal(next, &names[client]) });
        whose.insert(id(next), client);
    };
    for client in 0..weights.len() {
        (0..3).for_each(|_| add(&mut queue, client, &mut whose));
    }
    let mut given = vec![0; weights.len()];
    for _ in 0..begun {
        let first = queue.peek(1)[0];
        let client = whose[&first];
        let slots = width(first.0.as_u128());
        let ticket = Ticket { slots, ..normal(first.0.as_u128(), &names[client]) };
        queue.begin(&ticket, weights[client], Millis(0));
        given[client] += u64::from(slots);
        add(&mut queue, client, &mut whose);
    }
    given
}

proptest! {
    // Start-time fair queueing: what two waiting clients were given, over their weights, differs by
    // no more than one task of each.
    #[test]
    fn waiting_clients_share_by_weight(
        weights in proptest::collection::vec(1_u32..8, 2..5),
        widths in proptest::collection::vec(1_u16..17, 1..4),
        begun in 1_usize..200,
    ) {
        let given = shares(&weights, &widths, begun);
        let widest = f64::from(*widths.iter().max().unwrap());
        for (a, wa) in given.iter().zip(&weights) {
            for (b, wb) in given.iter().zip(&weights) {
                let (wa, wb) = (f64::from(*wa), f64::from(*wb));
                let apart = (*a as f64 / wa - *b as f64 / wb).abs();
                prop_assert!(apart <= widest / wa + widest / wb + 0.001, "{given:?} for {weights:?}");
            }
        }
    }

    // However urgent the others are, a task is begun before one that became its client's first more
    // than the head start later.
    #[test]
    fn nothing_starves(priority in 0_usize..4, others in proptest::collection::vec(0_usize..4, 1..6)) {
        let mut queue = ReadyQueue::default();
        let low = Priority::ALL[priority];
        queue.put(&ticket(0, "patient", low, 0));
        let mut begun_at = None;
        for step in 1..400_i64 {
            let now = Millis(step * MINUTE / 4);
            for (n, other) in others.iter().enumerate() {
                let owner = format!("flood {n}");
                let number = step as u128 * 100 + n as u128 + 1;
                queue.put(&ticket(number, &owner, Priority::ALL[*other], now.0));
            }
            let first = queue.peek(1)[0];
            if first == id(0) {
                begun_at = Some(now);
                break;
            }
            let (step, n) = (first.0.as_u128() / 100, (first.0.as_u128() % 100 - 1) as usize);
            let owner = format!("flood {n}");
            let since = i64::try_from(step).unwrap() * MINUTE / 4;
            let taken = ticket(first.0.as_u128(), &owner, Priority::ALL[others[n]], since);
            queue.begin(&taken, 1, now);
        }
        let latest = Priority::Urgent.head_start_millis() - low.head_start_millis();
        // Each flooding client may be before it once more, a quarter of a minute each.
        let turns = (others.len() as i64 + 2) * MINUTE / 4;
        prop_assert!(begun_at.is_some_and(|at| at.0 <= latest + turns), "{begun_at:?}");
    }
}
