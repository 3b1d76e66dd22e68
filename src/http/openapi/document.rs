//! Puts the document together: the route table, what each route says of itself, and the schemas.

use serde_json::{Map, Value, json};

use super::operation::{AnswerDoc, BodyDoc, BodyField, Callers, Content, File, Operation};
use super::{TAGS, refusals, schema};
use crate::domain::kind::KindRegistry;
use crate::http::routes::Entry;
use crate::identity::btauth;

const ABOUT: &str = "The orchestrator that a decentralised-inference subnet puts in front of its \
miners.\n\nBodies are JSON or forms, multipart where a file may come; in a form, lists and objects \
are JSON in a text. Fields that are not named here are passed over. Errors are \
`application/problem+json`, under `/v1` as OpenAI has them. A path that is none is answered 404, a \
method that a path does not have 405 with `Allow`. Times are RFC 3339 in UTC.";

/// The whole document.
pub(super) fn document(entries: &[Entry], kinds: &KindRegistry) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for entry in entries {
        let about = (entry.about)(kinds);
        let path = paths.entry(entry.path).or_insert_with(|| json!({}));
        for method in entry.methods.split(", ").map(str::to_ascii_lowercase) {
            path[&method] = operation(entry, &about, &method);
        }
    }
    let tags: Vec<_> =
        TAGS.iter().map(|(name, what)| json!({ "name": name, "description": what })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pithead",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas(kinds),
            "responses": refusals::responses(),
            "securitySchemes": security_schemes(),
        },
    })
}

fn schemas(kinds: &KindRegistry) -> Map<String, Value> {
    let groups = [
        refusals::schemas(),
        super::tasks::schemas(kinds),
        super::files::schemas(),
        super::submissions::schemas(),
        super::webhooks::schemas(),
        super::keys::schemas(),
        super::quarantine::schemas(),
        super::miners::schemas(kinds),
        super::network::schemas(kinds),
    ];
    groups.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn security_schemes() -> Value {
    let header = |name: &str, what: &str| json!({ "type": "apiKey", "in": "header", "name": name, "description": what });
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, `pit_..`. Keys for miners and validators are taken where \
                            `auth.hotkey_api_keys` is set.",
        },
        "api_key": header("X-API-Key", "The same key."),
        "signed_version": header(btauth::HEADER_VERSION, "`1`: the protocol btauth/1."),
        "signed_hotkey": header(btauth::HEADER_HOTKEY, "The signer's hotkey, ss58."),
        "signed_receiver": header(
            btauth::HEADER_RECEIVER,
            "The server's hotkey, as `GET /api/v1/identity` tells it.",
        ),
        "signed_nonce": header(
            btauth::HEADER_NONCE,
            "Unix time in nanoseconds, decimal. Within the window that `/api/v1/identity` tells, \
             and never twice.",
        ),
        "signature": header(
            btauth::HEADER_SIGNATURE,
            "`0x` and the sr25519 signature in hex, over the method, the target with its query, the \
             hash of the body and the headers above: what `bittensor.http_auth.sign` makes.",
        ),
    })
}

fn callers(entry: &Entry, about: &Operation) -> Callers {
    let open = if entry.signature.asks_who { Callers::Known } else { Callers::Everybody };
    about.callers.or(entry.signature.callers).unwrap_or(open)
}

fn operation(entry: &Entry, about: &Operation, method: &str) -> Value {
    let head = method == "head";
    let who = callers(entry, about);
    let mut responses = refusals::of(entry.path, who, &entry.signature, about);
    for answer in &about.answers {
        responses.insert(answer.status.to_string(), response(answer, head));
    }
    let id = entry.name.replace("::", "_");
    let description = [about.more, who.sentence()].join(" ");
    let mut operation = json!({
        "operationId": if head { format!("{id}_head") } else { id },
        "tags": [about.tag],
        "summary": about.summary,
        "description": description.trim(),
        "security": who.security(),
        "x-callers": who.as_str(),
        "responses": responses,
    });
    let parameters: Vec<_> = about
        .parameters
        .iter()
        .map(|parameter| {
            let required = parameter.place == "path";
            json!({
                "name": parameter.name, "in": parameter.place, "required": required,
                "schema": parameter.schema,
            })
        })
        .collect();
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if let Some(body) = &about.body {
        operation["requestBody"] = request_body(body);
    }
    operation
}

fn response(answer: &AnswerDoc, head: bool) -> Value {
    let mut response = json!({ "description": answer.what });
    let headers: Map<String, Value> = answer
        .headers
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), json!({ "schema": schema })))
        .collect();
    if !headers.is_empty() {
        response["headers"] = json!(headers);
    }
    let mut content = Map::new();
    for one in answer.content.iter().filter(|_| !head) {
        match one {
            Content::Nothing => {}
            Content::Json(schema) => {
                content.insert("application/json".to_owned(), json!({ "schema": schema }));
            }
            // A schema would be one of the events, for some readers, and of all of them for others.
            Content::Other(media @ "text/event-stream") => {
                content.insert((*media).to_owned(), json!({}));
            }
            Content::Other(media) => {
                content.insert((*media).to_owned(), json!({ "schema": { "type": "string" } }));
            }
        }
    }
    if !content.is_empty() {
        response["content"] = json!(content);
    }
    response
}

/// The schema of an object with these fields, in JSON.
pub(super) fn object_of(fields: &[BodyField]) -> Value {
    fields_schema(fields, false)
}

fn fields_schema(fields: &[BodyField], form: bool) -> Value {
    let shown = |field: &BodyField| (field.name, in_body(field, form));
    let needed = fields.iter().filter(|field| field.needed).map(shown);
    let others = fields.iter().filter(|field| !field.needed).map(shown);
    schema::object_with(needed, others)
}

/// A field in JSON; in a form, lists and objects are JSON in a text.
fn in_body(field: &BodyField, form: bool) -> Value {
    let of = field.schema.get("type").and_then(Value::as_str);
    if !form || matches!(of, Some("string" | "integer" | "number" | "boolean")) {
        return field.schema.clone();
    }
    if let Some(text) = field.schema["anyOf"].as_array().and_then(|any| any.last()) {
        // Of several forms of a field the last one is a text.
        return text.clone();
    }
    json!({
        "type": "string", "contentMediaType": "application/json",
        "contentSchema": field.schema, "description": field.schema["description"],
    })
}

fn request_body(body: &BodyDoc) -> Value {
    let (name, need) = match body.file {
        File::Never | File::Parts => (None, None),
        File::May(name) => (Some(name), None),
        File::Must(name) => (Some(name), Some(json!([{ "required": [name] }]))),
        File::OrId(name) => {
            let either = json!([{ "required": [name] }, { "required": ["file_id"] }]);
            (Some(name), Some(either))
        }
    };
    let mut content = Map::new();
    // A file that must come can only come as a part.
    if !matches!(body.file, File::Must(_)) {
        for (media, form) in
            [("application/json", false), ("application/x-www-form-urlencoded", true)]
        {
            let mut schema = fields_schema(&body.fields, form);
            if matches!(body.file, File::OrId(_)) {
                require(&mut schema, "file_id");
            }
            content.insert(media.to_owned(), json!({ "schema": schema }));
        }
    }
    if !matches!(body.file, File::Never) {
        let mut schema = fields_schema(&body.fields, true);
        if let Some(name) = name {
            schema["properties"][name] =
                json!({ "type": "string", "format": "binary", "description": "The file" });
        }
        if let Some(either) = need {
            schema["anyOf"] = either;
        }
        content.insert("multipart/form-data".to_owned(), json!({ "schema": schema }));
    }
    let needed = body.fields.iter().any(|field| field.needed)
        || matches!(body.file, File::Must(_) | File::OrId(_));
    json!({ "required": needed, "content": content })
}

fn require(schema: &mut Value, name: &str) {
    match schema["required"].as_array_mut() {
        Some(required) => required.push(json!(name)),
        None => schema["required"] = json!([name]),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::routes::entries;

    /// What is said of a route and what its handler reads are the same.
    #[test]
    fn documentation_agrees_with_the_arguments_of_the_handlers() {
        let kinds = KindRegistry::default();
        for entry in entries() {
            let about = (entry.about)(&kinds);
            let named = |place| -> BTreeSet<&str> {
                let of = about.parameters.iter().filter(|parameter| parameter.place == place);
                of.map(|parameter| parameter.name).collect()
            };
            let (path, signature) = (entry.path, &entry.signature);
            let read: BTreeSet<_> = signature.query.iter().copied().collect();
            assert_eq!(named("query"), read, "query of {path}");
            let holes =
                path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            let holes: BTreeSet<_> = holes.collect();
            assert_eq!(named("path"), holes, "names in {path}");
            assert_eq!(signature.path, holes.len(), "names that {path} reads");
            assert_eq!(about.body.is_some(), signature.body, "body of {path}");
            assert!(TAGS.iter().any(|(tag, _)| *tag == about.tag), "{path}: {}", about.tag);
            assert!(!about.answers.is_empty(), "{path} answers nothing");
            let told = about.callers.is_some() || signature.callers.is_some();
            assert_eq!(told, signature.asks_who, "who may call {path}");
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_every_reference_leads_somewhere() {
        let document = document(&entries(), &KindRegistry::default());
        let mut ids = BTreeSet::new();
        for path in document["paths"].as_object().unwrap().values() {
            for operation in path.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                assert!(ids.insert(id.clone()), "two are called {id}");
            }
        }
        assert!(ids.len() > 70);
        let mut rest = vec![&document];
        while let Some(value) = rest.pop() {
            match value {
                Value::Object(fields) => {
                    if let Some(to) = fields.get("$ref").and_then(Value::as_str) {
                        let pointer = to.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{to} leads nowhere");
                    }
                    rest.extend(fields.values());
                }
                Value::Array(values) => rest.extend(values),
                _ => {}
            }
        }
    }

    #[test]
    fn configured_kinds_are_in_the_document() {
        let mut weather = KindRegistry::default().iter().next().unwrap().clone();
        weather.name = "weather_report".to_owned();
        weather.languages = vec!["eo".to_owned()];
        let text = document(&entries(), &KindRegistry::with(vec![weather])).to_string();
        assert!(text.contains("\"weather_report\"") && text.contains("\"eo\""));
        let without = document(&entries(), &KindRegistry::default()).to_string();
        assert!(!without.contains("weather_report"));
    }
}
