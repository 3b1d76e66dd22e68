//! What the leaderboard and the list of usage do.

use super::operation::Operation;
use super::schema::{
    Field, flag, integer, list, next_cursor, number, object, one_of, or_null, range, share,
    success, text, time, uid,
};
use super::{NETWORK, TASKS};
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

fn counts() -> Vec<Field> {
    vec![
        ("tasks_submitted", integer("Tasks taken in")),
        ("input_units", integer("Characters of their texts, bytes of their files")),
        ("tasks_done", integer("Tasks that ended with answers")),
        ("tasks_failed", integer("Tasks that ended otherwise")),
    ]
}

pub(in crate::http) fn usage(_: &KindRegistry) -> Operation {
    let mut day = counts();
    day.push(("day", text("The day in UTC, as `2026-01-31`")));
    day.push(("owner", text("Whose: an API key's id, or a hotkey")));
    day.push(("task_type", text("Kind of the tasks")));
    let answer = object([
        success(),
        ("period_start", time("Its beginning")),
        ("period_end", time("Its end; not in it any more")),
        ("complete", flag("Whether all rows are here")),
        ("total", object(counts())),
        ("days", list(object(day), "By day and kind, newest first")),
    ]);
    Operation::new(TASKS, "What you had done, by day and kind")
        .query("days", range(1, 366, "How many days back, today included; 30 when left out"))
        .query("owner", text("Only this one's: for admins"))
        .answers(200, "Counts", answer)
}
