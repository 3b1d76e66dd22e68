//! Weights that validators set on chain: of one block the first vector stands.

use std::sync::Arc;

use pithead::domain::chain::{Mode, Settled, Snapshot, State};
use pithead::domain::ids::{Hotkey, MinerUid};
use pithead::store::*;
use serde_json::json;

use super::make::*;
use super::on_every_store;

on_every_store!(
    a_word_is_taken_once_and_the_next_one_goes_on,
    another_vector_of_the_same_block_is_refused,
    what_cannot_follow_is_refused_and_changes_nothing,
    the_first_word_must_say_what_is_submitted,
    submissions_are_listed_newest_first_in_pages,
    a_replayed_word_has_no_effect,
    a_snapshot_tells_what_became_of_submissions,
    an_older_snapshot_changes_nothing,
    how_submissions_stood_at_a_moment_is_known_later,
    submissions_end_with_the_snapshots_that_could_tell_of_them,
    so_many_of_a_validator_wait_for_an_epoch_and_no_more,
);

fn vector(weights: &[u16]) -> Option<Vec<(MinerUid, u16)>> {
    Some((0..).map(MinerUid).zip(weights.iter().copied()).collect())
}

fn word(block: i64, state: Told) -> PutSubmission {
    PutSubmission {
        netuid: 5,
        validator: hotkey("one"),
        validator_uid: 3,
        block,
        mode: Some(Mode::CommitReveal),
        version_key: Some(7),
        weights: vector(&[65_535, 9]),
        run: Some(task_id(1).0),
        state,
        open_max: 100,
        now: at(1),
        nonce: None,
    }
}

async fn taken(store: &dyn Store, word: PutSubmission) -> (SubmissionRow, bool) {
    match store.put_submission(word).await.unwrap() {
        SubmissionPut::Taken(row, changed) => (*row, changed),
        other => panic!("{other:?}"),
    }
}

async fn all(store: &dyn Store) -> Vec<SubmissionRow> {
    let page = SubmissionPage { netuid: 5, validator: None, before: None, limit: 100 };
    store.submissions(page).await.unwrap()
}

async fn a_word_is_taken_once_and_the_next_one_goes_on(store: &dyn Store) {
    let (made, changed) = taken(store, word(100, Told::Calculated)).await;
    assert_eq!((made.of.state, changed), (State::Calculated, true));
    let later = PutSubmission { now: at(2), ..word(100, Told::Calculated) };
    assert_eq!(taken(store, later).await, (made.clone(), false));
    let sent = PutSubmission { now: at(3), weights: None, mode: None, ..word(100, Told::Sent) };
    let (sent, changed) = taken(store, sent).await;
    assert_eq!((sent.of.state, changed, sent.updated_at), (State::Committed, true, at(3)));
    assert_eq!((sent.created_at, &sent.weights, sent.run), (at(1), &made.weights, made.run));
    let (opened, _) = taken(store, word(100, Told::Revealed(460))).await;
    assert_eq!((opened.of.state, opened.of.effective_block()), (State::Revealed, Some(460)));
    let (again, changed) = taken(store, word(100, Told::Sent)).await;
    assert_eq!((again, changed), (opened.clone(), false), "an old word comes late");
    assert_eq!(all(store).await, [opened]);
    let (at_once, _) = taken(store, word(200, Told::Revealed(560))).await;
    assert_eq!((at_once.of.state, at_once.of.revealed_block), (State::Revealed, Some(560)));
    let refused = Told::Failed("CommittingWeightsTooFast".to_owned());
    let (failed, _) = taken(store, word(300, refused)).await;
    assert_eq!(failed.of.error.as_deref(), Some("CommittingWeightsTooFast"));
}

async fn another_vector_of_the_same_block_is_refused(store: &dyn Store) {
    let (first, _) = taken(store, word(100, Told::Sent)).await;
    let others = [
        PutSubmission { weights: vector(&[65_535, 10]), ..word(100, Told::Sent) },
        PutSubmission { weights: vector(&[65_535]), ..word(100, Told::Calculated) },
        PutSubmission { mode: Some(Mode::Plain), ..word(100, Told::Sent) },
    ];
    for other in others {
        assert_eq!(store.put_submission(other).await.unwrap(), SubmissionPut::Conflict);
    }
    assert_eq!(all(store).await, [first]);
    let mine = PutSubmission {
        validator: hotkey("two"),
        weights: vector(&[1]),
        ..word(100, Told::Calculated)
    };
    taken(store, mine).await;
    let elsewhere = PutSubmission { netuid: 6, weights: vector(&[1]), ..word(100, Told::Sent) };
    taken(store, elsewhere).await;
    // Before it is sent, the way may still be chosen.
    taken(store, word(101, Told::Calculated)).await;
    let plain = PutSubmission { mode: Some(Mode::Plain), ..word(101, Told::Sent) };
    assert_eq!(taken(store, plain).await.0.of.state, State::Submitted);
}

async fn what_cannot_follow_is_refused_and_changes_nothing(store: &dyn Store) {
    let (first, _) = taken(store, word(100, Told::Failed("CommitRevealEnabled".to_owned()))).await;
    let impossible = store.put_submission(word(100, Told::Sent)).await.unwrap();
    let SubmissionPut::Impossible(why) = impossible else { panic!("{impossible:?}") };
    assert_eq!(why, "a submission that is `failed` cannot become `committed`");
    taken(store, word(200, Told::Sent)).await;
    let backwards = store.put_submission(word(200, Told::Revealed(199))).await.unwrap();
    assert!(matches!(backwards, SubmissionPut::Impossible(_)), "{backwards:?}");
    let plain = PutSubmission { mode: Some(Mode::Plain), ..word(300, Told::Sent) };
    taken(store, plain).await;
    let sealed = PutSubmission { mode: None, ..word(300, Told::Revealed(400)) };
    let sealed = store.put_submission(sealed).await.unwrap();
    assert!(matches!(sealed, SubmissionPut::Impossible(_)), "{sealed:?}");
    assert_eq!(all(store).await.last(), Some(&first));
}

async fn the_first_word_must_say_what_is_submitted(store: &dyn Store) {
    let nothing = PutSubmission { weights: None, ..word(100, Told::Sent) };
    assert_eq!(store.put_submission(nothing).await.unwrap(), SubmissionPut::NoWeights);
    assert_eq!(all(store).await, []);
}

async fn submissions_are_listed_newest_first_in_pages(store: &dyn Store) {
    for (block, validator) in [(100, "one"), (200, "one"), (200, "two"), (300, "two")] {
        let validator = hotkey(validator);
        taken(store, PutSubmission { validator, ..word(block, Told::Calculated) }).await;
    }
    let key = |row: &SubmissionRow| (row.of.block, row.of.validator.to_string());
    let mut page = SubmissionPage { netuid: 5, validator: None, before: None, limit: 2 };
    let mut seen = Vec::new();
    loop {
        let rows = store.submissions(page.clone()).await.unwrap();
        let Some(last) = rows.last() else { break };
        page.before = Some((last.of.block, last.of.validator.clone()));
        seen.extend(rows.iter().map(key));
    }
    let expected = [(300, "two"), (200, "two"), (200, "one"), (100, "one")];
    assert_eq!(seen, expected.map(|(block, hotkey)| (block, hotkey.to_owned())));
    let of = |hotkey: Hotkey| SubmissionPage {
        netuid: 5,
        validator: Some(hotkey),
        before: None,
        limit: 9,
    };
    assert_eq!(store.submissions(of(hotkey("two"))).await.unwrap().len(), 2);
    let elsewhere = SubmissionPage { netuid: 6, ..of(hotkey("two")) };
    assert_eq!(store.submissions(elsewhere).await.unwrap(), []);
}

async fn a_replayed_word_has_no_effect(store: &dyn Store) {
    let signed = PutSubmission { nonce: nonce(1), ..word(100, Told::Calculated) };
    taken(store, signed.clone()).await;
    let replay = PutSubmission { state: Told::Sent, ..signed };
    let replayed = store.put_submission(replay).await;
    assert!(matches!(replayed, Err(StoreError::Replayed)), "{replayed:?}");
    assert_eq!(all(store).await[0].of.state, State::Calculated);
}

/// A look at a subnet in which validator `one` set weights last at `last_update`.
fn look(block: i64, last_step: i64, last_update: i64) -> Adopt {
    let body = json!({
        "netuid": 5, "block": block, "tempo": 360, "last_step": last_step,
        "neurons": [{
            "uid": 3, "hotkey": hotkey("one"), "stake": 10, "validator_permit": true,
            "last_update": last_update, "block_at_registration": 1, "incentive": 0,
        }],
    });
    let snapshot = Arc::new(Snapshot::parse(&body).unwrap());
    let row = SnapshotRow { snapshot, adopted_at: at(9), senders: vec![hotkey("one")] };
    Adopt { row, nonce: None }
}

async fn a_snapshot_tells_what_became_of_submissions(store: &dyn Store) {
    let plain = |block| PutSubmission { mode: Some(Mode::Plain), ..word(block, Told::Sent) };
    taken(store, plain(100)).await;
    taken(store, word(150, Told::Sent)).await;
    taken(store, word(160, Told::Revealed(520))).await;
    taken(store, plain(600)).await;
    let elsewhere = PutSubmission { netuid: 6, ..plain(100) };
    taken(store, elsewhere).await;
    let adopted = store.adopt(look(700, 460, 600)).await.unwrap();
    let Adopted::New(told) = adopted else { panic!("{adopted:?}") };
    let settled = |row: &SubmissionRow| (row.of.block, row.of.state, row.of.settled);
    let counted = Settled { consensus_block: 460, delay_blocks: 360 };
    assert_eq!(
        told.iter().map(settled).collect::<Vec<_>>(),
        [(100, State::Settled, Some(counted))]
    );
    assert_eq!(told[0].updated_at, at(9));
    // The sealed one has no credit, the opened one has to wait for an epoch after its reveal.
    let states: Vec<_> = all(store).await.iter().map(|row| (row.of.block, row.of.state)).collect();
    assert_eq!(
        states,
        [
            (600, State::Submitted),
            (160, State::Revealed),
            (150, State::Committed),
            (100, State::Settled)
        ]
    );
    let adopted = store.adopt(look(1_000, 821, 550)).await.unwrap();
    let Adopted::New(told) = adopted else { panic!("{adopted:?}") };
    let states: Vec<_> = told.iter().map(|row| (row.of.block, row.of.state)).collect();
    assert_eq!(states, [(160, State::Settled), (600, State::Reorged)], "set last at 550");
    assert_eq!(store.metagraph(5).await.unwrap(), Some(look(1_000, 821, 550).row));
    assert_eq!(store.metagraph(6).await.unwrap(), None);
}

async fn an_older_snapshot_changes_nothing(store: &dyn Store) {
    let plain = PutSubmission { mode: Some(Mode::Plain), ..word(100, Told::Sent) };
    let newest = look(700, 50, 100);
    assert_eq!(store.adopt(newest.clone()).await.unwrap(), Adopted::New(vec![]));
    let (sent, _) = taken(store, plain).await;
    for block in [650, 700] {
        assert_eq!(store.adopt(look(block, 460, 100)).await.unwrap(), Adopted::Old);
    }
    assert_eq!(all(store).await, [sent]);
    assert_eq!(store.metagraph(5).await.unwrap(), Some(newest.row));
    let signed = Adopt { nonce: nonce(3), ..look(800, 50, 100) };
    store.adopt(signed.clone()).await.unwrap();
    let replayed = store.adopt(Adopt { row: look(900, 50, 100).row, ..signed }).await;
    assert!(matches!(replayed, Err(StoreError::Replayed)), "{replayed:?}");
    // What is older than a month of blocks is forgotten.
    store.adopt(look(800 + 216_001, 50, 100)).await.unwrap();
}

async fn how_submissions_stood_at_a_moment_is_known_later(store: &dyn Store) {
    let told = |secs, word| async move {
        taken(store, PutSubmission { now: at(secs), ..word }).await;
    };
    let of_two = |block, state| PutSubmission { validator: hotkey("two"), ..word(block, state) };
    let plain = |block| PutSubmission { mode: Some(Mode::Plain), ..word(block, Told::Sent) };
    told(1, plain(100)).await;
    told(2, word(200, Told::Calculated)).await;
    told(3, word(200, Told::Sent)).await;
    told(4, of_two(150, Told::Sent)).await;
    told(5, word(200, Told::Revealed(560))).await;
    told(6, of_two(160, Told::Sent)).await;
    told(7, of_two(160, Told::Failed("ExpiredWeightCommit".to_owned()))).await;
    told(8, PutSubmission { netuid: 6, ..plain(900) }).await;
    // Believed at 9: what `one` set in the clear at block 100 was counted at 460.
    store.adopt(look(700, 460, 600)).await.unwrap();
    let stood = |secs| async move {
        let rows = store.submissions_before(5, at(secs)).await.unwrap();
        let of = |row: &SubmissionRow| {
            let who = row.of.validator.as_str().to_owned();
            (who, row.of.block, row.of.state, row.of.revealed_block, row.of.settled.is_some())
        };
        rows.iter().map(of).collect::<Vec<_>>()
    };
    let (one, two) = ("one".to_owned(), "two".to_owned());
    let submitted = (one.clone(), 100, State::Submitted, None, false);
    let committed = (one.clone(), 200, State::Committed, None, false);
    let revealed = (one.clone(), 200, State::Revealed, Some(560), false);
    let settled = (one, 100, State::Settled, None, true);
    let first = (two.clone(), 150, State::Committed, None, false);
    let second = (two, 160, State::Committed, None, false);
    assert_eq!(stood(1).await, []);
    assert_eq!(stood(2).await, std::slice::from_ref(&submitted));
    assert_eq!(stood(3).await, [submitted], "what is not sent is not there");
    assert_eq!(stood(4).await, std::slice::from_ref(&committed), "the newest one of a validator");
    assert_eq!(stood(5).await, [first.clone(), committed.clone()]);
    assert_eq!(stood(6).await, [first.clone(), revealed.clone()]);
    assert_eq!(stood(7).await, [second, revealed.clone()], "it had not failed yet");
    assert_eq!(stood(9).await, [first.clone(), revealed.clone()], "it was not believed yet");
    assert_eq!(stood(10).await, [settled, first, revealed], "and the newest one that counted");
    assert_eq!(store.metagraph_before(5, at(9)).await.unwrap(), None);
    let believed = store.metagraph_before(5, at(10)).await.unwrap();
    assert_eq!(believed, Some(look(700, 460, 600).row));
    let mut newer = look(750, 460, 600);
    newer.row.adopted_at = at(20);
    store.adopt(newer.clone()).await.unwrap();
    assert_eq!(store.metagraph_before(5, at(20)).await.unwrap(), believed);
    assert_eq!(store.metagraph_before(5, at(21)).await.unwrap(), Some(newer.row));
    assert_eq!(store.metagraph_before(6, at(21)).await.unwrap(), None);
    // What changes nothing is no news.
    let news = store.chain_written();
    taken(store, word(200, Told::Revealed(560))).await;
    store.adopt(look(700, 460, 600)).await.unwrap();
    assert_eq!(store.chain_written(), news);
    taken(store, word(300, Told::Calculated)).await;
    store.adopt(look(800, 460, 600)).await.unwrap();
    assert_eq!(store.chain_written(), news + 2);
}

async fn submissions_end_with_the_snapshots_that_could_tell_of_them(store: &dyn Store) {
    let elsewhere = PutSubmission { netuid: 6, ..word(100, Told::Sent) };
    for word in [word(100, Told::Sent), word(101, Told::Sent), elsewhere] {
        taken(store, word).await;
    }
    store.adopt(look(101 + 216_000, 50, 0)).await.unwrap();
    let left: Vec<_> = all(store).await.iter().map(|row| row.of.block).collect();
    assert_eq!(left, [101]);
    let page = SubmissionPage { netuid: 6, validator: None, before: None, limit: 9 };
    assert_eq!(store.submissions(page).await.unwrap().len(), 1, "of another subnet");
}

async fn so_many_of_a_validator_wait_for_an_epoch_and_no_more(store: &dyn Store) {
    let few = |block, state| PutSubmission { open_max: 2, ..word(block, state) };
    let plain = |block| PutSubmission { mode: Some(Mode::Plain), ..few(block, Told::Sent) };
    taken(store, plain(100)).await;
    taken(store, few(200, Told::Failed("no".to_owned()))).await;
    let refused = async |word| {
        assert_eq!(store.put_submission(word).await.unwrap(), SubmissionPut::TooMany);
    };
    refused(plain(300)).await;
    refused(PutSubmission { open_max: 0, ..plain(300) }).await;
    // What is known goes on, and others have their own.
    assert!(!taken(store, plain(100)).await.1);
    taken(store, PutSubmission { validator: hotkey("two"), ..plain(300) }).await;
    taken(store, PutSubmission { netuid: 6, ..plain(300) }).await;
    // An epoch that counts one makes room.
    store.adopt(look(700, 460, 600)).await.unwrap();
    let (row, _) = taken(store, plain(800)).await;
    assert_eq!(row.of.block, 800);
    refused(plain(900)).await;
}
