use proptest::prelude::*;

use super::*;
use crate::domain::chain::make::{neuron, snapshot};

const MOST: i64 = 3_600_000;
const NOW: Millis = Millis(10 * MOST);

fn key(name: &str) -> Hotkey {
    Hotkey::parse(name).unwrap()
}

fn place(uid: u16, tokens: f64) -> Place {
    Place { uid, stake: Stake::from_tokens(tokens).unwrap() }
}

fn configured() -> Roles {
    let of = |name, role, uid| (key(name), role, place(uid, 5.0));
    let all = [
        of("val", Role::Validator, 1),
        of("spare", Role::Validator, 2),
        of("worker", Role::Miner, 3),
        of("boss", Role::Operator, 0),
    ];
    Roles::new(all, MOST)
}

fn row(uid: u16, hotkey: &str, stake: i64, permit: bool) -> serde_json::Value {
    let mut row = neuron(uid);
    row["hotkey"] = hotkey.into();
    row["stake"] = stake.into();
    row["validator_permit"] = permit.into();
    row
}

/// The configured validator at another uid, one nobody configured, one without stake, two miners.
fn chain(adopted_at: Millis) -> Roles {
    let rows = [
        row(7, "val", 70, true),
        row(8, "other", 80, true),
        row(9, "poor", 0, true),
        row(10, "digger", 1, false),
        row(11, "spare", 1, false),
    ];
    configured().believing(&snapshot(1_000, &rows), adopted_at)
}

#[test]
fn without_a_chain_the_list_of_the_operator_counts() {
    let roles = configured();
    assert_eq!(roles.validator(&key("val"), NOW), Ok(place(1, 5.0)));
    for name in ["other", "worker", "boss"] {
        assert_eq!(roles.validator(&key(name), NOW), Err(Denied::Unknown), "{name}");
    }
    assert_eq!(roles.miner(&key("anybody"), NOW), Ok(()), "whoever the reports agree on");
    assert_eq!(
        (roles.stake(&key("val"), NOW), roles.stake(&key("other"), NOW)),
        (place(1, 5.0).stake.into(), None)
    );
    assert!(!roles.is_old(NOW));
    assert_eq!(roles.anybody(&key("boss"), false, NOW), Ok(()));
    assert_eq!(roles.anybody(&key("other"), true, NOW), Ok(()), "reported");
    assert_eq!(roles.anybody(&key("other"), false, NOW), Err(Denied::Unknown));
}

#[test]
fn while_it_is_fresh_the_chain_decides() {
    let roles = chain(NOW.plus(-MOST));
    assert_eq!(roles.validator(&key("val"), NOW), Ok(place(7, 70.0)), "its uid and stake of there");
    assert_eq!(roles.validator(&key("other"), NOW), Ok(place(8, 80.0)));
    for name in ["poor", "digger", "spare"] {
        let denied = Err(Denied::NoPermit { block: 1_000 });
        assert_eq!(roles.validator(&key(name), NOW), denied, "{name}");
        assert_eq!(roles.stake(&key(name), NOW), Some(Stake::ZERO));
    }
    assert_eq!(roles.validator(&key("worker"), NOW), Err(Denied::Unknown));
    assert_eq!(roles.miner(&key("digger"), NOW), Ok(()));
    assert_eq!(roles.miner(&key("worker"), NOW), Ok(()), "the operator's own");
    assert_eq!(roles.miner(&key("gone"), NOW), Err(Denied::Gone { block: 1_000 }));
    assert_eq!((roles.uid(&key("val")), roles.uid(&key("worker"))), (Some(7), Some(3)));
    assert_eq!(roles.anybody(&key("gone"), true, NOW), Err(Denied::Unknown), "reported or not");
    let witnesses = roles.witnesses(NOW);
    let witnesses: Vec<_> = witnesses.keys().map(Hotkey::as_str).collect();
    assert_eq!(witnesses, ["val"], "only who is named by the operator vouches for the chain");
}

#[test]
fn when_it_is_too_old_only_the_list_of_the_operator_counts() {
    let roles = chain(NOW.plus(-MOST - 5_000));
    let old = Denied::Old { block: 1_000, age_secs: 3_605, most_secs: 3_600 };
    assert_eq!(roles.validator(&key("other"), NOW), Err(old));
    assert_eq!(roles.miner(&key("digger"), NOW), Err(old));
    assert_eq!(roles.validator(&key("val"), NOW), Ok(place(7, 70.0)));
    assert_eq!(roles.validator(&key("spare"), NOW), Ok(place(2, 5.0)));
    assert_eq!(roles.miner(&key("worker"), NOW), Ok(()));
    assert!(roles.is_old(NOW) && roles.is_old(NOW.plus(-2 * MOST)), "nor by a clock set back");
    assert_eq!(roles.witnesses(NOW), configured().witnesses(NOW), "the next may be theirs");
    assert_eq!(roles.anybody(&key("digger"), true, NOW), Err(old));
    assert_eq!(roles.anybody(&key("boss"), false, NOW), Ok(()));
    assert_eq!(
        roles.stake(&key("other"), NOW),
        Some(place(8, 80.0).stake),
        "its reports still weigh"
    );
}

#[test]
fn a_chain_without_validators_shuts_nobody_out() {
    let roles = configured().believing(&snapshot(1_000, &[row(9, "digger", 1, false)]), NOW);
    assert_eq!(roles.validator(&key("val"), NOW), Ok(place(1, 5.0)));
    assert_eq!(roles.stake(&key("val"), NOW), Some(place(1, 5.0).stake));
    assert_eq!(roles.validator(&key("digger"), NOW), Err(Denied::NoPermit { block: 1_000 }));
}

fn shut(roles: &Roles, all: &[(&str, Option<Millis>)]) -> Roles {
    let all = all.iter().map(|(name, until)| (key(name), *until));
    roles.shutting_out(Arc::new(all.collect()))
}

#[test]
fn whoever_is_shut_out_is_nobody_until_its_time() {
    let end = NOW.plus(5);
    for open in [configured(), chain(NOW)] {
        let all = [("val", Some(end)), ("other", None), ("digger", None), ("worker", None)];
        let roles = shut(&open, &all);
        let denied = Denied::Quarantined { until: Some(end) };
        let last = end.plus(-1);
        assert_eq!(roles.validator(&key("val"), last), Err(denied));
        assert_eq!(roles.anybody(&key("val"), true, last), Err(denied));
        assert_eq!(roles.stake(&key("val"), last), Some(Stake::ZERO));
        assert_eq!(roles.witnesses(last).get(&key("val")), None, "nor does it tell of the chain");
        for name in ["digger", "worker"] {
            let denied = Err(Denied::Quarantined { until: None });
            assert_eq!(roles.miner(&key(name), NOW), denied, "{name}");
        }
        assert_eq!(roles.stake(&key("other"), NOW), Some(Stake::ZERO));
        assert_eq!(roles.validator(&key("val"), end), open.validator(&key("val"), end));
        assert_eq!(roles.stake(&key("val"), end), open.stake(&key("val"), end));
        assert_eq!(roles.witnesses(end), open.witnesses(end));
        let free = shut(&roles, &[]);
        assert_eq!(free.miner(&key("digger"), NOW), open.miner(&key("digger"), NOW));
    }
    assert!(Denied::Quarantined { until: Some(Millis(0)) }.to_string().contains("1970-01-01"));
}

#[test]
fn operators_are_never_shut_out_and_a_newer_chain_lets_nobody_in() {
    let roles = shut(&chain(NOW), &[("boss", None), ("val", None)]);
    assert_eq!(roles.anybody(&key("boss"), false, NOW), Ok(()));
    let newer = roles.believing(&snapshot(2_000, &[row(7, "val", 70, true)]), NOW);
    assert_eq!(newer.validator(&key("val"), NOW), Err(Denied::Quarantined { until: None }));
}

proptest! {
    /// Whoever is not on the operator's list has a role only by a fresh snapshot that lists it.
    #[test]
    fn nobody_has_a_role_by_an_old_snapshot(age in 0..3 * MOST, permit: bool, listed: bool) {
        let mut rows = vec![row(1, "val", 5, true)];
        rows.extend(listed.then(|| row(2, "one", 5, permit)));
        let roles = configured().believing(&snapshot(1_000, &rows), NOW.plus(-age));
        let fresh = age <= MOST;
        prop_assert_eq!(roles.validator(&key("one"), NOW).is_ok(), fresh && listed && permit);
        prop_assert_eq!(roles.miner(&key("one"), NOW).is_ok(), fresh && listed);
        prop_assert_eq!(roles.anybody(&key("one"), true, NOW).is_ok(), fresh && listed);
        prop_assert!(roles.validator(&key("val"), NOW).is_ok());
    }
}
