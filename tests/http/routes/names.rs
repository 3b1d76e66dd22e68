//! Two hundred names that are up to no good: each becomes one that is harmless, or the upload is
//! refused; and whatever they are, nothing is written outside of the data folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use actix_web::http::header::{ContentDisposition, DispositionType, HeaderValue};

use crate::support::{Call, Part, TestApp, text};

/// How a part may name its file.
const FORMS: [&str; 3] =
    ["filename=\"{}\"", "filename=\"plain.txt\"; filename*=UTF-8''{}", "filename*=UTF-8''{}"];

fn names() -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let outside = ["server.key", "pithead.db", "etc/passwd", "x.txt"];
    let ways = [
        "../",
        "../../../../",
        "..\\",
        "..\\..\\",
        "/",
        "//",
        "\\\\host\\share\\",
        "C:\\",
        "C:",
        "file:///",
        "./../",
        "....//",
        "%2e%2e%2f",
        "..%2f",
        "..%5c",
        "%252e%252e%252f",
        "..;/",
        "\u{2024}\u{2024}/",
        "..\u{2215}",
        "..\u{ff0f}",
        "..\u{ff3c}",
        "~/",
        "$HOME/",
        "`id`/",
    ];
    for way in ways {
        names.extend(outside.map(|file| format!("{way}{file}")));
    }
    for name in ["CON", "nul", "Aux", "prn.txt", "COM1", "com9.log", "LPT1", "lpt\u{b9}.x", "CON ."]
    {
        names.push(name.to_owned());
        names.push(format!("a/{name}"));
    }
    let marks = [
        "\u{202a}",
        "\u{202b}",
        "\u{202c}",
        "\u{202d}",
        "\u{202e}",
        "\u{2066}",
        "\u{2067}",
        "\u{2068}",
        "\u{2069}",
        "\u{200e}",
        "\u{200f}",
        "\u{61c}",
        "\u{feff}",
        "\u{200b}",
        "\u{ad}",
        "\u{2028}",
        "\u{2029}",
        "\u{0}",
        "\u{1}",
        "\u{7f}",
        "\u{85}",
        "\u{1b}[31m",
        "\u{fffe}",
    ];
    for mark in marks {
        names.push(format!("a{mark}txt.exe"));
        names.push(format!("{mark}../x{mark}"));
    }
    for text in [
        "",
        ".",
        "..",
        "...",
        " ",
        ". .",
        "-rf",
        "--help",
        "a\"b",
        "a'b",
        "a;b",
        "a`b`",
        "$(id)",
        "a|b",
        "a<b>",
        "a*",
        "a?",
        "a:b",
        "a%00b",
        "a%0d%0aSet-Cookie: x=1",
        "%",
        "%%",
        "%zz",
        "%u002e",
        "a\"; filename=\"b",
        "a\\\"b",
        "a\\",
        "<script>alert(1)</script>.html",
        "' OR 1=1 --",
        "{{7*7}}",
        "\u{1f600}.txt",
        "gr\u{f6}\u{df}e.txt",
        "\u{4f60}\u{597d}.txt",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}.txt",
        "z\u{334}\u{353}algo\u{301}\u{301}\u{301}.txt",
        "a.txt.",
        "a.txt ",
        " a.txt",
        "a\tb",
        "desktop.ini",
        "Thumbs.db",
        ".htaccess",
        ".ssh",
        "index.html",
        "a.php",
        "a.php\u{0}.txt",
        "a;.txt",
        "a,b",
        "=cmd|' /C calc'!A0",
    ] {
        names.push(text.to_owned());
    }
    for length in [119, 120, 121, 255, 256, 5_000] {
        names.push("a".repeat(length));
        names.push("\u{1f600}".repeat(length / 4));
    }
    // Line ends in the middle of a header: the body is bad, or the name ends there.
    for end in ["\r\n", "\n", "\r", "\r\n\r\n"] {
        names.push(format!("a{end}X-Evil: 1"));
        names.push(format!("{end}../x"));
    }
    names
}

/// As RFC 8187 writes a name.
fn extended(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[track_caller]
fn assert_harmless(given: &str, kept: &str) {
    let bad = |c: char| {
        c.is_control()
            || "/\\\"<>:|?*%".contains(c)
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{feff}')
    };
    assert!(!kept.contains(bad), "{given:?} was kept as {kept:?}");
    assert!(kept.chars().count() <= 121, "{given:?} was kept as {kept:?}");
    assert!(!kept.starts_with(['.', ' ']) && !kept.ends_with(['.', ' ']), "{given:?}: {kept:?}");
    let stem = kept.split('.').next().unwrap().trim().to_ascii_uppercase();
    let reserved = ["CON", "NUL", "AUX", "PRN", "COM1", "COM9", "LPT1"].contains(&stem.as_str());
    assert!(!reserved, "{given:?} was kept as {kept:?}");
}

/// Everything in a folder that is no blob, by path.
fn outsiders(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(outsiders(&path));
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_blob = name.len() == 64 || (path.is_dir() && name.len() == 2);
        if !is_blob {
            found.insert(path);
        }
    }
    found
}

#[tokio::test]
async fn two_hundred_hostile_names_do_no_harm() {
    let app = TestApp::start().await;
    let above = app.folder().parent().unwrap().to_owned();
    let beside = |name: &str| above.join(name).exists();
    let before = outsiders(app.folder());
    let mut kept_all = 0;
    let names = names();
    assert!(names.len() >= 200, "{}", names.len());
    for (number, name) in names.iter().enumerate() {
        let form = FORMS[number % FORMS.len()];
        let shown = if form.contains("filename*") { extended(name) } else { name.clone() };
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; {}\r\n\
             Content-Type: text/plain\r\n\r\nwords number {number}\r\n--b--\r\n",
            form.replace("{}", &shown)
        );
        let call = Call::post("/api/v1/files").body("multipart/form-data; boundary=b", body);
        let answer = app.as_client(call).await;
        if answer.status != 201 {
            assert!([400, 422].contains(&answer.status), "{name:?}: {}", answer.text());
            continue;
        }
        kept_all += 1;
        let made = answer.is(201);
        let kept = text(&made["file_name"]);
        assert_harmless(name, kept);
        let got = app.as_client(Call::get(text(&made["url"]))).await;
        assert_eq!(got.text(), format!("words number {number}"));
        assert!(got.header("x-evil").is_none() && got.header("set-cookie").is_none(), "{name:?}");
        let told = HeaderValue::from_str(got.header("content-disposition").unwrap()).unwrap();
        let told = ContentDisposition::from_raw(&told).unwrap();
        assert_eq!(told.disposition, DispositionType::Attachment, "{name:?}");
        assert_harmless(name, told.get_filename().unwrap());
        if let Some(extended) = told.get_filename_ext() {
            assert_eq!(String::from_utf8(extended.value.clone()).unwrap(), kept, "{name:?}");
        }
    }
    assert!(kept_all > 150, "only {kept_all} names were kept at all");
    let new: Vec<_> = outsiders(app.folder()).difference(&before).cloned().collect();
    let journal = |path: &PathBuf| path.to_str().unwrap().contains("pithead.db");
    assert!(new.iter().all(journal), "files that are no blobs: {new:?}");
    assert!(!beside("x.txt") && !beside("passwd") && !beside("server.key"));
    let spool = app.folder().join("blobs/spool");
    assert_eq!(std::fs::read_dir(spool).unwrap().count(), 0);
    app.finish().await;
}

#[tokio::test]
async fn of_two_names_the_one_that_can_say_everything_counts() {
    let app = TestApp::start().await;
    let body = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"gr__e.txt\"; \
                filename*=UTF-8''gr%C3%B6%C3%9Fe.txt\r\n\r\nwords\r\n--b--\r\n";
    let call = Call::post("/api/v1/files").body("multipart/form-data; boundary=b", body);
    // Without a content type of its own it is no text that is known, but words it is.
    app.as_client(call).await.problem(415, "unsupported_media");
    let body = body.replace("\r\n\r\nwords", "\r\nContent-Type: text/plain\r\n\r\nwords");
    let call = Call::post("/api/v1/files").body("multipart/form-data; boundary=b", body);
    let made = app.as_client(call).await.is(201);
    assert_eq!(made["file_name"], "gr\u{f6}\u{df}e.txt");
    let part = Part::file("file", "a.txt", "text/plain", b"words");
    let made = app.as_client(Call::post("/api/v1/files").multipart(&[part])).await.is(201);
    assert_eq!(made["file_name"], "a.txt");
    app.finish().await;
}
