//! What the routes of files do.

use serde_json::Value;

use super::operation::{Callers, File, Operation, may, must};
use super::schema::{Field, id, integer, named, object, or_null, success, text, time, uid};
use super::{FILES, MINERS};
use crate::domain::kind::KindRegistry;

/// A file, as its readers find it.
fn file() -> Vec<Field> {
    vec![
        ("file_id", id("The file")),
        ("file_name", text("As its sender called it")),
        ("content_type", text("What its bytes are")),
        ("size", integer("Bytes")),
        ("sha256", text("Hash of its bytes, hex")),
        ("public_url", text("Where the outside finds it")),
        ("url", text("The same without the server")),
        ("created_at", time("When it came")),
        ("expires_at", or_null(time("When it may be forgotten; null while something needs it"))),
    ]
}

fn file_with(more: impl IntoIterator<Item = Field>) -> Value {
    let mut fields = file();
    fields.push(success());
    fields.extend(more);
    object(fields)
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let voice = object([
        ("voice_id", id("The voice")),
        ("name", text("What `voice_name` of a task means")),
        ("language", text("Its language")),
        ("description", or_null(text("As its owner describes it"))),
        ("sample", serde_json::json!({ "anyOf": [named("File"), { "type": "null" }] })),
        ("shared", super::schema::flag("Whether everybody may use it")),
        ("created_at", time("When it was made")),
    ]);
    vec![("File", object(file())), ("Voice", voice)]
}

pub(in crate::http) fn upload(_: &KindRegistry) -> Operation {
    Operation::new(FILES, "Uploads a file")
        .by(Callers::Clients)
        .idempotent()
        .takes_with(File::Must("file"), Vec::new())
        .creates("It is kept", file_with([]))
}

fn of_a_task(about: Operation, field: &'static str) -> Operation {
    let fields = vec![
        must("task_id", id("A task on which you have a live lease")),
        may("miner_uid", uid("Yours; checked")),
    ];
    about.by(Callers::Miners).takes_with(File::Must(field), fields).refuses(404, "No task of yours")
}

pub(in crate::http) fn upload_result(_: &KindRegistry) -> Operation {
    of_a_task(Operation::new(MINERS, "Uploads a file that belongs to an answer"), "file")
        .creates("It is kept", file_with([("miner_uid", uid("Yours"))]))
}

pub(in crate::http) fn upload_speech(_: &KindRegistry) -> Operation {
    of_a_task(Operation::new(MINERS, "Uploads speech"), "audio_file")
        .more("As the documents' miners send it.")
        .answers(200, "It is kept", file_with([("audio_url", text("Where it is"))]))
}

pub(in crate::http) fn show(_: &KindRegistry) -> Operation {
    Operation::new(FILES, "Shows what is known of a file")
        .more("To its owner, to those who work on its task, and to validators.")
        .path("id", id("The file"))
        .answers(200, "The file", named("File"))
}

pub(in crate::http) fn download(_: &KindRegistry) -> Operation {
    Operation::new(FILES, "The bytes of a file")
        .more("Takes `Range` (one), `If-Range` and `If-None-Match`.")
        .path("id", id("The file"))
        .answers_as(200, "All of it", "*/*")
        .header("ETag", "The hash of the bytes")
        .answers_as(206, "The part that was asked for", "*/*")
        .header("Content-Range", "Which part it is")
        .answers_nothing(304, "You have it already")
        .refuses(416, "The file has no such part")
}
