//! A valid report, broken in one to four places. What comes out depends on the seed and the number.

use std::fmt::Write as _;

/// Miners of a valid report.
pub(super) const MINERS: usize = 4;

/// SplitMix64.
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64, number: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ number.wrapping_mul(0xD134_2543_DE82_EF95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    fn pick<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        &values[self.below(values.len())]
    }
}

/// What goes onto the wire, and how it came about.
pub(super) struct Sent {
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) story: Vec<String>,
}

/// Names with their raw JSON values, so that a name may come twice and a value be no JSON.
type Fields = Vec<(String, String)>;

enum Entry {
    Object(Fields),
    Junk(String),
}

struct Report {
    fields: Fields,
    entries: Vec<Entry>,
    /// In place of the list.
    list: Option<String>,
    as_form: bool,
}

pub(super) fn hotkey(uid: usize) -> String {
    format!("fuzzminer{uid}")
}

fn entry(uid: usize) -> Fields {
    let fields = [
        ("uid", uid.to_string()),
        ("hotkey", format!("\"{}\"", hotkey(uid))),
        ("ip", format!("\"10.0.0.{uid}\"")),
        ("port", "8091".to_owned()),
        ("is_serving", "true".to_owned()),
        ("stake", "512.5".to_owned()),
        ("performance_score", "0.75".to_owned()),
        ("current_load", "1".to_owned()),
        ("max_capacity", "5".to_owned()),
        ("last_seen", "\"2026-01-01T00:00:00.123456\"".to_owned()),
        ("task_type_specialization", r#"{"tts":{"total":3,"successful":3}}"#.to_owned()),
    ];
    fields.map(|(name, value)| (name.to_owned(), value)).into()
}

impl Report {
    fn new(validator: usize) -> Self {
        let fields = [("validator_uid", validator.to_string()), ("epoch", "7".to_owned())];
        Self {
            fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
            entries: (0..MINERS).map(|uid| Entry::Object(entry(uid))).collect(),
            list: None,
            as_form: false,
        }
    }

    fn list(&self) -> String {
        if let Some(list) = &self.list {
            return list.clone();
        }
        let raw = |entry: &Entry| match entry {
            Entry::Object(fields) => object(fields),
            Entry::Junk(raw) => raw.clone(),
        };
        let entries: Vec<_> = self.entries.iter().map(raw).collect();
        format!("[{}]", entries.join(","))
    }

    fn sent(&self, story: Vec<String>) -> Sent {
        let mut fields = self.fields.clone();
        fields.push(("miner_statuses".to_owned(), self.list()));
        let (content_type, body) = if self.as_form {
            // A form has no quotes around its texts.
            let bare = |raw: &str| raw.trim_matches('"').to_owned();
            let pairs: Vec<_> = fields.iter().map(|(name, raw)| (name, bare(raw))).collect();
            let body = serde_urlencoded::to_string(pairs).unwrap();
            ("application/x-www-form-urlencoded", body)
        } else {
            ("application/json", object(&fields))
        };
        Sent { content_type: Some(content_type.to_owned()), body: body.into_bytes(), story }
    }
}

fn object(fields: &Fields) -> String {
    let mut text = String::from("{");
    for (place, (name, raw)) in fields.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        write!(text, "{comma}\"{name}\":{raw}").unwrap();
    }
    text + "}"
}

/// A report with nothing wrong, of the next epoch: by chance a mutation repeats a sequence with
/// another body, which costs the validator its votes of that epoch.
pub(super) fn valid(validator: usize) -> Sent {
    let mut report = Report::new(validator);
    report.fields[1].1 = "8".to_owned();
    report.sent(Vec::new())
}

/// A report with one to four mutations.
pub(super) fn mutated(rng: &mut Rng, validator: usize) -> Sent {
    let mut report = Report::new(validator);
    report.as_form = rng.one_in(2);
    let mut story = vec![format!("form: {}", report.as_form)];
    let mut of_bytes = 0;
    for _ in 0..=rng.below(4) {
        match rng.below(20) {
            0..12 => mutate_entry(&mut report, rng, &mut story),
            12..17 => mutate_fields(&mut report, rng, &mut story),
            17 => mutate_list(&mut report, rng, &mut story),
            _ => of_bytes += 1,
        }
    }
    let mut sent = report.sent(story);
    for _ in 0..of_bytes {
        mutate_bytes(&mut sent, rng);
    }
    sent
}

/// Values that some field does not take.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1.5",
    "2",
    "65535",
    "65536",
    "1e309",
    "-1e309",
    "1e-400",
    "1e99999999999999999999",
    "NaN",
    "Infinity",
    "-Infinity",
    "18446744073709551616",
    "-9223372036854775809",
    "0.30000000000000004",
    "01",
    "+1",
    "0x10",
    ".5",
    "5.",
    "1_000",
    "\"\"",
    "\"1\"",
    "\"NaN\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\u202e\\u2066x\"",
    "\"ß→𝕏\u{301}\"",
    "\"../../etc/passwd\"",
    "\"' OR 1=1 --\"",
    "\"a b\"",
    "\"maybe\"",
    "\"2026-13-01T00:00:00Z\"",
    "\"9999999-01-01T00:00:00Z\"",
    "{\"seconds\":1e30}",
    "{\"seconds\":1,\"nanos\":-1}",
    "[]",
    "[1]",
    "{}",
    "[[]]",
    "[null]",
    "{\"a\":{\"b\":null}}",
    "[\"tts\",\"tts\",7]",
    "\"tts,,tts\"",
    "tru",
    "\"",
    "'x'",
    "{\"\":\"\"}",
    "1767225600000000",
    "-1767225600",
    "\"::1\"",
    "\"256.1.1.1\"",
    "\"127.0.0.1:80\"",
];

fn value(rng: &mut Rng) -> String {
    match rng.below(40) {
        0 => "[".repeat(150) + &"]".repeat(150),
        1 => "{\"a\":".repeat(60) + "1" + &"}".repeat(60),
        2 => "[".repeat(20_000),
        3 => format!("\"{}\"", "x".repeat(1 + rng.below(60_000))),
        4 => "9".repeat(1 + rng.below(3_000)),
        5 => format!("0.{}1", "0".repeat(rng.below(3_000))),
        6 => format!("\"{}\"", "\u{1F980}".repeat(1 + rng.below(300))),
        7 => format!("[{}]", vec!["\"kind\""; 1 + rng.below(100)].join(",")),
        8 => format!("{}e{}", rng.below(10), rng.below(700)),
        9 => format!("-{}", rng.below(1_000_000)),
        _ => (*rng.pick(VALUES)).to_owned(),
    }
}

fn name(rng: &mut Rng) -> String {
    match rng.below(8) {
        0 => String::new(),
        1 => "UID".to_owned(),
        2 => "n".repeat(1 + rng.below(5_000)),
        3 => "\\u0000\\n".to_owned(),
        4 => "\u{202e}uid".to_owned(),
        5 => "external_ip".to_owned(),
        6 => "__proto__".to_owned(),
        _ => format!("more{}", rng.below(50)),
    }
}

fn mutate_entry(report: &mut Report, rng: &mut Rng, story: &mut Vec<String>) {
    let place = rng.below(report.entries.len());
    let kind = rng.below(20);
    let Some(Entry::Object(fields)) = report.entries.get_mut(place) else { return };
    let at = rng.below(fields.len());
    match kind {
        0..10 if !fields.is_empty() => {
            fields[at].1 = value(rng);
            story.push(format!("entry {place}: another {}", fields[at].0));
        }
        10 | 11 if !fields.is_empty() => {
            let (name, _) = fields.remove(at);
            story.push(format!("entry {place}: no {name}"));
        }
        12 if !fields.is_empty() => {
            let again = (fields[at].0.clone(), value(rng));
            story.push(format!("entry {place}: {} twice", again.0));
            fields.push(again);
        }
        13..16 => {
            story.push(format!("entry {place}: one field more"));
            fields.push((name(rng), value(rng)));
        }
        16 | 17 => {
            story.push(format!("entry {place}: its uid again"));
            let copy = fields.clone();
            report.entries.push(Entry::Object(copy));
        }
        18 => {
            story.push(format!("entry {place}: junk"));
            report.entries[place] = Entry::Junk(value(rng));
        }
        _ => {
            story.push(format!("no entry {place}"));
            report.entries.remove(place);
        }
    }
}

fn mutate_fields(report: &mut Report, rng: &mut Rng, story: &mut Vec<String>) {
    let at = rng.below(report.fields.len());
    match rng.below(10) {
        0..3 if !report.fields.is_empty() => {
            report.fields[at].1 = value(rng);
            story.push(format!("another {}", report.fields[at].0));
        }
        3 if !report.fields.is_empty() => {
            let (name, _) = report.fields.remove(at);
            story.push(format!("no {name}"));
        }
        4 if !report.fields.is_empty() => {
            let again = report.fields[at].clone();
            story.push(format!("{} twice", again.0));
            report.fields.push(again);
        }
        5 | 6 => {
            let epochs =
                ["99999999999", "9223372036854775807", "9223372036854775808", "-1", "1e18"];
            let epoch = (*rng.pick(&epochs)).to_owned();
            story.push(format!("epoch {epoch}"));
            report.fields.retain(|(name, _)| name != "epoch");
            report.fields.push(("epoch".to_owned(), epoch));
        }
        7 => {
            let name = *rng.pick(&["sequence", "partial", "signature", "timestamp"]);
            story.push(format!("a {name}"));
            report.fields.push((name.to_owned(), value(rng)));
        }
        8 => {
            let uid = rng.pick(&["0", "200", "201", "202", "65535", "\"200\"", "200.0"]);
            story.push(format!("validator {uid}"));
            report.fields.retain(|(name, _)| name != "validator_uid");
            report.fields.push(("validator_uid".to_owned(), (*uid).to_owned()));
        }
        _ => {
            story.push("one field more".to_owned());
            report.fields.push((name(rng), value(rng)));
        }
    }
}

fn mutate_list(report: &mut Report, rng: &mut Rng, story: &mut Vec<String>) {
    let list = report.list();
    let (what, list) = match rng.below(60) {
        0 => ("100,000 miners", numbered(100_000, |uid| uid)),
        1 => ("8,193 miners", numbered(8_193, |uid| uid % MINERS)),
        2 => ("3,000 times the same uid", numbered(3_000, |_| 1)),
        3 => ("five million spaces", format!("[{}]", " ".repeat(5_000_000))),
        4 => ("a text of half a megabyte", format!("[\"{}\"]", "x".repeat(500_000))),
        5..15 => ("a list in a text", serde_json::Value::from(list).to_string()),
        15..20 => ("a list in a list", format!("[{list}]")),
        20..25 => ("an object of lists", format!("{{\"miners\":{list}}}")),
        25..30 => ("no end", list[..list.len() - 1].to_owned()),
        30..35 => ("something behind", list + "]"),
        35..40 => ("an empty list", "[]".to_owned()),
        _ => ("something else", value(rng)),
    };
    story.push(what.to_owned());
    report.list = Some(list);
}

fn numbered(count: usize, uid: impl Fn(usize) -> usize) -> String {
    let entries: Vec<_> =
        (0..count).map(|n| format!("{{\"uid\":{},\"is_serving\":true}}", uid(n))).collect();
    format!("[{}]", entries.join(","))
}

const TYPES: &[&str] = &[
    "application/json",
    "application/x-www-form-urlencoded",
    "application/json; charset=utf-16",
    "application/problem+json",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "text/plain",
    "application/octet-stream",
    "APPLICATION/JSON",
    "application/json;;;",
    "/",
    "json",
];

fn mutate_bytes(sent: &mut Sent, rng: &mut Rng) {
    let length = sent.body.len();
    let at = rng.below(length);
    let what = match rng.below(12) {
        0 | 1 => {
            sent.content_type = Some((*rng.pick(TYPES)).to_owned());
            "another content type"
        }
        2 => {
            sent.content_type = None;
            "no content type"
        }
        3 => {
            sent.body.truncate(at);
            "cut off"
        }
        4 if length > 0 => {
            sent.body[at] ^= 1 << rng.below(8);
            "a bit"
        }
        5 => {
            sent.body.insert(at, rng.next() as u8);
            "a byte more"
        }
        6 if length > 0 => {
            sent.body.remove(at);
            "a byte less"
        }
        7 => {
            let bytes = *rng.pick(&[
                &b"\xff\xfe"[..],
                b"\xc0\x80",
                b"%",
                b"%zz",
                b"%00",
                b"%ff",
                b"\xed\xa0\x80",
                b"&&=&",
                b"\0",
                b"\\",
            ]);
            sent.body.splice(at..at, bytes.iter().copied());
            "bytes that are no text"
        }
        8 => {
            let wide = sent.body.iter().flat_map(|byte| [*byte, 0]);
            sent.body = [0xff, 0xfe].into_iter().chain(wide).collect();
            "UTF-16"
        }
        9 => {
            sent.body = [&b"\xef\xbb\xbf"[..], &sent.body].concat();
            "a byte order mark"
        }
        10 => {
            let end = (at + rng.below(200)).min(length);
            let part = sent.body[at..end].to_vec();
            sent.body.extend(part);
            "a part again"
        }
        _ => {
            sent.body.reverse();
            "backwards"
        }
    };
    sent.story.push(what.to_owned());
}
