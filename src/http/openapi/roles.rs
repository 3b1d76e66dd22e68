//! What the route of roles does.

use super::OPERATION;
use super::operation::Operation;
use super::schema::{
    count, flag, hotkey, integer, list as list_of, number, object, one_of, or_null, range, success,
    text, time,
};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::BLOCK_MAX;

pub(in crate::http) fn list(_: &KindRegistry) -> Operation {
    let role = object([
        ("hotkey", hotkey("Who")),
        ("role", one_of(["validator", "miner", "operator"], "As what")),
        ("uid", or_null(integer("Its uid: as the chain says, else as configured"))),
        ("stake", or_null(number("Of a validator, whole tokens"))),
        ("configured", flag("Whether `[[auth.hotkeys]]` names it")),
        ("may_speak", flag("Whether it may now")),
        ("reason", or_null(text("Why not"))),
    ]);
    let answer = object([
        success(),
        ("block", or_null(range(0, BLOCK_MAX, "The newest block that is believed"))),
        ("adopted_at", or_null(time("Believed since"))),
        ("age_secs", or_null(integer("Since then"))),
        ("max_age_secs", integer("From that age on it vouches for nobody")),
        ("old", flag("Whether it is older: then only `[[auth.hotkeys]]` counts")),
        count(),
        (
            "roles",
            list_of(
                role,
                "Everybody configured, and validators of the chain; miners are in `GET /miners`",
            ),
        ),
    ]);
    Operation::new(OPERATION, "Who may speak as what").answers(200, "As of now", answer)
}
