//! `pithead consensus merge`, run as an operator runs it.

use std::fmt::Write as _;
use std::fs::File;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::on_text::{err, out, run};

/// Runs the command on this text.
fn merge(text: &str, args: &[&str]) -> Output {
    run(["consensus", "merge"], text, args)
}

/// The JSON of reports that can be merged.
fn merged(reports: &Value, args: &[&str]) -> Value {
    merged_text(&reports.to_string(), args)
}

fn merged_text(reports: &str, args: &[&str]) -> Value {
    let output = merge(reports, &[&["--json"], args].concat());
    assert!(output.status.success(), "{output:?}");
    let text = out(&output);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// What is said of reports that cannot be merged.
fn refused(reports: &str) -> String {
    let output = merge(reports, &["--json"]);
    assert_eq!(output.status.code(), Some(2), "{reports}: {output:?}");
    assert_eq!(out(&output), "");
    err(&output)
}

fn report(validator: u16, stake: f64, statuses: &Value) -> Value {
    json!({
        "validator": validator, "stake": stake, "epoch": 1, "sequence": validator,
        "received_at": "2026-01-01T00:00:00Z", "statuses": statuses,
    })
}

fn scored(validator: u16, performance: f64) -> Value {
    let status = json!({
        "uid": 7, "hotkey": "miner", "stake": 900.0, "is_serving": true,
        "performance_score": performance, "current_load": 1.5, "max_capacity": 5,
    });
    report(validator, 100.0, &json!([status]))
}

#[test]
fn numbers_come_on_the_scale_of_the_reports() {
    let answer = merged(&json!([scored(1, 0.8), scored(2, 0.8)]), &[]);
    assert_eq!(answer["rejected"], json!([]));
    let verdict = &answer["verdicts"][0];
    for (field, value) in [
        ("uid", json!(7)),
        ("hotkey", json!("miner")),
        ("stake", json!(900.0)),
        ("is_serving", json!(true)),
        ("performance_score", json!(0.8)),
        ("current_load", json!(1.5)),
        ("max_capacity", json!(5)),
        ("consensus_confidence", json!(1.0)),
        ("consensus_validators", json!([1, 2])),
        ("conflicts_detected", json!([])),
        ("single_source", json!(false)),
    ] {
        assert_eq!(verdict[field], value, "{field}: {answer}");
    }
}

#[test]
fn the_order_of_the_reports_changes_no_byte() {
    let mut reports: Vec<Value> = (0..6)
        .map(|n| {
            let status = json!({
                "uid": 7, "hotkey": "miner", "stake": 900 + n, "is_serving": n != 2,
                "performance_score": 0.5 + 0.03 * f64::from(n), "port": 8_000 + n,
            });
            report(n, 10.0 + f64::from(n), &json!([status, { "uid": n, "is_serving": true }]))
        })
        .collect();
    // One that changed its mind at the same time, and its stake.
    reports.push(report(3, 99.0, &json!([{ "uid": 7, "performance_score": 0.1 }])));
    let run = |reports: &[Value]| {
        let output = merge(&Value::from(reports.to_vec()).to_string(), &["--json"]);
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let expected = run(&reports);
    for turn in 1..reports.len() {
        reports.rotate_left(turn);
        reports.swap(0, 3);
        assert_eq!(run(&reports), expected);
    }
}

#[test]
fn one_liar_of_three_moves_the_seeds_average_and_not_the_robust_one() {
    let honest = [scored(1, 0.80), scored(2, 0.82)];
    let reports = json!([honest[0], honest[1], scored(3, 0.0)]);
    let performance = |args: &[&str]| {
        merged(&reports, args)["verdicts"][0]["performance_score"].as_f64().unwrap()
    };
    for args in [&[] as &[&str], &["--mode", "robust"]] {
        assert!((0.80..=0.82).contains(&performance(args)), "{}", performance(args));
    }
    assert!(performance(&["--mode", "seed"]) < 0.6);
}

#[test]
fn equal_halves_publish_their_conflict_and_no_value() {
    let of = |hotkey, serving| json!([{ "uid": 7, "hotkey": hotkey, "is_serving": serving }]);
    let reports = json!([report(1, 5.0, &of("a", true)), report(2, 5.0, &of("b", false))]);
    for mode in ["robust", "seed"] {
        let answer = merged(&reports, &["--mode", mode]);
        let verdict = &answer["verdicts"][0];
        let conflicts: Vec<_> = verdict["conflicts_detected"].as_array().unwrap().clone();
        assert!(conflicts.contains(&json!("is_serving")), "{mode}: {answer}");
        assert!(conflicts.contains(&json!("hotkey")), "{mode}: {answer}");
        assert_eq!(verdict["is_serving"], json!(null), "{mode}: {answer}");
        assert_eq!(verdict["hotkey"], json!(null), "{mode}: {answer}");
    }
}

#[test]
fn every_form_of_a_timestamp_is_the_same_moment() {
    let forms = [
        json!("2026-01-01T00:00:00Z"),
        json!("2026-01-01T02:00:00+02:00"),
        json!("2026-01-01T00:00:00"),
        json!("2026-01-01 00:00:00.000"),
        json!(1_767_225_600),
        json!(1_767_225_600.0),
        json!(1_767_225_600_000_i64),
        json!({ "seconds": 1_767_225_600, "nanos": 0 }),
        json!({ "_seconds": 1_767_225_600, "_nanoseconds": 0 }),
    ];
    for form in &forms {
        let status = json!({ "uid": 7, "is_serving": true, "last_seen": form });
        let mut one = report(1, 5.0, &json!([status]));
        one["received_at"] = form.clone();
        let answer = merged(&json!([one]), &[]);
        assert_eq!(answer["rejected"], json!([]), "{form}");
        let verdict = &answer["verdicts"][0];
        assert_eq!(verdict["last_seen"], "2026-01-01T00:00:00.000Z", "{form}: {answer}");
    }
}

#[test]
fn an_unknown_timestamp_costs_its_entry_or_names_its_report() {
    for form in [json!("yesterday"), json!(true), json!("1767225600"), json!(-1), json!([])] {
        let statuses = json!([{ "uid": 7, "last_seen": form }, { "uid": 8, "is_serving": true }]);
        let reports = json!([scored(1, 0.8), report(2, 5.0, &statuses)]);
        let output = merge(&reports.to_string(), &["--json"]);
        assert!(output.status.success(), "{output:?}");
        let answer: Value = serde_json::from_str(&out(&output)).unwrap();
        let rejected = &answer["rejected"];
        assert_eq!(rejected.as_array().unwrap().len(), 1, "{answer}");
        for (field, value) in [("report", 1), ("index", 0), ("uid", 7)] {
            assert_eq!(rejected[0][field], value, "{answer}");
        }
        assert_eq!(rejected[0]["field"], "last_seen");
        assert_eq!(answer["verdicts"].as_array().unwrap().len(), 2, "{answer}");
        let said = err(&output);
        assert!(
            said.contains("report 1, entry 0 (uid 7)") && said.contains("`last_seen`"),
            "{said}"
        );

        let mut late = scored(2, 0.8);
        late["received_at"] = form;
        let said = refused(&json!([scored(1, 0.8), late]).to_string());
        assert!(said.contains("report 1: `received_at`"), "{said}");
    }
}

#[test]
fn bad_input_is_refused_with_its_report_and_field() {
    let with = |field: &str, value: &str| {
        let good = scored(1, 0.8).to_string();
        let mut bad = scored(2, 0.8);
        bad[field] = json!("@");
        format!("[{good},{}]", bad.to_string().replace("\"@\"", value))
    };
    for (field, value) in [
        ("validator", "null"),
        ("validator", "[1]"),
        ("validator", "\"../x\""),
        ("stake", "-1"),
        ("stake", "\"much\""),
        ("stake", "1e309"),
        ("stake", "NaN"),
        ("epoch", "1.5"),
        ("epoch", "\"x\""),
        ("sequence", "{}"),
        ("partial", "2"),
        ("received_at", "{}"),
        ("statuses", "{}"),
        ("statuses", "7"),
    ] {
        let said = refused(&with(field, value));
        assert!(said.contains(&format!("report 1: `{field}`")), "{value}: {said}");
    }
    for field in ["validator", "received_at", "statuses"] {
        let mut bad = scored(2, 0.8);
        bad.as_object_mut().unwrap().remove(field);
        let said = refused(&json!([bad]).to_string());
        assert!(said.contains(&format!("report 0: `{field}` is missing")), "{said}");
    }
    for text in ["", "{}", "[", "7", "[1]", "[{}]x", "\u{0}", &"[".repeat(100_000)] {
        let said = refused(text);
        assert!(said.contains("no list of reports") || said.contains("report 0"), "{said}");
        assert!(said.len() < 400, "{said}");
    }
}

#[test]
fn bad_entries_are_left_out_alone_also_in_python_json() {
    let good = scored(1, 0.8).to_string();
    let bad = good.replace("0.8", "NaN").replace("\"validator\":1", "\"validator\":2");
    assert!(bad.contains("NaN"));
    let answer = merged_text(&format!("[{good},{bad}]"), &[]);
    assert_eq!(answer["rejected"][0]["field"], "performance_score", "{answer}");
    assert_eq!(answer["rejected"][0]["report"], 1, "{answer}");
    assert_eq!(answer["verdicts"][0]["consensus_validators"], json!([1]), "{answer}");
    let none = merged_text("[]", &[]);
    assert_eq!(none, json!({ "verdicts": [], "rejected": [] }));
}

#[test]
fn files_are_read_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reports.json");
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pithead"));
        command.args(["consensus", "merge", "--json", "--from"]).arg(&path).output().unwrap()
    };
    let absent = run();
    assert_eq!(absent.status.code(), Some(2), "{absent:?}");
    assert!(err(&absent).contains("reports.json"), "{absent:?}");
    std::fs::write(&path, json!([scored(1, 0.8)]).to_string()).unwrap();
    assert!(run().status.success());
    std::fs::write(&path, b"[\xff]").unwrap();
    assert!(err(&run()).contains("UTF-8"));
    // Of holes only: nothing of it is on the disk.
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let long = run();
    assert_eq!(long.status.code(), Some(2), "{long:?}");
    assert!(err(&long).contains("is longer than 268435456 bytes"), "{long:?}");
}

#[test]
fn without_json_people_get_a_table() {
    let of = |serving| json!([{ "uid": 7, "is_serving": serving, "performance_score": 0.8 }]);
    let reports = json!([report(1, 5.0, &of(true)), report(2, 5.0, &of(false))]);
    let output = merge(&reports.to_string(), &[]);
    assert!(output.status.success(), "{output:?}");
    let mut table = String::new();
    for line in out(&output).lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        writeln!(table, "{}", words.join(" ")).unwrap();
    }
    let head = "miner serving performance load stake confidence validators notes\n";
    assert!(table.starts_with(head), "{table}");
    assert!(table.contains("\n7 - 0.800 - - "), "{table}");
    assert!(table.contains(" 2 conflict: is_serving"), "{table}");
}
