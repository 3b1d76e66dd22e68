//! What the routes of API keys do.

use serde_json::Value;

use super::OPERATION;
use super::operation::{BodyField, Operation, may};
use super::schema::{
    count, integer, list as list_of, named, next_cursor, object, one_of, or_null, range, text,
    text_of, time,
};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::{
    KEY_DAYS_MAX, KEY_IN_FLIGHT_MAX, KEY_OVERLAP_HOURS_MAX, NAME_CHARS_MAX,
    REQUESTS_PER_MINUTE_MAX, TASKS_PER_DAY_MAX,
};
use crate::store::KeyState;

fn about(summary: &'static str) -> Operation {
    Operation::new(OPERATION, summary)
}

fn key_id() -> Value {
    text("The key's id")
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let states = KeyState::ALL.map(KeyState::as_str);
    let own = |what: &str| or_null(integer(&format!("{what}; null for the server's limit")));
    let key = object([
        ("id", text("Names the key")),
        ("name", text("What it is for")),
        ("scopes", text("What it may do")),
        ("state", one_of(states, "`rotating`: valid with two secrets")),
        ("created_at", time("When it was made")),
        ("expires_at", or_null(time("Until when it is valid"))),
        ("revoked_at", or_null(time("When it was taken back"))),
        ("rotated_at", or_null(time("When it got its secret, if that is not its first"))),
        ("old_secret_until", or_null(time("Until when the secret before is valid too"))),
        ("requests_per_minute", own("Its requests per minute")),
        ("in_flight", own("Its requests at once")),
        ("tasks_per_day", own("Its tasks per day, 0 for any number")),
        ("tasks_today", integer("Tasks that it handed in today, in UTC")),
        ("last_used_at", or_null(time("Its last use; null when there was none since the start"))),
    ]);
    vec![("ApiKey", key)]
}

fn said() -> Vec<BodyField> {
    let scopes = "`client`, `admin`, `miner:<hotkey>`, `validator:<hotkey>`, with spaces between";
    let limit =
        |name, min: u32, max: u32, what| may(name, or_null(range(min.into(), max.into(), what)));
    vec![
        may("name", or_null(text_of(0, NAME_CHARS_MAX, "What it is for"))),
        may("scopes", or_null(text_of(0, 1_024, scopes))),
        may(
            "expires_days",
            or_null(range(1, KEY_DAYS_MAX, "Days that it is valid; null: for ever")),
        ),
        limit("requests_per_minute", 1, REQUESTS_PER_MINUTE_MAX, "null: the server's limit"),
        limit("in_flight", 1, KEY_IN_FLIGHT_MAX, "Requests at once; null: the server's limit"),
        limit("tasks_per_day", 0, TASKS_PER_DAY_MAX, "0: any number; null: the server's limit"),
    ]
}

pub(in crate::http) fn create(_: &KindRegistry) -> Operation {
    let answer = object([
        ("id", text("Names the key")),
        ("key", text("The key, shown this once")),
        ("scopes", text("What it may do")),
        ("message", text("For people")),
    ]);
    about("Makes an API key")
        .more("For clients and for ever unless the body says otherwise.")
        .takes(said())
        .creates("The key", answer)
}

pub(in crate::http) fn list(_: &KindRegistry) -> Operation {
    let keys = list_of(named("ApiKey"), "Oldest first, also those that are not valid any more");
    let answer = object([count(), ("keys", keys), next_cursor()]);
    about("Lists API keys").pages().answers(200, "A page", answer)
}

pub(in crate::http) fn show(_: &KindRegistry) -> Operation {
    about("Shows an API key").path("id", key_id()).answers(
        200,
        "Without its secret",
        named("ApiKey"),
    )
}

pub(in crate::http) fn update(_: &KindRegistry) -> Operation {
    about("Changes an API key")
        .more("What the body does not name stays.")
        .path("id", key_id())
        .takes(said())
        .answers(200, "As it is now", named("ApiKey"))
        .refuses(404, "No key of this id, or it was taken back")
}

pub(in crate::http) fn rotate(_: &KindRegistry) -> Operation {
    let hours = "Hours that the secret of now is valid too; 24 when left out";
    let answer = object([
        ("id", text("Names the key, as before")),
        ("key", text("The key with its new secret, shown this once")),
        ("old_secret_until", or_null(time("Until when the secret before is valid too"))),
        ("message", text("For people")),
    ]);
    about("Gives an API key another secret")
        .more("A secret that was left from a rotation before ends at once.")
        .path("id", key_id())
        .takes(vec![may("overlap_hours", range(0, KEY_OVERLAP_HOURS_MAX, hours))])
        .answers(200, "With the new secret", answer)
        .refuses(404, "No key of this id, or it was taken back")
        .refuses(409, "It has expired")
}

pub(in crate::http) fn revoke(_: &KindRegistry) -> Operation {
    about("Takes an API key back")
        .more("Effective at once, for all of its secrets.")
        .path("id", key_id())
        .answers_nothing(204, "It is valid no more")
        .refuses(404, "No valid key of this id")
}
