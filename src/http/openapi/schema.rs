//! Schemas (JSON Schema 2020-12) in few words. They are written by hand, since answers are built as
//! JSON and bodies read field by field; every answer to a test of `tests/http` is held against them,
//! with no field missing and none too many.

use serde_json::{Map, Value, json};

/// A field of an object: its name and its schema.
pub(super) type Field = (&'static str, Value);

/// Something of a JSON type.
fn typed(of: &str, what: &str) -> Value {
    json!({ "type": of, "description": what })
}

/// A text.
pub(super) fn text(what: &str) -> Value {
    typed("string", what)
}

/// A text of at least and at most so many characters.
pub(super) fn text_of(min: usize, max: usize, what: &str) -> Value {
    json!({ "type": "string", "minLength": min, "maxLength": max, "description": what })
}

/// A whole number.
pub(super) fn integer(what: &str) -> Value {
    typed("integer", what)
}

/// A whole number within a range.
pub(super) fn range(min: i64, max: i64, what: &str) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max, "description": what })
}

/// A uid of the subnet.
pub(super) fn uid(what: &str) -> Value {
    range(0, u16::MAX.into(), what)
}

/// A number.
pub(super) fn number(what: &str) -> Value {
    typed("number", what)
}

/// A number from 0 to 1.
pub(super) fn share(what: &str) -> Value {
    json!({ "type": "number", "minimum": 0, "maximum": 1, "description": what })
}

/// Yes or no.
pub(super) fn flag(what: &str) -> Value {
    typed("boolean", what)
}

/// A moment, RFC 3339 in UTC.
pub(super) fn time(what: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": what })
}

/// An id of this server.
pub(super) fn id(what: &str) -> Value {
    json!({ "type": "string", "format": "uuid", "description": what })
}

/// A hotkey.
pub(super) fn hotkey(what: &str) -> Value {
    text(&format!("{what}: a hotkey, ss58"))
}

/// One of these texts.
pub(super) fn one_of<T: ToString>(all: impl IntoIterator<Item = T>, what: &str) -> Value {
    let all: Vec<String> = all.into_iter().map(|one| one.to_string()).collect();
    json!({ "type": "string", "enum": all, "description": what })
}

/// A list.
pub(super) fn list(items: Value, what: &str) -> Value {
    json!({ "type": "array", "items": items, "description": what })
}

/// Anything.
pub(super) fn any(what: &str) -> Value {
    json!({ "description": what })
}

/// An object with any fields.
pub(super) fn open_object(what: &str) -> Value {
    json!({ "type": "object", "additionalProperties": true, "description": what })
}

/// An object that has all of these fields.
pub(super) fn object(fields: impl IntoIterator<Item = Field>) -> Value {
    object_with(fields, [])
}

/// An object that has all of the first fields and may have the others.
pub(super) fn object_with(
    fields: impl IntoIterator<Item = Field>,
    more: impl IntoIterator<Item = Field>,
) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, schema) in fields {
        required.push(name);
        properties.insert(name.to_owned(), schema);
    }
    for (name, schema) in more {
        properties.insert(name.to_owned(), schema);
    }
    let mut object = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// The same or `null`.
pub(super) fn or_null(mut schema: Value) -> Value {
    if let Some(all) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        all.push(Value::Null);
    }
    match schema.get("type").cloned() {
        Some(Value::String(one)) => {
            schema["type"] = json!([one, "null"]);
            schema
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

/// A schema that has a name.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// `success: true`, as answers of the documents' routes have it.
pub(super) fn success() -> Field {
    ("success", json!({ "type": "boolean", "const": true }))
}

/// How many the list beside it has.
pub(super) fn count() -> Field {
    ("count", integer("How many follow"))
}

/// What to ask the next page with.
pub(super) fn next_cursor() -> Field {
    ("next_cursor", or_null(text("What to send as `cursor` for the next page; null on the last")))
}
