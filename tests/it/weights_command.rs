//! `pithead weights compute`, run as an operator runs it.

use std::fs::File;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::on_text::{err, out, run};

/// Runs the command on this text.
fn compute(text: &str, args: &[&str]) -> Output {
    run(["weights", "compute"], text, args)
}

fn computed(input: &Value, args: &[&str]) -> Value {
    let output = compute(&input.to_string(), &[&["--json"], args].concat());
    assert!(output.status.success(), "{output:?}");
    let text = out(&output);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// What is said of an input that no weights can be made of.
fn refused(input: &str) -> String {
    let output = compute(input, &["--json"]);
    assert_eq!(output.status.code(), Some(2), "{input}: {output:?}");
    assert_eq!(out(&output), "");
    err(&output)
}

/// Scores of W, G and S; those below 0 are not there.
const GOLDEN: [[f64; 3]; 12] = [
    [0.90, 0.95, -1.0],
    [0.85, -1.0, 0.70],
    [0.80, 0.93, 0.60],
    [0.75, 0.92, -1.0],
    [0.70, -1.0, 0.55],
    [0.65, 0.90, 0.50],
    [0.60, 0.89, 0.45],
    [0.55, 0.88, 0.40],
    [0.50, 0.87, 0.35],
    [0.45, 0.86, 0.30],
    [0.40, 0.85, 0.25],
    [-1.0, 0.97, -1.0],
];

fn golden(policy: &str) -> Value {
    let mut scores = Vec::new();
    for (uid, row) in GOLDEN.iter().enumerate() {
        for (kind, score) in ["W", "G", "S"].iter().zip(row).filter(|(_, score)| **score >= 0.0) {
            scores.push(json!({ "uid": uid, "kind": kind, "score": score }));
        }
    }
    json!({
        "policy": policy,
        "kinds": [
            { "name": "W", "weight": 0.70, "sigmoid": false },
            { "name": "G", "weight": 0.15, "sigmoid": true },
            { "name": "S", "weight": 0.15, "sigmoid": false },
        ],
        "scores": scores,
    })
}

fn near(value: &Value, expected: f64, within: f64) -> bool {
    (value.as_f64().unwrap() - expected).abs() <= within
}

#[test]
fn the_golden_vector_comes_out_with_exactly_the_named_fields() {
    let answer = computed(&golden("original"), &[]);
    let records = answer["records"].as_array().unwrap();
    let final_weights = [
        0.46068095, 0.01562918, 0.50379994, 0.00356203, 0.00320088, 0.00365530, 0.00298321,
        0.00226189, 0.00160338, 0.00110945, 0.00079077, 0.00072303,
    ];
    assert_eq!(records.len(), final_weights.len());
    for ((record, weight), uid) in records.iter().zip(final_weights).zip(0..) {
        assert_eq!(record["uid"], uid);
        assert!(near(&record["weight"], weight, 5e-9), "{record}");
        let mut names: Vec<_> = record.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        let expected = [
            "diversity_weight",
            "excellence_weight",
            "raw_calculated_weight",
            "scoring_pathway",
            "uid",
            "weight",
            "weight_u16",
        ];
        assert_eq!(names, expected);
    }
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    let (first, last) = (&records[0], &records[11]);
    assert!(near(&first["excellence_weight"], 0.63, 5e-7), "{first}");
    assert!(near(&first["diversity_weight"], 0.897_087, 5e-7), "{first}");
    assert_eq!(first["raw_calculated_weight"], first["diversity_weight"]);
    assert_eq!(first["scoring_pathway"], "diversity");
    assert_eq!(last["scoring_pathway"], "excellence");
    assert_eq!(records[2]["weight_u16"], 65_535);
    assert_eq!(records[11]["weight_u16"], 94);
}

#[test]
fn the_default_policy_is_also_what_is_taken_when_none_is_named() {
    let named = golden("default");
    let mut unnamed = named.clone();
    unnamed.as_object_mut().unwrap().remove("policy");
    let answer = computed(&named, &[]);
    assert_eq!(computed(&unnamed, &[]), answer);
    assert!(near(&answer["records"][0]["excellence_weight"], 0.865_823, 5e-7), "{answer}");
}

#[test]
fn the_order_of_the_scores_changes_no_byte() {
    let mut input = golden("default");
    let run = |input: &Value| compute(&input.to_string(), &["--json", "--trace"]).stdout;
    let expected = run(&input);
    assert!(!expected.is_empty());
    for turn in 1..4 {
        let scores = input["scores"].as_array_mut().unwrap();
        scores.rotate_left(turn * 3);
        scores.swap(0, 5);
        assert_eq!(run(&input), expected);
    }
}

#[test]
fn the_trace_has_every_number_between() {
    let answer = computed(&golden("original"), &["--trace"]);
    assert!(near(&answer["transform"]["midpoint"], 0.794_722_904_1, 5e-11), "{answer}");
    assert_eq!(answer["transform"]["rank_fallback"], false);
    assert_eq!(answer["excellence_boost"], 1.0);
    assert_eq!(answer["policy_hash"].as_str().unwrap().len(), 64);
    assert_eq!(answer["kinds"][1]["sigmoid"]["slope"], 30.0);
    let record = &answer["records"][0];
    assert_eq!(record["uid"], 0);
    assert_eq!(record["excellence_qualified_tasks"], json!(["W", "G"]));
    assert_eq!(record["multi_task_bonus"], 1.0);
    let task = &record["tasks"][0];
    assert_eq!((&task["kind"], &task["score"]), (&json!("W"), &json!(0.9)));
    assert_eq!(task["percentile_rank"], 100.0);
    assert!(near(&task["multiplier"], 1.195_062, 5e-7), "{task}");
    let output = compute(&golden("original").to_string(), &["--trace"]);
    assert_eq!(output.status.code(), Some(2), "a table has no room for it: {output:?}");
}

#[test]
fn no_scores_are_no_records() {
    for kinds in [json!([]), json!([{ "name": "W", "weight": 1 }])] {
        let answer = computed(&json!({ "kinds": kinds, "scores": [] }), &[]);
        assert_eq!(answer, json!({ "records": [] }));
    }
}

#[test]
fn wrong_fields_are_refused_with_their_place() {
    let with = |pointer: &str, value: &str| {
        let mut input = golden("original");
        *input.pointer_mut(pointer).unwrap() = json!("@");
        input.to_string().replace("\"@\"", value)
    };
    for (pointer, value, expected) in [
        ("/policy", "\"newest\"", "`policy` must be `original` or `default`"),
        ("/policy", "7", "`policy` must be"),
        ("/kinds", "{}", "`kinds` must be a list"),
        ("/kinds/1", "[\"G\",0.1,true]", "`kinds[1]` must be an object"),
        ("/kinds/1/name", "7", "`kinds[1].name` must be a text"),
        ("/kinds/1/name", "\"\"", "`kinds[1].name` must have 1 to 120 characters"),
        ("/kinds/1/name", "\"W\"", "`kinds[1].name` is that of `kinds[0]`"),
        ("/kinds/1/weight", "-0.1", "`kinds[1].weight` must be 0 to 1, not -0.1"),
        ("/kinds/1/weight", "1.5", "`kinds[1].weight` must be 0 to 1, not 1.5"),
        ("/kinds/1/weight", "\"1\"", "`kinds[1].weight` must be a number"),
        ("/kinds/1/weight", "Infinity", "`kinds[1].weight` must be a number"),
        ("/kinds/1/sigmoid", "1", "`kinds[1].sigmoid` must be true or false"),
        ("/scores", "7", "`scores` must be a list"),
        ("/scores/3", "7", "`scores[3]` must be an object"),
        ("/scores/3/uid", "-1", "`scores[3].uid` must be a whole number, 0 to 65535"),
        ("/scores/3/uid", "65536", "`scores[3].uid` must be"),
        ("/scores/3/uid", "1.5", "`scores[3].uid` must be"),
        ("/scores/3/uid", "\"1\"", "`scores[3].uid` must be"),
        ("/scores/3/kind", "\"X\"", "`scores[3].kind` is `X`, which `kinds` does not list"),
        ("/scores/3/kind", "null", "`scores[3].kind` is missing"),
        ("/scores/3/score", "1.01", "`scores[3].score` must be 0 to 1, not 1.01"),
        ("/scores/3/score", "-1e-9", "`scores[3].score` must be 0 to 1"),
        ("/scores/3/score", "1e999", "`scores[3].score` must be a number"),
        ("/scores/3/score", "NaN", "`scores[3].score` must be a number"),
        ("/scores/3/score", "true", "`scores[3].score` must be a number"),
        ("/scores/1/kind", "\"W\"", "`scores[1]` has the `uid` and `kind` of `scores[0]`"),
    ] {
        let said = refused(&with(pointer, value));
        assert!(said.contains(expected), "{pointer} = {value}: {said}");
    }
}

#[test]
fn missing_and_misspelt_fields_are_named() {
    for (parent, field, place) in [
        ("", "kinds", "`kinds` is missing"),
        ("", "scores", "`scores` is missing"),
        ("/kinds/2", "name", "`kinds[2].name` is missing"),
        ("/kinds/2", "weight", "`kinds[2].weight` is missing"),
        ("/scores/4", "uid", "`scores[4].uid` is missing"),
        ("/scores/4", "kind", "`scores[4].kind` is missing"),
        ("/scores/4", "score", "`scores[4].score` is missing"),
    ] {
        let mut input = golden("original");
        let fields = input.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        let value = fields.remove(field).unwrap();
        let said = refused(&input.to_string());
        assert!(said.contains(place), "{said}");
        let fields = input.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        fields.insert(field.to_owned() + "x", value);
        let said = refused(&input.to_string());
        assert!(said.contains(&format!("unknown field `{field}x`")), "{said}");
    }
    for text in ["", "[]", "7", "{", "{}x", "[\"original\",[],[]]", "\u{0}", &"[".repeat(100_000)] {
        let said = refused(text);
        assert!(said.contains("no object of `policy`, `kinds` and `scores`"), "{said}");
        assert!(said.len() < 400, "{said}");
    }
    let long = format!("{{\"{}\": 1}}", "x".repeat(100_000));
    assert!(refused(&long).len() < 400);
}

#[test]
fn files_are_read_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scores.json");
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pithead"));
        command.args(["weights", "compute", "--json", "--from"]).arg(&path).output().unwrap()
    };
    let absent = run();
    assert_eq!(absent.status.code(), Some(2), "{absent:?}");
    assert!(err(&absent).contains("scores.json"), "{absent:?}");
    std::fs::write(&path, golden("original").to_string()).unwrap();
    assert!(run().status.success());
    // Of holes only: nothing of it is on the disk.
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let long = run();
    assert_eq!(long.status.code(), Some(2), "{long:?}");
    assert!(err(&long).contains("is longer than 134217728 bytes"), "{long:?}");
}

#[test]
fn without_json_people_get_a_table() {
    let words = |input: &Value| -> Vec<String> {
        let output = compute(&input.to_string(), &[]);
        assert!(output.status.success(), "{output:?}");
        let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        out(&output).lines().map(line).collect()
    };
    let table = words(&golden("original"));
    assert_eq!(table[0], "miner excellence diversity raw pathway weight u16");
    assert_eq!(table[1], "0 0.630000 0.897087 0.897087 diversity 0.46068095 59926");
    assert_eq!(table.len(), 13);
    let score = |uid| json!({ "uid": uid, "kind": "W", "score": 0.5 });
    let alike = json!({ "kinds": [{ "name": "W", "weight": 1 }], "scores": [score(0), score(1)] });
    let table = words(&alike);
    assert!(table.last().unwrap().contains("places count"), "{table:?}");
}
