//! `btauth/1` as the real SDK speaks it: true calls are taken, tampered ones refused with the right
//! code and without any effect.

use serde_json::Value;

use super::{Stage, said, script};

/// Calls that must be taken, in the order of `sdk.py`.
const TRUE: [&str; 10] = [
    "report as a form",
    "report as JSON",
    "submit",
    "poll with a query",
    "heartbeat",
    "content",
    "upload",
    "upload of 5 MB",
    "answer",
    "judgement",
];

/// What was bent after signing, and how it must be refused.
const TAMPERED: [(&str, u64, &str); 17] = [
    ("body", 401, "unauthenticated"),
    ("path", 401, "unauthenticated"),
    ("query", 401, "unauthenticated"),
    ("decoded path", 401, "unauthenticated"),
    ("method", 401, "unauthenticated"),
    ("unsigned", 401, "unauthenticated"),
    ("no signature", 401, "unauthenticated"),
    ("receiver", 401, "wrong_receiver"),
    ("no receiver", 401, "wrong_receiver"),
    ("hotkey", 401, "unauthenticated"),
    ("signature", 401, "unauthenticated"),
    ("stale", 401, "stale_signature"),
    ("future", 401, "stale_signature"),
    ("replay", 401, "replayed"),
    ("duplicate header", 401, "unauthenticated"),
    ("upload body", 401, "unauthenticated"),
    ("stranger", 403, "not_registered"),
];

#[tokio::test]
async fn the_real_sdk_is_understood_and_its_tampered_calls_are_refused() {
    let Some(stage) = Stage::set().await else { return };
    let mut command = stage.python();
    command.arg(script()).arg("calls");
    for name in ["miner", "stranger"] {
        command.env(name.to_uppercase(), stage.address(name));
    }
    let out = said(command).await;
    let calls: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |name: &str| {
        let call = calls.iter().find(|call| call["name"] == name);
        call.unwrap_or_else(|| panic!("`{name}` was not called:\n{out}"))
    };
    for name in TRUE.into_iter().chain(["first"]) {
        let call = find(name);
        assert!(matches!(call["status"].as_u64(), Some(200 | 201)), "{name}: {call}");
    }
    // The signature holds, and there is nobody of that name.
    assert_eq!(find("encoded path")["code"], "not_found");
    let large = find("upload of 5 MB");
    assert!(large["answer"]["size"].as_u64().unwrap() > 5_000_000, "{large}");
    assert_eq!(find("answer")["answer"]["task_status"], "done");
    assert_eq!(find("judgement")["answer"]["task_status"], "approved");
    for (name, status, code) in TAMPERED {
        let call = find(name);
        assert_eq!((&call["status"], &call["code"]), (&status.into(), &code.into()), "{call}");
        assert_eq!(call["answer"]["success"], false, "{call}");
    }
    let unknown = find("no effect");
    assert_eq!(unknown["status"], 404, "a tampered report counted: {unknown}");
    stage.server.stop().await;
}
