//! Which refusals a route can answer: those that follow from what its handler reads, and their
//! schemas, from the one table of codes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::operation::{Callers, Operation};
use super::schema::{named, object, object_with, or_null, text};
use super::signature::Signature;
use crate::http::error::Code;

/// Headers of refusals with this status.
fn headers(status: u16) -> Value {
    let header = |what: &str| json!({ "description": what, "schema": { "type": "string" } });
    match status {
        401 => json!({ "WWW-Authenticate": header("`Bearer`") }),
        405 => json!({ "Allow": header("The methods that are meant") }),
        429 | 503 => json!({ "Retry-After": header("Seconds until another try makes sense") }),
        _ => json!({}),
    }
}

/// Every status that stands in the table.
fn statuses() -> impl Iterator<Item = u16> {
    let all: std::collections::BTreeSet<u16> = Code::ALL.iter().map(|code| code.status()).collect();
    all.into_iter()
}

/// The status under `/v1`, where OpenAI answers 400 for every wrong parameter.
const fn of_openai(status: u16) -> u16 {
    match status {
        415 | 422 => 400,
        other => other,
    }
}

fn codes(status: u16, openai: bool) -> Vec<&'static str> {
    let of = |code: &&Code| match openai {
        true => of_openai(code.status()) == status,
        false => code.status() == status,
    };
    Code::ALL.iter().filter(of).map(|code| code.as_str()).collect()
}

/// Schemas of both forms of a refusal.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let all: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let wrong = object([
        ("field", text("The field")),
        ("reason", text("What is wrong with it, and what would be right")),
    ]);
    let code =
        json!({ "type": "string", "enum": all, "description": "What went wrong, for programs" });
    let problem = object_with(
        [
            ("success", json!({ "type": "boolean", "const": false })),
            ("type", text("`urn:pithead:error:` and the code")),
            ("title", text("The code in words")),
            ("status", json!({ "type": "integer", "description": "The HTTP status" })),
            ("detail", text("What went wrong and what to do, for people")),
            ("code", code.clone()),
            ("error_id", text("Names this refusal in the server's log")),
        ],
        [("errors", json!({ "type": "array", "items": wrong, "description": "Wrong fields" }))],
    );
    let openai = object([(
        "error",
        object([
            ("message", text("What went wrong and what to do")),
            ("type", text("The class of the error, as OpenAI has it")),
            ("param", or_null(text("The wrong field"))),
            ("code", code),
        ]),
    )]);
    vec![("Problem", problem), ("OpenAIError", openai)]
}

/// Responses that routes refer to.
pub(super) fn responses() -> Map<String, Value> {
    let mut responses = Map::new();
    for status in statuses() {
        let titles: Vec<_> =
            Code::ALL.iter().filter(|code| code.status() == status).map(|c| c.title()).collect();
        let narrow = json!({ "properties": {
            "status": { "const": status }, "code": { "enum": codes(status, false) },
        }});
        let schema = json!({ "allOf": [named("Problem"), narrow] });
        responses.insert(
            format!("Problem{status}"),
            json!({
                "description": titles.join("; "),
                "headers": headers(status),
                "content": { "application/problem+json": { "schema": schema } },
            }),
        );
        if of_openai(status) != status {
            continue;
        }
        let code = json!({ "properties": { "code": { "enum": codes(status, true) } } });
        let narrow = json!({ "properties": { "error": code } });
        let schema = json!({ "allOf": [named("OpenAIError"), narrow] });
        responses.insert(
            format!("OpenAIError{status}"),
            json!({
                "description": titles.join("; "),
                "headers": headers(status),
                "content": { "application/json": { "schema": schema } },
            }),
        );
    }
    responses
}

/// The refusals of one route.
pub(super) fn of(
    path: &str,
    callers: Callers,
    signature: &Signature,
    operation: &Operation,
) -> Map<String, Value> {
    let mut all: BTreeMap<u16, Option<&str>> = BTreeMap::new();
    // Wrong credentials are refused everywhere, and who has too many requests in flight. A signature covers the body, so what is signed is
    // read and may be too long, too slow or broken, whether or not the route wants a body.
    all.extend([400, 401, 408, 413, 429, 500, 503].map(|status| (status, None)));
    if callers != Callers::Everybody {
        all.extend([(403, None), (415, None)]);
    }
    if signature.body {
        all.extend([(415, None), (422, None)]);
    }
    if signature.path > 0 {
        all.insert(404, None);
    }
    // What is no id names nothing; what is no uid is a wrong field.
    if !signature.query.is_empty() || path.contains("{uid}") {
        all.insert(422, None);
    }
    all.extend(operation.refusals.iter().map(|(status, why)| (*status, Some(*why))));
    let openai = path.starts_with("/v1/");
    let mut refusals = Map::new();
    for (status, why) in all {
        let (name, status) = match openai {
            true => ("OpenAIError", of_openai(status)),
            false => ("Problem", status),
        };
        let mut response = json!({ "$ref": format!("#/components/responses/{name}{status}") });
        if let Some(why) = why {
            response["description"] = json!(why);
        }
        refusals.insert(status.to_string(), response);
    }
    refusals
}
