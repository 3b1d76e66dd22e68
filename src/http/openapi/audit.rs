//! What the route of the audit log does.

use super::OPERATION;
use super::operation::Operation;
use super::schema::{
    any, count, integer, list as list_of, object, or_null, range, success, text, text_of, time,
};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::{AUDIT_TEXT_CHARS_MAX, PAGE_MAX};

pub(in crate::http) fn list(_: &KindRegistry) -> Operation {
    let entry = object([
        ("seq", integer("Its number, from 1")),
        ("at", time("Written at")),
        ("actor", text("Who did it: `system`, a hotkey, `key:<id>`")),
        ("action", text("What was done, as `weights.drift`")),
        ("subject", text("To what")),
        ("detail", any("What else is to be known of it")),
        ("hash", text("SHA-256 over the entry and the hash of the one before it, hex")),
    ]);
    let next = or_null(integer("`before` of the next page; null when this is the last"));
    let answer = object([
        success(),
        count(),
        ("entries", list_of(entry, "Newest first")),
        ("next_before", next),
    ]);
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    let action = "Only of actions that begin so; small letters, `.` and `_`";
    Operation::new(OPERATION, "Lists the audit log")
        .more(
            "What happened that somebody may want to prove later. Entries are linked by their \
             hashes and stay for ever; `pithead inspect audit --verify` checks all of them.",
        )
        .query("action", text_of(0, AUDIT_TEXT_CHARS_MAX, action))
        .query("limit", range(1, most, "Entries of a page; 50 when left out"))
        .query("before", range(1, i64::MAX, "Only entries before this one"))
        .answers(200, "A page", answer)
}
