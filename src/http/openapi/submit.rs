//! What the routes that hand in a task of one kind do.

use serde_json::{Value, json};

use super::SUBMIT;
use super::operation::{BodyField, Callers, File, Operation, may, must};
use super::schema::{flag, id, named, object, one_of, range, success, text, text_of};
use crate::domain::kind::{Input, KindRegistry, TaskKind};
use crate::domain::limits::{
    CALLBACK_URL_BYTES_MAX, DEADLINE_SECS_MAX, DEADLINE_SECS_MIN, NAME_CHARS_MAX, REDUNDANCY_MAX,
};
use crate::domain::task::{Priority, TaskStatus};

/// What the client hears of a new task.
pub(super) fn submitted() -> Vec<super::schema::Field> {
    vec![
        success(),
        ("task_id", id("The task")),
        ("status", one_of(TaskStatus::ALL, "Where it stands")),
        ("message", text("For people")),
        ("auto_assigned", flag("Whether a miner can do it now")),
        ("redundancy", range(1, REDUNDANCY_MAX.into(), "Answers that will come at most")),
        ("estimate", json!({ "anyOf": [named("Estimate"), { "type": "null" }] })),
    ]
}

fn names(kinds: &[&TaskKind]) -> (Vec<String>, bool) {
    let mut languages: Vec<String> = Vec::new();
    for language in kinds.iter().flat_map(|kind| &kind.languages) {
        if !languages.contains(language) {
            languages.push(language.clone());
        }
    }
    (languages, kinds.iter().all(|kind| kind.translates))
}

/// The wishes that may come with tasks of any of these kinds.
pub(super) fn wishes(kinds: &[&TaskKind]) -> Vec<BodyField> {
    let (languages, translates) = names(kinds);
    let target = one_of(&languages, "Language to translate to; not the source's");
    let many = json!({
        "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": REDUNDANCY_MAX },
            {
                "type": "string", "pattern": "^(adaptive|[1-9][0-9]?)$",
                "description": "How many miners answer, or `adaptive`: one, if it is trusted",
            },
        ],
        "description": "How many miners answer, or `adaptive`: one, if it is trusted",
    });
    let enough = json!({
        "type": "string", "pattern": "^(first|all|quorum:[1-9][0-9]{0,2})$",
        "description": "How many answers end the task: `first`, `quorum:<n>` or `all`",
    });
    let least = "Answers without which it has failed at its deadline; not above `redundancy`";
    let deadline = "Seconds until it must have ended";
    let url = "Told of the task's end; `https`, and no private address";
    vec![
        may("source_language", one_of(&languages, "Language of the input; `en` when left out")),
        if translates { must("target_language", target) } else { may("target_language", target) },
        may("priority", one_of(Priority::ALL, "Its urgency; `normal` when left out")),
        may("model_id", text_of(0, NAME_CHARS_MAX, "A model that the miner shall use")),
        may("voice_name", text_of(0, NAME_CHARS_MAX, "A voice, for speech")),
        may("redundancy", many),
        may("completion", enough),
        may("min_responses", range(1, REDUNDANCY_MAX.into(), least)),
        may("delay_secs", range(0, DEADLINE_SECS_MAX, "Seconds that it waits first")),
        may("deadline_secs", range(DEADLINE_SECS_MIN, DEADLINE_SECS_MAX, deadline)),
        may("callback_url", text_of(0, CALLBACK_URL_BYTES_MAX, url)),
    ]
}

/// `file_id`, in place of a file.
pub(super) fn file_id() -> BodyField {
    may("file_id", id("A file that was uploaded before, instead of one that comes along"))
}

/// The text of a kind that takes text.
fn input(kind: &TaskKind) -> Value {
    let (min, max) = (kind.text_chars_min, kind.text_chars_max);
    text_of(min, max, "What to work on; counted after blanks at both ends were cut off")
}

fn submit(kinds: &KindRegistry, name: &str, summary: &'static str) -> Operation {
    let about = handing_in(Operation::new(SUBMIT, summary));
    let Some((_, kind)) = kinds.find(name) else {
        return about.takes(Vec::new()).answers(200, "The task", object(submitted()));
    };
    let mut fields = wishes(&[kind]);
    let file = match kind.input.file_field() {
        None => {
            fields.push(must("text", input(kind)));
            File::Parts
        }
        Some(field) => {
            fields.push(file_id());
            File::OrId(field)
        }
    };
    about.takes_with(file, fields).answers(200, "It is durable", object(submitted()))
}

/// What all routes that hand in have in common.
pub(super) fn handing_in(about: Operation) -> Operation {
    about
        .by(Callers::Clients)
        .idempotent()
        .refuses(404, "This kind is not configured here")
        .refuses(409, "The file of `file_id` is past its time, or will be soon")
        .refuses(415, "The body or the file is of a type that is not taken here")
        .refuses(429, "You have too many tasks open, or handed in too many in a minute")
        .refuses(503, "The server is full, drains, or cannot write now")
}

pub(in crate::http) fn transcription(kinds: &KindRegistry) -> Operation {
    submit(kinds, "transcription", "Sound to text")
}

pub(in crate::http) fn tts(kinds: &KindRegistry) -> Operation {
    submit(kinds, "tts", "Text to speech")
}

pub(in crate::http) fn summarization(kinds: &KindRegistry) -> Operation {
    submit(kinds, "summarization", "A text in short")
}

pub(in crate::http) fn video_transcription(kinds: &KindRegistry) -> Operation {
    submit(kinds, "video_transcription", "The sound of a film to text")
}

pub(in crate::http) fn text_translation(kinds: &KindRegistry) -> Operation {
    submit(kinds, "text_translation", "A text in another language")
}

pub(in crate::http) fn document_translation(kinds: &KindRegistry) -> Operation {
    submit(kinds, "document_translation", "A document in another language")
}

/// A sentence on each kind with its limits.
pub(super) fn kinds_in_words(kinds: &KindRegistry) -> String {
    let sentence = |kind: &TaskKind| {
        let limit = match kind.input {
            Input::Text => {
                format!("`text` of {} to {} characters", kind.text_chars_min, kind.text_chars_max)
            }
            Input::Audio | Input::Video | Input::Document => {
                let field = kind.input.file_field().unwrap_or("file");
                format!("`{field}` of at most {} bytes", kind.file_bytes_max)
            }
        };
        let keys = kind.output_keys.join("` or `");
        format!("`{}`: {limit}; answers hold `{keys}`", kind.name)
    };
    kinds.iter().map(sentence).collect::<Vec<_>>().join(". ")
}
