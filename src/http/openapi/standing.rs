//! What the leaderboard does.

use super::NETWORK;
use super::operation::Operation;
use super::schema::{
    flag, integer, list, next_cursor, number, object, one_of, or_null, range, share, success, text,
    time, uid,
};
use crate::domain::kind::KindRegistry;
use crate::domain::leaderboard::Order;
use crate::domain::limits::PAGE_MAX;
use crate::domain::period::Period;

pub(in crate::http) fn leaderboard(kinds: &KindRegistry) -> Operation {
    let names: Vec<_> = kinds.iter().map(|kind| &kind.name).collect();
    let line = object([
        ("rank", integer("Place, from 1; equals share it")),
        ("miner_uid", or_null(uid("The miner"))),
        ("hotkey", or_null(text("Its hotkey"))),
        ("registered", flag("Whether it still is")),
        ("score", share("Mean score")),
        ("scored", integer("Answers that were scored")),
        ("total", number("Sum of the scores")),
    ]);
    let answer = object([
        success(),
        ("period", one_of(Period::ALL, "As asked")),
        ("period_start", time("Its beginning")),
        ("period_end", text("Its end, RFC 3339; not in it any more")),
        ("task_type", or_null(text("As asked"))),
        ("sort", one_of(Order::ALL, "As asked")),
        ("total", integer("Miners in all")),
        ("miners", list(line, "The page")),
        next_cursor(),
    ]);
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    Operation::new(NETWORK, "Miners by what they earned")
        .query("period", one_of(Period::ALL, "The running one; `weekly` when left out"))
        .query("sort", one_of(Order::ALL, "By what; `score` when left out"))
        .query("task_type", one_of(names, "Only work of this kind"))
        .query("limit", range(1, most, "Lines of a page; 50 when left out"))
        .query("cursor", range(0, u32::MAX.into(), "The `next_cursor` of the page before"))
        .answers(200, "A page", answer)
}
