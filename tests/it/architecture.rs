//! The one-way rule: which room may use which, what no room may touch, and how long a file may be.
//! The tables are the rule; what follows them reads the sources.

use std::path::{Path, PathBuf};

/// Rooms of `src` and the rooms that each may use besides itself. Those not listed as users of a
/// room cannot reach it. `app`, `cli` and `main` see everything, and nobody sees them.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("telemetry", &["config"]),
    ("shutdown", &[]),
    ("config", &["domain"]),
    ("identity", &["domain"]),
    ("outside", &["domain", "identity"]),
    ("store", &["domain", "telemetry"]),
    ("actors", &["domain", "store", "outside", "telemetry", "config"]),
    (
        "http",
        &["actors", "domain", "store", "outside", "identity", "config", "telemetry", "shutdown"],
    ),
    ("sim", &["domain", "identity"]),
];

/// Rooms that see everything.
const SEE_EVERYTHING: &[&str] = &["app", "cli", "main", "lib"];

/// Words that code may have only below these paths.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sea_orm", &["store/sql"]),
    ("sqlx", &["store/sql"]),
    ("pithead_migration", &["store/sql"]),
    ("pithead_entities", &["store/sql", "store/model"]),
    ("println!", &["cli", "main.rs"]),
    ("print!", &["cli", "main.rs"]),
    ("dbg!", &[]),
];

/// Words that the pure room may not have: no clock, no randomness of its own, no I/O, no runtime.
const NOT_IN_DOMAIN: &[&str] = &[
    "actix",
    "tokio",
    "async fn",
    "Utc::now",
    "Local::now",
    "SystemTime",
    "Instant",
    "rand::rng(",
    "thread_rng",
    "std::fs",
    "std::env",
    "std::net::Tcp",
    "std::net::Udp",
    "std::thread",
    "tracing::",
    "metrics::",
];

/// Lines that a file may have.
const LINES_MAX: usize = 500;

/// Files that are longer for now: plain values with their docs.
const LONGER: &[&str] = &[];

struct Source {
    /// Below `src`.
    path: String,
    text: String,
}

impl Source {
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Lines of code with their numbers; comments say what they like.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().zip(1..).map(|(line, number)| (number, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn below(&self, paths: &[&str]) -> bool {
        paths.iter().any(|path| Path::new(&self.path).starts_with(path))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                sources.push(Source { path, text });
            }
        }
    }
    assert!(!sources.is_empty());
    sources
}

/// Rooms that a line names: `crate::room`, and each of `crate::{a::.., b}`.
fn rooms_named(line: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    for (place, start) in line.match_indices("crate::") {
        let rest = &line[place + start.len()..];
        let list = rest.strip_prefix('{').map(|list| list.split(','));
        let paths: Vec<_> = list.map_or_else(|| vec![rest], Iterator::collect);
        for path in paths {
            let path = path.trim_start();
            let end = path.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            rooms.push(&path[..end.unwrap_or(path.len())]);
        }
    }
    rooms
}

fn assert_none(what: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{what}:\n{}", offences.join("\n"));
}

#[test]
fn rooms_use_only_what_they_may() {
    let mut offences = Vec::new();
    for source in sources() {
        let room = source.room().to_owned();
        if SEE_EVERYTHING.contains(&room.as_str()) {
            continue;
        }
        let Some((_, may_use)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
            offences.push(format!("{}: the room `{room}` is not in the table", source.path));
            continue;
        };
        for (number, line) in source.code() {
            let known = |used: &&str| {
                SEE_EVERYTHING.contains(used) || MAY_USE.iter().any(|(name, _)| name == used)
            };
            for used in rooms_named(line).into_iter().filter(known) {
                if used != room && !may_use.contains(&used) {
                    offences.push(format!("{}:{number}: `{room}` uses `{used}`", source.path));
                }
            }
        }
    }
    assert_none("arrows that point the wrong way", &offences);
}

#[test]
fn the_domain_is_pure() {
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| source.room() == "domain") {
        for (number, line) in source.code() {
            for word in NOT_IN_DOMAIN.iter().filter(|word| line.contains(**word)) {
                offences.push(format!("{}:{number}: `{word}`", source.path));
            }
        }
    }
    assert_none("not for the domain", &offences);
}

#[test]
fn words_stay_where_they_belong() {
    let mut offences = Vec::new();
    for source in sources() {
        for (word, _) in ONLY_IN.iter().filter(|(_, paths)| !source.below(paths)) {
            for (number, line) in source.code().filter(|(_, line)| has_word(line, word)) {
                offences.push(format!("{}:{number}: `{word}` in `{line}`", source.path));
            }
        }
    }
    assert_none("words outside their rooms", &offences);
}

/// Whether the line has the word on its own, not as the end of another.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(place, _)| {
        let before = line[..place].chars().next_back();
        before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_')
    })
}

#[test]
fn no_file_is_too_long() {
    let too_long = |source: &Source| {
        let lines = source.text.lines().count();
        (lines > LINES_MAX).then(|| format!("{}: {lines} lines", source.path))
    };
    let offences: Vec<_> = sources()
        .iter()
        .filter(|source| !LONGER.contains(&source.path.as_str()))
        .filter_map(too_long)
        .collect();
    assert_none("longer than a reader can hold", &offences);
}

/// Counts of one range of an index, made once for that range: file, and what stands in the line.
const COUNTED_ONCE: &[(&str, &str)] = &[
    // The scores of an hour that is over, into the sums that are read ever after.
    ("store/sql/ledger.rs", "pub(super) const SUMS: &str = "),
];

/// Counters are kept. A look at statistics that counts rows grows with the tables, until it is what
/// the database does all day.
#[test]
fn statistics_never_count_tables() {
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| !source.below(&["store/sql/check.rs"])) {
        for (number, line) in source.code() {
            let upper = line.to_ascii_uppercase();
            let once = |(path, text): &(&str, &str)| source.path == *path && line.contains(text);
            let counts = upper.contains("COUNT(*)") && !COUNTED_ONCE.iter().any(once);
            if counts || line.contains("PaginatorTrait") {
                offences.push(format!("{}:{number}: `{line}`", source.path));
            }
        }
    }
    assert_none("rows are counted outside of the doctor", &offences);
}

#[test]
fn the_reader_of_the_rule_sees_what_it_should() {
    assert_eq!(rooms_named("use crate::domain::ids::TaskId;"), ["domain"]);
    assert_eq!(rooms_named("    crate::store::x(crate::http::y)"), ["store", "http"]);
    assert_eq!(rooms_named("use crate::{app::App, cli};"), ["app", "cli"]);
    assert!(has_word("    println!(\"\")", "println!") && !has_word("eprintln!()", "println!"));
}
