use super::*;

fn fact(n: u16) -> Fact {
    Fact::new(SYSTEM, "weights.drift", &format!("submission {n}"), &json!({ "n": n, "a": [n] }))
}

fn log(writer: &str, entries: u16) -> Vec<Entry> {
    let mut head = Head::default();
    (1..=entries).map(|n| head.link(writer, fact(n), Millis(n.into()))).collect()
}

fn broken(entries: &[Entry]) -> (i64, Fault) {
    let broken = verify(entries).unwrap_err();
    (broken.seq, broken.fault)
}

#[test]
fn a_whole_log_is_whole() {
    assert_eq!(verify(&[]), Ok(0));
    let mut entries = log("49", 5);
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(verify(&entries), Ok(5));
    entries.extend(log("50", 2));
    assert_eq!(verify(&entries), Ok(7), "each writer has a log of its own");
}

/// The form is fixed: entries that are stored must be whole for all later versions.
#[test]
fn the_hash_is_the_one_that_it_always_was() {
    let entry = Head::default().link("49", fact(1), Millis(7));
    assert_eq!(
        hex::encode(entry.hash),
        "9ff5e1f965ba50a29583951af0915affbd2eff517cff1a07dc3f29707c6e4418"
    );
}

#[test]
fn every_column_is_covered() {
    let alter: [fn(&mut Entry); 8] = [
        |entry| entry.at = Millis(8),
        |entry| entry.fact.actor.push('x'),
        |entry| entry.fact.action.push('x'),
        |entry| entry.fact.subject.push('x'),
        |entry| entry.fact.detail = json!({ "n": 3 }),
        |entry| entry.hash = [7; 32],
        |entry| {
            let moved = entry.fact.action.remove(0);
            entry.fact.actor.push(moved);
        },
        |entry| entry.fact.detail["n"] = json!("3"),
    ];
    for (number, alter) in alter.into_iter().enumerate() {
        let mut entries = log("49", 5);
        alter(&mut entries[2]);
        assert_eq!(broken(&entries), (3, Fault::Altered), "{number}");
    }
    let mut moved = log("49", 5);
    moved.iter_mut().for_each(|entry| entry.writer = "50".to_owned());
    assert_eq!(broken(&moved), (1, Fault::Altered));
}

#[test]
fn what_is_taken_out_doubled_or_swapped_is_found() {
    let whole = log("49", 6);
    for gone in 0..5 {
        let mut entries = whole.clone();
        entries.remove(gone);
        let seq = i64::try_from(gone).unwrap() + 1;
        assert_eq!(broken(&entries), (seq, Fault::Missing));
        // Numbered anew, the gap shows in the hashes.
        for (entry, seq) in entries.iter_mut().zip(1..) {
            entry.seq = seq;
        }
        assert_eq!(broken(&entries), (seq, Fault::Altered));
    }
    let mut doubled = whole.clone();
    doubled.insert(3, whole[2].clone());
    assert_eq!(broken(&doubled), (3, Fault::Doubled));
    let mut swapped = whole.clone();
    swapped.swap(1, 2);
    assert_eq!(broken(&swapped), (2, Fault::Missing));
    // Swapped under their numbers, each stands where another one stood.
    (swapped[1].seq, swapped[2].seq) = (2, 3);
    assert_eq!(broken(&swapped), (2, Fault::Altered));
    let mut forged = whole;
    forged[2].fact.subject.push('x');
    forged[2].hash = forged[2].hash_behind(forged[1].hash);
    assert_eq!(broken(&forged), (4, Fault::Altered), "the next one tells");
}

#[test]
fn what_is_too_long_is_cut_with_a_mark() {
    let fits = "ä".repeat(AUDIT_TEXT_CHARS_MAX);
    let long = format!("{fits}ä");
    let kept = Fact::new(&fits, &fits, &fits, &Value::Null);
    assert_eq!((kept.actor(), kept.action(), kept.subject()), (&*fits, &*fits, &*fits));
    let cut = Fact::new(&long, &long, &long, &Value::Null);
    for text in [cut.actor(), cut.action(), cut.subject()] {
        assert_eq!(text.chars().count(), AUDIT_TEXT_CHARS_MAX);
        assert!(text.ends_with("ä…"), "{text}");
    }
    let room = AUDIT_DETAIL_BYTES_MAX - r#"{"a":""}"#.len();
    let fits = json!({ "a": "x".repeat(room) });
    assert_eq!(Fact::new("", "", "", &fits).detail(), &fits);
    for long in [json!({ "a": "x".repeat(room + 1) }), json!({ "a": "\"\\ä".repeat(room) })] {
        let fact = Fact::new("", "", "", &long);
        let size = fact.detail().to_string().len();
        assert!((1_000..=AUDIT_DETAIL_BYTES_MAX).contains(&size), "{size}");
        let text = fact.detail()["cut"].as_str().unwrap();
        assert!(text.starts_with(r#"{"a":""#) && text.ends_with('…'), "{text}");
    }
}

#[test]
fn a_detail_is_what_both_databases_give_back_unchanged() {
    let mut deep = json!(1);
    for _ in 0..=AUDIT_DEPTH_MAX {
        deep = json!([deep]);
    }
    let fact = Fact::new("a\0b", "", "", &json!({ "x\0": [0.5, 1e16, -0.0, 7, "a\0b"] }));
    assert_eq!(fact.actor(), "ab");
    assert_eq!(fact.detail(), &json!({ "x": ["0.5", "1e+16", "-0.0", 7, "ab"] }));
    let fact = Fact::new("", "", "", &deep);
    let mut inner = fact.detail();
    while let Some(next) = inner.get(0) {
        inner = next;
    }
    assert_eq!(inner, &json!("…"), "{}", fact.detail());
}
