//! What the routes of the quarantine do.

use serde_json::Value;

use super::OPERATION;
use super::operation::{Operation, may, must};
use super::schema::{
    count, hotkey, list as list_of, named, next_cursor, object, or_null, range, text, text_of, time,
};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::{QUARANTINE_DAYS_MAX, QUARANTINE_REASON_CHARS_MAX};

fn about(summary: &'static str) -> Operation {
    Operation::new(OPERATION, summary)
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let quarantine = object([
        ("hotkey", hotkey("Whom")),
        ("reason", text("Why")),
        ("until", or_null(time("Free from then on; null: until it is let in"))),
        ("by", text("Who did it, as the audit log names them")),
        ("created_at", time("Since when")),
    ]);
    vec![("Quarantine", quarantine)]
}

pub(in crate::http) fn list(_: &KindRegistry) -> Operation {
    let all = list_of(named("Quarantine"), "By hotkey; those whose time is over are not listed");
    let answer = object([count(), ("quarantine", all), next_cursor()]);
    about("Lists hotkeys that are shut out").pages().answers(200, "A page", answer)
}

pub(in crate::http) fn put(_: &KindRegistry) -> Operation {
    about("Shuts a hotkey out")
        .more(
            "From its next request on it is neither validator nor miner nor client, whatever the \
             chain says: its reports weigh nothing, and its leases go to others. Again for the same \
             hotkey: the newer words stand.",
        )
        .path("hotkey", hotkey("Whom"))
        .takes(vec![
            must("reason", text_of(1, QUARANTINE_REASON_CHARS_MAX, "Why, for the audit log")),
            may("days", range(1, QUARANTINE_DAYS_MAX, "Free after so many; else until let in")),
        ])
        .answers(200, "It is shut out", named("Quarantine"))
        .refuses(409, "It is an operator's, or too many are shut out")
}

pub(in crate::http) fn lift(_: &KindRegistry) -> Operation {
    about("Lets a hotkey in again")
        .path("hotkey", hotkey("Whom"))
        .answers_nothing(204, "It is what the chain says that it is")
        .refuses(404, "It is not shut out")
}
