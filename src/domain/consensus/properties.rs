//! Invariants 8 and 9, for any reports and any lies.

use proptest::prelude::*;

use super::field::unbiased;
use super::merge::{Ballot, Count, Vote, merge};
use super::tests::{M, T0, key, report};
use super::*;
use crate::domain::ids::{Hotkey, MinerUid};
use crate::domain::report::MinerStatus;
use crate::domain::units::{MINUTE, Millis, ONE, Score, Stake};

/// A report of one of five validators within one minute, about some of four miners.
fn any_report() -> impl Strategy<Value = Report> {
    let entry = (0..4_u16, 0..=20_u32, any::<bool>(), 0..3_u8);
    let entries = prop::collection::btree_map(0..4_u16, entry, 0..4);
    let label = prop::option::weighted(0.5, (0..3_i64, 0..3_i64));
    (0..5_usize, 0..40_i64, entries, any::<bool>(), label).prop_map(
        |(validator, at, entries, partial, label)| {
            let texts: Vec<String> = entries
                .iter()
                .map(|(uid, (_, score, serving, hotkey))| {
                    let score = f64::from(*score) / 20.0;
                    format!(
                        r#"{{"uid":{uid},"performance_score":{score},"is_serving":{serving},
                        "hotkey":"h{hotkey}","port":{}}}"#,
                        validator + 1
                    )
                })
                .collect();
            let mut report = report(validator, at * 1_500, &format!("[{}]", texts.join(",")));
            report.partial = partial;
            report.epoch = label.map(|label| label.0);
            report.sequence = label.map(|label| label.1);
            // The hash is of the whole body, labels included.
            let label = label.map_or(9, |label| label.0 * 3 + label.1) as u8;
            report.body_hash[7] = label * 2 + u8::from(partial);
            report
        },
    )
}

/// What the table publishes after a round of `reports`, then after a quiet one.
fn bytes_after(past: &[Report], reports: &[Report], merge_every: usize) -> String {
    let mut table = ReportTable::new(ConsensusPolicy::default());
    for report in past {
        table.apply(Millis(T0 - MINUTE), report.clone());
    }
    let seen = Observation { performance: Some(Score::ZERO), is_serving: None, evidence: 50 };
    table.observe(MinerUid(0), Some(seen));
    for (index, report) in reports.iter().enumerate() {
        table.apply(Millis(T0 + index as i64), report.clone());
        if index % merge_every == 0 {
            table.merge_dirty(Millis(T0 + index as i64));
        }
    }
    let mut out = String::new();
    // The last two rounds go by what was earned in the first ones.
    for now in [T0 + MINUTE - 1, T0 + MINUTE, T0 + 2 * MINUTE] {
        table.refresh(Millis(now));
        let verdicts: Vec<_> = table.verdicts().collect();
        out.push_str(&serde_json::to_string(&verdicts).unwrap());
        let mut tracks = table.take_reputation_changes();
        tracks.sort_by(|a, b| a.0.cmp(&b.0));
        out.push_str(&serde_json::to_string(&tracks).unwrap());
        let mut stats = table.stats();
        stats.total_reports = 0;
        out.push_str(&serde_json::to_string(&stats).unwrap());
    }
    out
}

fn shuffled<T: Clone>(items: &[T], seed: u64) -> Vec<T> {
    let mut items = items.to_vec();
    let mut state = seed | 1;
    for last in (1..items.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(last, (state >> 33) as usize % (last + 1));
    }
    items
}

fn names(count: usize) -> Vec<VoterName> {
    (0..count).map(|index| VoterName::Hotkey(key(index))).collect()
}

fn said(score: i64, stake: i64, load: i64, capacity: u32, honest: bool) -> MinerStatus {
    MinerStatus {
        performance: Some(Score::clamped(score)),
        stake: Some(Stake::from_rao(stake)),
        load_millionths: Some(load),
        capacity: Some(capacity),
        is_serving: Some(honest),
        hotkey: Some(Hotkey::parse(if honest { "good" } else { "evil" }).unwrap()),
        ..MinerStatus::new(M)
    }
}

fn vote<'a>(
    names: &'a [VoterName],
    statuses: &'a [MinerStatus],
    index: usize,
    base: i64,
    age: i64,
) -> Vote<'a> {
    Vote {
        validator: &names[index],
        rank: index as u16,
        base,
        bias: 0,
        reputation: Score::ONE,
        clique_share: ONE,
        period: 20 * MINUTE,
        signed_nanos: (T0 - age) * 1_000_000,
        absent: false,
        status: &statuses[index],
    }
}

fn ballot<'a>(votes: Vec<Vote<'a>>, previous: &'a Agreed) -> Ballot<'a> {
    Ballot { uid: M, round: T0 / MINUTE, votes, previous, chain: None }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn within_a_round_order_repetition_and_interleaving_change_no_byte(
        past in prop::collection::vec(any_report(), 0..6),
        reports in prop::collection::vec(any_report(), 1..14),
        seed in any::<u64>(),
        merge_every in 1..5_usize,
    ) {
        let past: Vec<Report> = past.into_iter().map(|mut report| {
            report.signed_nanos -= MINUTE * 1_000_000;
            report
        }).collect();
        let expected = bytes_after(&past, &reports, 1_000);
        let mut twice = reports.clone();
        twice.extend(reports.iter().cloned());
        prop_assert_eq!(&bytes_after(&past, &shuffled(&twice, seed), merge_every), &expected);
        prop_assert_eq!(&bytes_after(&past, &shuffled(&reports, !seed), 1), &expected);
    }

    #[test]
    fn less_than_a_third_of_the_weight_cannot_leave_the_honest_range(
        stakes in prop::collection::vec(1..1_000_000_i64, 4..64),
        ages in prop::collection::vec(0..55 * MINUTE, 64),
        truth in prop::collection::vec((600_000..800_000_i64, 5..9_i64, 1..6_i64, 4..7_u32), 64),
        lies in prop::collection::vec(
            (0..=1_000_000_i64, 0..=9_000_000_000_000_000_000_i64, 0..=1_000_000_000_000_i64,
             1..=100_000_u32), 64),
        biases in prop::collection::vec(-200_000..=200_000_i64, 64),
        seed in any::<u64>(),
    ) {
        let count = stakes.len();
        let claims: Vec<_> =
            stakes.iter().map(|rao| (Some(Stake::from_rao(*rao)), Score::ONE)).collect();
        let bases = base_weights(&claims);
        let names = names(count);
        let (policy, previous) = (ConsensusPolicy::default(), Agreed::default());
        let honest: Vec<_> = truth.iter().take(count)
            .map(|t| said(t.0, t.1 * 1_000_000_000, t.2 * ONE, t.3, true)).collect();
        let cast = |statuses: &[MinerStatus]| -> Vec<i64> {
            let votes = (0..count).map(|i| vote(&names, statuses, i, bases[i], ages[i])).collect();
            let ballot = ballot(votes, &previous);
            // A share of the stake below a millionth is not heard.
            let mut weights = vec![0; count];
            for heard in Count::new(&policy, &ballot).heard {
                weights[usize::from(heard.vote.rank)] = heard.weight;
            }
            weights
        };
        let weights = cast(&honest);
        let total: i128 = weights.iter().map(|w| i128::from(*w)).sum();
        // Numbers are merged by the full weight, votes by the base weight: hold both below a third.
        let (mut statuses, mut lying, mut lying_base) = (honest, 0_i128, 0);
        let mut is_honest = vec![true; count];
        for index in shuffled(&(0..count).collect::<Vec<_>>(), seed) {
            let weight = i128::from(weights[index]);
            if (lying + weight) * 3 < total && (lying_base + bases[index]) * 3 < ONE {
                lying += weight;
                lying_base += bases[index];
                is_honest[index] = false;
                let lie = lies[index];
                statuses[index] = said(lie.0, lie.1, lie.2, lie.3, false);
            }
        }
        let mut votes: Vec<_> =
            (0..count).map(|i| vote(&names, &statuses, i, bases[i], ages[i])).collect();
        for (vote, bias) in votes.iter_mut().zip(&biases) {
            vote.bias = *bias;
        }
        let verdict = merge(&policy, &ballot(votes, &previous));
        let range = |value: i64, of: fn(&MinerStatus) -> i64| {
            let honest = || statuses.iter().zip(&is_honest).filter(|s| *s.1).map(|s| of(s.0));
            (honest().min().unwrap()..=honest().max().unwrap()).contains(&value)
        };
        // Of scores the range is that of what they count as, whatever bias is taken off.
        let score = |i: usize| unbiased(statuses[i].performance.unwrap().millionths(), biases[i]);
        let scores = || (0..count).filter(|i| is_honest[*i]).filter_map(score);
        let published = verdict.performance.unwrap().millionths();
        prop_assert!((scores().min().unwrap()..=scores().max().unwrap()).contains(&published));
        prop_assert!(range(verdict.stake.unwrap().rao(), |s| s.stake.unwrap().rao()));
        prop_assert!(range(verdict.load_millionths.unwrap(), |s| s.load_millionths.unwrap()));
        prop_assert!(range(verdict.capacity.unwrap().into(), |s| s.capacity.unwrap().into()));
        prop_assert_ne!(verdict.hotkey, Some(Hotkey::parse("evil").unwrap()));
    }

    /// For votes always, for numbers when the published one does not move.
    #[test]
    fn a_further_agreeing_validator_never_lowers_confidence(
        scores in prop::collection::vec((0..=10_i64, 0..4_i64, any::<bool>()), 2..12),
        ages in prop::collection::vec(0..55 * MINUTE, 13),
        people in prop::collection::vec(
            (1..1_000_000_i64, 0..=1_000_000_i64, -200_000..=200_000_i64), 13),
        agreed in (prop::option::of(any::<bool>()), prop::option::of(any::<bool>())),
        has_numbers in any::<bool>(),
    ) {
        let count = scores.len();
        // The newcomer was active before it spoke of this miner: nobody's weight changes.
        let claims: Vec<_> = people.iter().take(count + 1)
            .map(|p| (Some(Stake::from_rao(p.0)), Score::clamped(p.1))).collect();
        let bases = base_weights(&claims);
        let names = names(count + 1);
        let policy = ConsensusPolicy::default();
        let hotkey = |is_good| Hotkey::parse(if is_good { "good" } else { "evil" }).unwrap();
        let previous = Agreed { is_serving: agreed.0, hotkey: agreed.1.map(hotkey) };
        let cast = |statuses: &[MinerStatus]| {
            let vote = |index: usize| Vote {
                bias: people[index].2,
                reputation: claims[index].1,
                ..vote(&names, statuses, index, bases[index], ages[index])
            };
            let votes = (0..statuses.len()).map(vote).collect();
            merge(&policy, &ballot(votes, &previous))
        };
        let status = |s: &(i64, i64, bool)| {
            let said = said(s.0 * 100_000, (1 + s.1) * 1_000_000_000, s.1 * ONE, 5, s.2);
            let (is_serving, hotkey) = (said.is_serving, said.hotkey.clone());
            let mute = MinerStatus { is_serving, hotkey, ..MinerStatus::new(M) };
            if has_numbers { said } else { mute }
        };
        let mut statuses: Vec<_> = scores.iter().map(status).collect();
        let before = cast(&statuses);
        // What it says is what is published once its bias is taken off.
        let biased = |score: Score| Score::clamped(score.millionths() + people[count].2);
        statuses.push(MinerStatus {
            performance: before.performance.map(biased),
            stake: before.stake,
            load_millionths: before.load_millionths,
            is_serving: before.is_serving,
            hotkey: before.hotkey.clone(),
            ..MinerStatus::new(M)
        });
        let after = cast(&statuses);
        let stands = before.performance == after.performance && before.stake == after.stake
            && before.load_millionths == after.load_millionths;
        prop_assert!(has_numbers || stands);
        if stands {
            prop_assert!(after.confidence >= before.confidence, "{:?} {:?}", before, after);
        }
    }
}
