//! Credit: what stands beside an incentive, whose it is, and that nothing sealed ever gets any.

use proptest::prelude::*;
use uuid::Uuid;

use super::super::make::{neuron, snapshot};
use super::super::submission::{Event, Mode, Settled};
use super::*;

type Row = (Submission, Vec<(MinerUid, u16)>, Millis);

fn key(name: &str) -> Hotkey {
    Hotkey::parse(name).unwrap()
}

fn weights(of: &[(u16, u16)]) -> Vec<(MinerUid, u16)> {
    of.iter().map(|(uid, weight)| (MinerUid(*uid), *weight)).collect()
}

/// A vector that came so far.
fn row(validator: &str, block: i64, mode: Mode, events: &[Event], of: &[(u16, u16)]) -> Row {
    let mut submission = Submission::new(key(validator), block, mode);
    for event in events {
        submission.take(event.clone()).unwrap();
    }
    (submission, weights(of), Millis(block))
}

fn sealed(validator: &str, block: i64, of: &[(u16, u16)]) -> Row {
    row(validator, block, Mode::CommitReveal, &[Event::Sent(block)], of)
}

fn settled(validator: &str, block: i64, epoch: i64, of: &[(u16, u16)]) -> Row {
    let settled = Settled { consensus_block: epoch, delay_blocks: epoch - block };
    row(validator, block, Mode::Plain, &[Event::Sent(block), Event::Settled(settled)], of)
}

/// The miner of this uid, as [`neuron`] has it.
fn miner(uid: u16) -> Weighed {
    Weighed {
        registration: RegistrationId(Uuid::from_u128(uid.into())),
        uid: MinerUid(uid),
        hotkey: key(&format!("hot{uid}")),
        registered_block: 0,
        closed_at: None,
    }
}

fn figures(rows: &[Row], snapshot: Option<&Snapshot>, miner: &Weighed) -> ChainFigures {
    let vectors: Vec<_> = rows
        .iter()
        .map(|(of, weights, heard_at)| Vector { of, weights, heard_at: *heard_at })
        .collect();
    let mut figures = credit(&vectors, snapshot, std::slice::from_ref(miner));
    figures.remove(&miner.registration).unwrap_or_default()
}

/// After the epoch of block 1076, at which miners 1 and 2 got a tenth each.
fn look() -> Snapshot {
    Snapshot { last_step: 1_076, ..snapshot(1_100, &[neuron(1), neuron(2)]) }
}

const TENTH: f64 = 6_554.0 / 65_535.0;

#[test]
fn an_incentive_stands_alone_or_beside_a_counted_vector_and_never_beside_a_sealed_one() {
    let look = look();
    let alone = figures(&[], Some(&look), &miner(1));
    assert_eq!((alone.incentive, alone.consensus_rank), (Some(TENTH), Some(1)));
    assert_eq!((alone.consensus_block, alone.submitted_weight), (Some(1_076), None));
    let shut = figures(&[sealed("v", 800, &[(1, 3), (2, 1)])], Some(&look), &miner(1));
    assert_eq!((shut.submitted_weight, shut.weight_submission_block), (Some(0.75), Some(800)));
    assert_eq!((shut.incentive, shut.consensus_rank, shut.consensus_block), (None, None, None));
    let other = figures(&[sealed("v", 800, &[(2, 1)])], Some(&look), &miner(1));
    assert_eq!((other.incentive, other.submitted_weight), (Some(TENTH), None));
    // The older one that counts speaks for its validator still; the list tells of both.
    let both = [settled("v", 500, 715, &[(1, 1), (2, 1)]), sealed("v", 800, &[(1, 3), (2, 1)])];
    let both = figures(&both, Some(&look), &miner(1));
    assert_eq!((both.submitted_weight, both.incentive), (Some(0.5), Some(TENTH)));
    let states: Vec<_> = both.submissions.iter().map(|set| (set.block, set.state)).collect();
    assert_eq!(states, [(800, State::Committed), (500, State::Settled)]);
    // Counted by a later epoch than the one that paid.
    let late = figures(&[settled("v", 800, 1_437, &[(1, 1)])], Some(&look), &miner(1));
    assert_eq!((late.submitted_weight, late.incentive), (Some(1.0), None));
    assert_eq!(figures(&[], None, &miner(1)), ChainFigures::default());
}

#[test]
fn the_newest_counted_vector_of_all_stands_else_the_newest_sent_one() {
    let rows = [
        settled("a", 500, 715, &[(1, 1)]),
        settled("b", 600, 715, &[(1, 1), (2, 1)]),
        settled("c", 600, 715, &[(1, 1), (2, 3)]),
        sealed("d", 900, &[(1, 1)]),
    ];
    let of = figures(&rows, None, &miner(1));
    assert_eq!((of.validator_hotkey, of.submitted_weight), (Some(key("b")), Some(0.5)));
    let order: Vec<_> = of.submissions.iter().map(|set| set.validator_hotkey.as_str()).collect();
    assert_eq!(order, ["d", "b", "c", "a"]);
    let of = figures(&[rows[3].clone(), sealed("e", 901, &[(1, 1)])], None, &miner(1));
    assert_eq!(of.validator_hotkey, Some(key("e")));
    // Whoever left the miner out since has taken its older weight back.
    let dropped = [rows[0].clone(), settled("a", 700, 715, &[(2, 1)])];
    assert_eq!(figures(&dropped, None, &miner(1)), ChainFigures::default());
    let failed = Event::Failed("CommittingWeightsTooFast".to_owned());
    let failed = row("a", 900, Mode::CommitReveal, &[Event::Sent(900), failed], &[(1, 1)]);
    let lost = row("b", 900, Mode::Plain, &[Event::Sent(900), Event::Reorged], &[(1, 1)]);
    let made = row("c", 900, Mode::Plain, &[], &[(1, 1)]);
    assert_eq!(figures(&[failed, lost, made], None, &miner(1)), ChainFigures::default());
}

#[test]
fn nothing_is_credited_to_who_had_the_uid_before_or_after() {
    let (rows, look) = ([settled("v", 500, 715, &[(1, 1)])], look());
    let stranger = Weighed { hotkey: key("stranger"), ..miner(1) };
    let of = figures(&rows, Some(&look), &stranger);
    assert_eq!((of.incentive, of.consensus_block), (None, None), "another hotkey is there");
    let back = Weighed { registered_block: 12, ..miner(1) };
    assert_eq!(figures(&rows, Some(&look), &back).incentive, None, "it left and came again");
    let same = Weighed { registered_block: 11, ..miner(1) };
    assert_eq!(figures(&rows, Some(&look), &same).incentive, Some(TENTH));
    let later = Weighed { registered_block: 501, ..miner(2) };
    let set = [settled("v", 500, 715, &[(2, 1)])];
    assert_eq!(figures(&set, None, &later), ChainFigures::default(), "set for its predecessor");
    let gone = |closed| Weighed { closed_at: Some(Millis(closed)), ..miner(2) };
    assert_eq!(figures(&set, None, &gone(500)), ChainFigures::default(), "set for its heir");
    assert_eq!(figures(&set, None, &gone(501)).submitted_weight, Some(1.0));
}

#[test]
fn a_list_has_an_end() {
    let rows: Vec<_> = (0..100).map(|n| sealed(&format!("v{n:02}"), 800 + n, &[(1, 1)])).collect();
    let of = figures(&rows, None, &miner(1));
    assert_eq!((of.submissions.len(), of.submissions[0].block), (SUBMISSIONS_TOLD_MAX, 899));
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..4_i64).prop_map(Event::Sent),
        3 => (0..6_i64).prop_map(Event::Revealed),
        3 => (0..8_i64).prop_map(|at| Event::Settled(Settled { consensus_block: at, delay_blocks: 1 })),
        1 => Just(Event::Reorged),
        1 => Just(Event::Failed("Why".to_owned())),
    ]
}

prop_compose! {
    fn history()(
        validator in 0..3_u8,
        block in 0..6_i64,
        sealed: bool,
        events in proptest::collection::vec(event(), 0..6),
        of in proptest::collection::btree_map(0..3_u16, 1..9_u16, 1..3),
    ) -> Row {
        let mode = if sealed { Mode::CommitReveal } else { Mode::Plain };
        let mut submission = Submission::new(key(&format!("v{validator}")), block, mode);
        for event in events {
            submission.take(event).ok();
        }
        let weights = of.into_iter().map(|(uid, weight)| (MinerUid(uid), weight)).collect();
        (submission, weights, Millis(block))
    }
}

#[test]
fn what_was_set_before_the_change_of_hands_was_heard_is_for_the_newcomer() {
    // Miner 1 of the snapshot is there since block 11; whoever was before it closed at moment 20.
    let before = Weighed {
        hotkey: key("other"),
        registered_block: 5,
        closed_at: Some(Millis(20)),
        ..miner(1)
    };
    let now = Weighed { registered_block: 11, ..miner(1) };
    let set = |miner: &Weighed, block: i64| {
        let row = settled("v", block, 1_076, &[(1, 9)]);
        figures(&[row], Some(&look()), miner).submitted_weight.is_some()
    };
    assert_eq!(
        [4, 5, 10, 11, 19].map(|block| set(&before, block)),
        [false, true, true, false, false]
    );
    assert_eq!([10, 11, 19].map(|block| set(&now, block)), [false, true, true]);
}

#[test]
fn a_registration_is_known_by_its_block_where_both_are_told_and_else_by_its_hotkey() {
    let paid = |hotkey: &str, registered_block| {
        let miner = Weighed { hotkey: key(hotkey), registered_block, ..miner(1) };
        figures(&[], Some(&look()), &miner).incentive.is_some()
    };
    // Miner 1 was registered at block 11.
    assert_eq!((paid("hot1", 0), paid("hot1", 11), paid("hot1", 12)), (true, true, false));
    assert_eq!((paid("other", 0), paid("other", 11), paid("other", 12)), (false, true, false));
}

proptest! {
    /// Whatever validators say and chains answer: beside an incentive stands a vector that its epoch
    /// or an earlier one had counted, opened where it was sealed, or no vector at all; and the order in
    /// which rows come changes nothing.
    #[test]
    fn nothing_sealed_or_unsettled_is_beside_an_incentive(
        rows in proptest::collection::vec(history(), 0..12),
        last_step in 0..8_i64,
    ) {
        // Of one block a validator has one vector.
        let rows: BTreeMap<_, _> =
            rows.into_iter().map(|row| ((row.0.validator.clone(), row.0.block), row)).collect();
        let mut rows: Vec<Row> = rows.into_values().collect();
        let look = Snapshot { last_step, ..snapshot(1_100, &[neuron(0), neuron(1), neuron(2)]) };
        for uid in 0..3 {
            let of = figures(&rows, Some(&look), &miner(uid));
            let shown = rows.iter().find(|(row, ..)| {
                Some((&row.validator, row.block))
                    == of.validator_hotkey.as_ref().zip(of.weight_submission_block)
            });
            prop_assert_eq!(shown.is_some(), of.submitted_weight.is_some());
            prop_assert_eq!(of.incentive.is_some(), of.consensus_block.is_some());
            match shown {
                None => prop_assert!(of.submissions.is_empty() && of.incentive.is_some()),
                Some((row, ..)) => {
                    let epoch = row.settled.map(|settled| settled.consensus_block);
                    let counted = epoch.is_some_and(|epoch| epoch <= last_step);
                    prop_assert_eq!(of.incentive.is_some(), counted);
                    let opened = row.mode == Mode::Plain || row.revealed_block.is_some();
                    prop_assert!(of.incentive.is_none() || opened);
                }
            }
            rows.reverse();
            prop_assert_eq!(&figures(&rows, Some(&look), &miner(uid)), &of);
        }
    }
}
