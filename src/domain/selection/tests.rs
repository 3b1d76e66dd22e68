use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

use super::*;

const NOW: Millis = Millis(1_000_000_000);

fn miner(uid: u16) -> Candidate {
    Candidate {
        registration: RegistrationId(Uuid::from_u128(u128::from(uid) + 1)),
        uid: MinerUid(uid),
        hotkey: Hotkey::parse("hk").unwrap(),
        coldkey: None,
        serving: true,
        performance: Score::clamped(500_000),
        confidence: Score::ZERO,
        contested: false,
        stake: Stake::ZERO,
        capacity: 5,
        reported_load_millionths: 0,
        live: 0,
        last_seen: NOW,
        kinds: Vec::new(),
        parked: 0,
        report_period_millis: 0,
        record: Record::default(),
        records: KindRecords::default(),
        contact: Contact::default(),
    }
}

const TTS: KindIndex = KindIndex(1);
const DEMAND: Demand<'static> =
    Demand { kind: "tts", index: TTS, p50_millis: Some(1_000), used: &[], used_coldkeys: &[] };

/// A candidate that answered `n` tasks of the kind.
fn known(mut candidate: Candidate, n: u32) -> Candidate {
    (0..n).for_each(|_| candidate.records.change(TTS, |r| r.answered(Some(1_000))));
    candidate
}

fn chosen(all: &[Candidate], demand: Demand<'_>, seed: u64) -> Option<usize> {
    let pool: Vec<_> = (0..all.len()).collect();
    let policy = SelectionPolicy::default();
    select(demand, all, &pool, &policy, NOW, &mut StdRng::seed_from_u64(seed)).chosen
}

#[test]
fn availability_is_the_documents_formula() {
    let policy = SelectionPolicy::default();
    let mut candidate = miner(1);
    candidate.performance = Score::clamped(900_000);
    candidate.live = 1;
    candidate.stake = Stake::from_tokens(500.0).unwrap();
    candidate.last_seen = NOW.plus(-policy.miner_timeout_millis / 2);
    candidate.confidence = Score::clamped(800_000);
    let got = candidate.availability(candidate.performance, &policy, NOW);
    assert_eq!(
        (got.performance, got.load, got.stake, got.recency, got.boost),
        (360_000, 240_000, 100_000, 50_000, 160_000)
    );
    assert_eq!(got.total, 910_000);
    candidate.contested = true;
    assert_eq!(candidate.availability(Score::ZERO, &policy, NOW).boost, 0);
}

#[test]
fn reported_load_is_a_floor_under_our_own() {
    let policy = SelectionPolicy::default();
    let mut candidate = miner(1);
    candidate.reported_load_millionths = 4 * ONE;
    assert_eq!(candidate.availability(Score::ZERO, &policy, NOW).load, 60_000);
    candidate.live = 5;
    assert_eq!(candidate.availability(Score::ZERO, &policy, NOW).load, 0);
}

#[test]
fn each_filter_names_its_reason() {
    let policy = SelectionPolicy::default();
    let owner = Hotkey::parse("owner").unwrap();
    let with = |change: &dyn Fn(&mut Candidate)| {
        let mut candidate = miner(0);
        change(&mut candidate);
        let used = [RegistrationId(Uuid::from_u128(99))];
        let coldkeys = [(used[0], owner.clone())];
        let demand = Demand { used: &used, used_coldkeys: &coldkeys, ..DEMAND };
        eligible(&candidate, demand, &policy, NOW)
    };
    assert_eq!(with(&|_| ()), Ok(()));
    assert_eq!(with(&|c| c.last_seen = NOW.plus(-900_000)), Err(PassedOver::Stale));
    assert_eq!(with(&|c| c.serving = false), Err(PassedOver::NotServing));
    assert_eq!(with(&|c| c.kinds = vec!["x".into()]), Err(PassedOver::Incapable));
    assert_eq!(with(&|c| c.live = 5), Err(PassedOver::Full));
    assert_eq!(with(&|c| c.coldkey = Some(owner.clone())), Err(PassedOver::SameOwner));
    let on_task = |c: &mut Candidate| c.registration = RegistrationId(Uuid::from_u128(99));
    assert_eq!(with(&on_task), Err(PassedOver::OnTask));
    let fails = |kind| {
        move |c: &mut Candidate| (0..3).for_each(|_| c.records.change(kind, |r| r.failed(NOW)))
    };
    assert_eq!(with(&fails(TTS)), Err(PassedOver::Quarantined));
    assert_eq!(with(&fails(KindIndex(0))), Ok(()), "another kind's breaker");
}

#[test]
fn a_miner_of_slow_reporters_is_fresh_for_three_of_their_periods() {
    let policy = SelectionPolicy::default();
    let mut candidate = miner(0);
    let fresh = |c: &Candidate, minutes: i64| c.fresh(&policy, NOW.plus(minutes * 60_000));
    assert!(fresh(&candidate, 14) && !fresh(&candidate, 15));
    candidate.report_period_millis = 60_000;
    assert!(fresh(&candidate, 14) && !fresh(&candidate, 15));
    candidate.report_period_millis = 20 * 60_000;
    assert!(fresh(&candidate, 59) && !fresh(&candidate, 60));
}

#[test]
fn performance_is_that_at_the_kind_of_the_task() {
    let mut candidate = known(miner(0), 100);
    candidate.performance = Score::ZERO;
    assert!(candidate.performance_at(DEMAND).millionths() > 700_000);
    let other = Demand { index: KindIndex(0), ..DEMAND };
    assert_eq!(candidate.performance_at(other), Score::ZERO);
    let faster = Demand { p50_millis: Some(250), ..DEMAND };
    assert!(candidate.performance_at(faster) < candidate.performance_at(DEMAND));
}

#[test]
fn uid_zero_is_a_miner_like_any_other() {
    assert_eq!(chosen(&[miner(0)], DEMAND, 1), Some(0));
}

#[test]
fn an_empty_network_is_a_normal_answer() {
    assert_eq!(chosen(&[], DEMAND, 1), None);
}

#[test]
fn equal_miners_share_the_work_whatever_their_uid() {
    let all: Vec<_> = (0..10).map(miner).collect();
    let mut counts = [0_u32; 10];
    for seed in 0..2_000 {
        counts[chosen(&all, DEMAND, seed).unwrap()] += 1;
    }
    assert!(counts.iter().all(|&n| (120..300).contains(&n)), "{counts:?}");
}

#[test]
fn the_best_miner_leads_without_getting_everything() {
    let mut all: Vec<_> = (0..10).map(miner).collect();
    all[3].performance = Score::ONE;
    let best = (0..1_000).filter(|&seed| chosen(&all, DEMAND, seed) == Some(3)).count();
    assert!((250..700).contains(&best), "{best}");
}

#[test]
fn a_zero_scored_miner_is_tried_now_and_then() {
    let mut all: Vec<_> = (0..5).map(miner).collect();
    all = all.into_iter().map(|candidate| known(candidate, 500)).collect();
    all[2] = miner(2);
    all[2].performance = Score::ZERO;
    let tried = (0..2_000).filter(|&seed| chosen(&all, DEMAND, seed) == Some(2)).count();
    assert!(tried >= 60, "{tried}");
}

#[test]
fn a_waiting_miner_goes_before_an_equal_one_that_does_not_wait() {
    let mut all: Vec<_> = (0..3).map(|n| known(miner(n), 500)).collect();
    all[1].parked = 1;
    assert!((0..100).all(|seed| chosen(&all, DEMAND, seed) == Some(1)));
}

fn any_miner() -> impl Strategy<Value = Candidate> {
    let numbers = (any::<u16>(), 0_i64..=ONE, 0_u32..7, 0_i64..2_000_000);
    (numbers, any::<bool>(), 0_u32..6, prop_oneof![Just(vec![]), Just(vec!["stt".to_owned()])])
        .prop_map(|((uid, performance, live, age), serving, failures, kinds)| {
            let mut candidate = miner(uid);
            candidate.performance = Score::clamped(performance);
            candidate.live = live;
            candidate.last_seen = NOW.plus(-age);
            candidate.serving = serving;
            candidate.kinds = kinds;
            (0..failures).for_each(|_| candidate.records.change(TTS, |r| r.failed(NOW)));
            candidate
        })
}

proptest! {
    #[test]
    fn selection_never_picks_who_may_not_have_it_and_repeats_itself(
        all in proptest::collection::vec(any_miner(), 0..120), seed in any::<u64>(),
    ) {
        let policy = SelectionPolicy::default();
        let choice = chosen(&all, DEMAND, seed);
        prop_assert_eq!(choice, chosen(&all, DEMAND, seed));
        let may = |c: &Candidate| eligible(c, DEMAND, &policy, NOW).is_ok();
        match choice {
            Some(place) => prop_assert!(may(&all[place])),
            // In a large pool all are looked at before giving up.
            None => prop_assert!(!all.iter().any(may)),
        }
    }
}
