//! What the routes of voices do.

use super::FILES;
use super::operation::{Callers, File, Operation, may, must};
use super::schema::{
    count, id, list as list_of, named, next_cursor, object, one_of, success, text_of,
};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::{DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX};

pub(in crate::http) fn create(kinds: &KindRegistry) -> Operation {
    let mut languages: Vec<&String> = kinds.iter().flat_map(|kind| &kind.languages).collect();
    languages.sort_unstable();
    languages.dedup();
    Operation::new(FILES, "Names a voice for speech")
        .more(
            "With a recording as `sample` or `file_id`, or without. An admin's is shared with all.",
        )
        .by(Callers::Clients)
        .idempotent()
        .takes_with(
            File::May("sample"),
            vec![
                must("name", text_of(1, NAME_CHARS_MAX, "What `voice_name` of a task will mean")),
                may("language", one_of(languages, "Its language; `en` when left out")),
                may("description", text_of(0, DESCRIPTION_CHARS_MAX, "For people")),
                may("file_id", id("A recording that was uploaded before")),
            ],
        )
        .creates("The voice", named("Voice"))
        .refuses(409, "You have a voice of this name, or as many as may be")
}

pub(in crate::http) fn list(_: &KindRegistry) -> Operation {
    let voices = list_of(named("Voice"), "Oldest first");
    let answer = object([success(), count(), ("voices", voices), next_cursor()]);
    Operation::new(FILES, "Lists your voices and shared ones")
        .pages()
        .answers(200, "A page", answer)
}

pub(in crate::http) fn one(_: &KindRegistry) -> Operation {
    Operation::new(FILES, "Shows a voice").path("id", id("The voice")).answers(
        200,
        "The voice",
        named("Voice"),
    )
}

pub(in crate::http) fn remove(_: &KindRegistry) -> Operation {
    Operation::new(FILES, "Deletes a voice")
        .more("One's own. Its sample stays as long as a file of today.")
        .path("id", id("The voice"))
        .answers_nothing(204, "It is gone")
        .refuses(403, "The voice is shared by the operator, or you may not call this")
}
