use proptest::prelude::*;

use super::*;

fn parse(json: &str) -> ParsedReport {
    parse_statuses(json, &ReportLimits::default()).unwrap()
}

fn refusal(entry: &str) -> (String, String) {
    let neighbours = format!("[{{\"uid\":1}},{entry},{{\"uid\":3}}]");
    let report = parse(&neighbours);
    let taken: Vec<u16> = report.statuses.iter().map(|status| status.uid.0).collect();
    assert_eq!(taken, [1, 3], "neighbours of {entry}");
    assert_eq!(report.rejections.len(), 1, "{entry}");
    assert_eq!(report.rejections[0].index, 1);
    (report.rejections[0].field.clone(), report.rejections[0].reason.clone())
}

#[test]
fn a_status_as_real_clients_send_it_is_taken() {
    let report = parse(
        r#"[{"uid": 0, "hotkey": "5Grw", "ip": "10.0.0.7", "port": 8091, "external_ip": "1.2.3.4",
        "external_port": 99, "is_serving": true, "stake": 1000.5, "performance_score": 0.85,
        "current_load": 2.5, "max_capacity": 5, "last_seen": "2025-06-01T12:00:00.123456",
        "task_type_specialization": {"tts": {"total": 4}, "transcription": {"total": 1}}}]"#,
    );
    assert_eq!(report.rejections, []);
    let status = &report.statuses[0];
    assert_eq!(status.uid, MinerUid(0));
    assert_eq!(status.stake.map(Stake::rao), Some(1_000_500_000_000));
    assert_eq!(status.performance.map(Score::millionths), Some(850_000));
    assert_eq!(status.load_millionths, Some(2_500_000));
    assert_eq!(status.specialization.as_ref().map(Kinds::as_str), Some("transcription,tts"));
    assert_eq!(status.other.as_deref(), Some(r#"{"external_ip":"1.2.3.4","external_port":99}"#));
}

#[test]
fn nulls_are_missing_fields() {
    let report = parse(r#"[{"uid":5,"hotkey":null,"stake":null,"last_seen":null}]"#);
    assert_eq!(report.statuses, [MinerStatus::new(MinerUid(5))]);
}

#[test]
fn all_three_shapes_of_specialization_are_one() {
    for shape in [r#""tts,Video-Transcription""#, r#"["video_transcription","tts","tts"]"#] {
        let report = parse(&format!("[{{\"uid\":1,\"task_type_specialization\":{shape}}}]"));
        let kinds = report.statuses[0].specialization.clone().unwrap();
        assert_eq!(kinds.names().collect::<Vec<_>>(), ["tts", "video_transcription"]);
    }
}

#[test]
fn a_bad_entry_names_its_field_and_spares_its_neighbours() {
    for (entry, field, reason) in [
        ("7", "entry", "object"),
        ("1e999", "entry", "object"),
        ("[]", "entry", "object"),
        ("{}", "uid", "missing"),
        (r#"{"uid":null}"#, "uid", "missing"),
        (r#"{"uid":-1}"#, "uid", "negative"),
        (r#"{"uid":65536}"#, "uid", "65535"),
        (r#"{"uid":1.5}"#, "uid", "whole"),
        (r#"{"uid":"2"}"#, "uid", "quotes"),
        (r#"{"uid":1}"#, "uid", "twice in this report"),
        (r#"{"uid":2,"uid":9}"#, "uid", "given twice"),
        (r#"{"uid":2,"hotkey":5}"#, "hotkey", "text"),
        (r#"{"uid":2,"hotkey":""}"#, "hotkey", "hotkey"),
        (r#"{"uid":2,"hotkey":"\ud800"}"#, "hotkey", "text"),
        (r#"{"uid":2,"stake":-1}"#, "stake", "negative"),
        (r#"{"uid":2,"stake":1e10}"#, "stake", "9.2e9"),
        (r#"{"uid":2,"stake":"5"}"#, "stake", "quotes"),
        (r#"{"uid":2,"stake":NaN}"#, "stake", "finite"),
        (r#"{"uid":2,"stake":-Infinity}"#, "stake", "finite"),
        (r#"{"uid":2,"performance_score":"nan"}"#, "performance_score", "finite"),
        (r#"{"uid":2,"performance_score":1e999}"#, "performance_score", "too large"),
        (r#"{"uid":2,"performance_score":1.1}"#, "performance_score", "0 to 1"),
        (r#"{"uid":2,"performance_score":-0.1}"#, "performance_score", "negative"),
        (r#"{"uid":2,"performance_score":[0.1]}"#, "performance_score", "number"),
        (r#"{"uid":2,"is_serving":"true"}"#, "is_serving", "true or false"),
        (r#"{"uid":2,"is_serving":1}"#, "is_serving", "true or false"),
        (r#"{"uid":2,"current_load":1000001}"#, "current_load", "1000000"),
        (r#"{"uid":2,"max_capacity":0}"#, "max_capacity", "1 to 100000"),
        (r#"{"uid":2,"max_capacity":2.5}"#, "max_capacity", "whole"),
        (r#"{"uid":2,"task_type_specialization":5}"#, "task_type_specialization", "must be"),
        (r#"{"uid":2,"task_type_specialization":["a b"]}"#, "task_type_specialization", "names"),
        (r#"{"uid":2,"task_type_specialization":[1]}"#, "task_type_specialization", "must be"),
        (r#"{"uid":2,"ip":"999.1.1.1"}"#, "ip", "address"),
        (r#"{"uid":2,"port":70000}"#, "port", "65535"),
        (r#"{"uid":2,"last_seen":"soon"}"#, "last_seen", "timestamp"),
        (r#"{"uid":2,"deep":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}"#, "deep", "deep"),
    ] {
        let (got_field, got_reason) = refusal(entry);
        assert_eq!(got_field, field, "{entry}: {got_reason}");
        assert!(got_reason.contains(reason), "{entry}: {got_reason}");
    }
    let long = format!("{{\"uid\":2,\"note\":\"{}\"}}", "x".repeat(2_000));
    assert_eq!(refusal(&long).0, "note");
}

#[test]
fn a_refused_entry_does_not_take_its_uid() {
    let report = parse(r#"[{"uid":4,"stake":-1},{"uid":4,"stake":1}]"#);
    assert_eq!((report.statuses.len(), report.rejections.len()), (1, 1));
    assert_eq!(report.rejections[0].uid, Some(4));
}

#[test]
fn a_body_that_is_no_list_is_refused_whole() {
    let limits = ReportLimits { miners_max: 2, bytes_max: 100, ..ReportLimits::default() };
    let refused = |json: &str| parse_statuses(json, &limits).unwrap_err();
    for json in ["{}", "5", "null", "\"x\""] {
        assert_eq!(refused(json), ReportError::NotAList, "{json}");
    }
    for json in ["", "[", "[{\"uid\":1}", "[1,]", "[NaN", "\u{0}", "[{\"uid\":1 \"b\":2}]"] {
        assert!(matches!(refused(json), ReportError::NotJson(_)), "{json}");
    }
    assert_eq!(refused("[1,2,3]"), ReportError::TooManyMiners { max: 2 });
    assert_eq!(refused(&" ".repeat(101)), ReportError::TooLong { max: 100 });
    assert_eq!(parse("[]"), ParsedReport::default());
}

#[test]
fn confidence_falls_with_missing_fields_and_never_exceeds_one() {
    let bare = MinerStatus::new(MinerUid(1));
    assert_eq!(report_confidence(&bare, 0).millionths(), 800_000);
    assert_eq!(report_confidence(&bare, 10 * MINUTE).millionths(), 750_000);
    assert_eq!(report_confidence(&bare, 15 * MINUTE).millionths(), 700_000);
    let scored = MinerStatus { performance: Some(Score::ZERO), ..bare };
    assert_eq!(report_confidence(&scored, 15 * MINUTE).millionths(), 750_000);
    let full = MinerStatus {
        hotkey: Some(Hotkey::parse("a").unwrap()),
        stake: Some(Stake::ZERO),
        is_serving: Some(true),
        ..scored
    };
    assert_eq!(report_confidence(&full, 0), Score::ONE);
}

proptest! {
    #[test]
    fn canonical_form_reads_back_equal(
        uid in any::<u16>(), rao in proptest::option::of(0..9_200_000_000_000_000_000_i64),
        score in proptest::option::of(0..=1_000_000_i64),
        load in proptest::option::of(0..=LOAD_MILLIONTHS_MAX),
        serving in any::<Option<bool>>(), port in any::<Option<u16>>(), v4 in any::<Option<u32>>(),
        seen in proptest::option::of(0..253_402_300_799_999_i64), note in any::<Option<String>>(),
    ) {
        let other = note.filter(|note| note.len() < 100);
        let status = MinerStatus {
            uid: MinerUid(uid),
            hotkey: Some(Hotkey::parse("5F-x_9").unwrap()),
            stake: rao.map(Stake::from_rao),
            is_serving: serving,
            performance: score.map(Score::clamped),
            load_millionths: load,
            capacity: Some(5),
            specialization: Kinds::from_names(vec!["tts".into(), "a.b".into()]),
            ip: v4.map(|bits| IpAddr::V4(bits.into())),
            port,
            last_seen: seen.map(Millis),
            other: other.map(|note| serde_json::json!({ "note": note }).to_string().into()),
        };
        let report = parse(&canonical_json(std::slice::from_ref(&status)));
        prop_assert_eq!(report.rejections, vec![]);
        prop_assert_eq!(&report.statuses, &vec![status]);
    }

    #[test]
    fn no_text_makes_the_door_panic(text in "\\PC*", wrapped in "[\\[\\]{}\":,a-z0-9NaIinfty.eE+ -]*") {
        let _ = parse_statuses(&text, &ReportLimits::default());
        let _ = parse_statuses(&format!("[{wrapped}]"), &ReportLimits::default());
    }
}

#[test]
fn a_refusal_always_has_a_name_for_the_field() {
    let long = "x".repeat(2_000);
    let text = format!(r#"[{{"uid":1,"":"{long}"}}]"#);
    let parsed = parse_statuses(&text, &ReportLimits::default()).unwrap();
    assert_eq!(parsed.rejections[0].field, "(empty name)");
}
