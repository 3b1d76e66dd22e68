//! What the calls of OpenAI's SDKs do here.

use serde_json::json;

use super::OPENAI;
use super::operation::{Callers, File, Operation, may, must};
use super::schema::{any, flag, integer, list, number, object, one_of, text, text_of};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::NAME_CHARS_MAX;

fn about(summary: &'static str) -> Operation {
    Operation::new(OPENAI, summary)
}

fn listed() -> serde_json::Value {
    object([
        ("id", text("Its name")),
        ("object", one_of(["model"], "Always")),
        ("created", integer("Always 0")),
        ("owned_by", text("This server")),
    ])
}

pub(in crate::http) fn models(_: &KindRegistry) -> Operation {
    let answer =
        object([("object", one_of(["list"], "Always")), ("data", list(listed(), "All of them"))]);
    about("Names under which any miner of a kind may be asked").answers(200, "Models", answer)
}

pub(in crate::http) fn model(_: &KindRegistry) -> Operation {
    about("One of them").path("id", text("Its name")).answers(200, "The model", listed())
}

/// Both calls wait for a miner.
fn waits(about: Operation) -> Operation {
    about
        .by(Callers::Clients)
        .idempotent()
        .header("X-Task-Id", "The task behind it")
        .refuses(404, "The kind is not configured here")
        .refuses(429, "You have too many tasks open, or handed in too many in a minute")
        .refuses(502, "No miner could do it")
        .refuses(503, "No miner is free, or the server is full")
        .refuses(504, "Not ready within 300 s; the message names the task, which goes on")
}

pub(in crate::http) fn transcriptions(kinds: &KindRegistry) -> Operation {
    let languages = kinds.find("transcription").map(|(_, kind)| kind.languages.clone());
    let languages = one_of(languages.unwrap_or_default(), "Its language; `en` when left out");
    let short = object([("text", text("The words"))]);
    let whole = object([
        ("task", one_of(["transcribe"], "Always")),
        ("language", text("As the miner heard it")),
        ("duration", number("Seconds, as the miner says")),
        ("text", text("The words")),
        ("segments", list(any("As the miner gives it"), "Parts of it, where the miner gives them")),
    ]);
    let formats = one_of(["json", "text", "verbose_json"], "How to answer");
    let about = about("Sound to text, waiting for it")
        .takes_with(
            File::Must("file"),
            vec![
                must("model", text_of(1, NAME_CHARS_MAX, "One of `GET /v1/models`, or a miner's")),
                may("language", languages),
                may("response_format", formats),
                may("stream", flag("Not served: false, or left out")),
            ],
        )
        .answers(200, "The words", json!({ "anyOf": [short, whole] }))
        .answers_as(200, "The words", "text/plain");
    waits(about)
}

pub(in crate::http) fn speech(kinds: &KindRegistry) -> Operation {
    let kind = kinds.find("tts").map(|(_, kind)| (kind.text_chars_min, kind.text_chars_max));
    let (min, max) = kind.unwrap_or_default();
    let formats = one_of(["mp3", "opus", "aac", "flac", "wav", "pcm"], "A wish; miners choose");
    let about = about("Text to speech, waiting for it")
        .takes(vec![
            must("input", text_of(min, max, "What to say")),
            must("model", text_of(1, NAME_CHARS_MAX, "One of `GET /v1/models`, or a miner's")),
            may("voice", text_of(0, NAME_CHARS_MAX, "The voice")),
            may("response_format", formats),
            may("stream_format", one_of(["audio"], "Only this")),
            may("speed", json!({ "type": "number", "const": 1, "description": "Only this" })),
        ])
        .answers_as(200, "The sound, as the miner encoded it", "*/*");
    waits(about)
}
