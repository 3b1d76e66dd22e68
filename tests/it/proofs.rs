//! The lists that say which test proves what: each test that they name is there.

use std::path::{Path, PathBuf};

/// Files whose head is such a list: `` `module::test` `` in its docs.
const LISTS: &[&str] = &["tests/http/traps.rs", "tests/it/kill/mod.rs", "tests/http/routes/mod.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Paths of modules and tests that the docs at the head of a file name.
fn named(head: &str) -> Vec<String> {
    let docs = head.lines().take_while(|line| line.starts_with("//!"));
    let text: String = docs.map(|line| line.trim_start_matches("//!").to_owned() + " ").collect();
    let quoted = text.split('`').skip(1).step_by(2).map(str::to_owned);
    quoted.filter(|word| word.contains("::") && !word.contains(['(', ' ', '<'])).collect()
}

/// The file of a module of one of the two test binaries.
fn file(modules: &[&str]) -> Option<PathBuf> {
    let below = |binary: &str| root().join("tests").join(binary).join(modules.join("/"));
    let places = ["it", "http"].map(|binary| {
        let place = below(binary);
        [place.with_extension("rs"), place.join("mod.rs")]
    });
    places.into_iter().flatten().find(|file| file.is_file())
}

#[test]
fn every_test_that_a_list_names_is_there() {
    let mut missing = Vec::new();
    for list in LISTS {
        let head = std::fs::read_to_string(root().join(list)).unwrap();
        let names = named(&head);
        assert!(names.len() > 5, "{list} names too few: {names:?}");
        for name in names {
            let mut modules: Vec<&str> = name.split("::").collect();
            let test = modules.pop().unwrap();
            let text = file(&modules).map(|file| std::fs::read_to_string(file).unwrap());
            let call = format!("fn {test}(");
            if !text.is_some_and(|text| text.contains(&call)) {
                missing.push(format!("{list}: `{name}`"));
            }
        }
    }
    assert!(missing.is_empty(), "named and not there:\n{}", missing.join("\n"));
}

#[test]
fn the_reader_of_the_lists_sees_what_it_should() {
    let head = "//! A `a::b` and `c` (`d::e\n//! `\nuse `x::y`;";
    assert_eq!(named(head), ["a::b"]);
    assert_eq!(file(&["kill", "check"]), Some(root().join("tests/it/kill/check.rs")));
    assert_eq!(file(&["traps"]), Some(root().join("tests/http/traps.rs")));
    assert_eq!(file(&["no", "such"]), None);
}
