//! The contract that the server tells of itself, held against every answer that a test gets: each
//! status is documented, and each JSON body has the documented fields, all of them and no others.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::Answer;

#[derive(Default)]
pub(crate) struct Contract {
    document: Value,
    /// Compiled when first needed, by where the schema stands.
    validators: Mutex<HashMap<String, Validator>>,
}

/// Every route of the table in the sources, with each of its methods.
pub(crate) fn served() -> BTreeSet<(String, String)> {
    let table = include_str!("../../../src/http/routes/mod.rs");
    let mut served = BTreeSet::new();
    for line in table.lines() {
        let mut words = line.split_whitespace();
        let methods: &[&str] = match words.next() {
            Some("get") => &["GET"],
            Some("probe") => &["GET", "HEAD"],
            Some("post") => &["POST"],
            Some("delete") => &["DELETE"],
            Some("patch") => &["PATCH"],
            _ => continue,
        };
        let path = words.next().and_then(|path| path.strip_prefix('"')?.strip_suffix('"'));
        let path = path.unwrap_or_else(|| panic!("no route: {line}"));
        served.extend(methods.iter().map(|method| ((*method).to_owned(), path.to_owned())));
    }
    assert!(served.len() > 70, "the table is not where it was");
    served
}

/// Patterns that are served with this method.
pub(crate) fn served_with(method: &str) -> BTreeSet<String> {
    served().into_iter().filter(|(m, _)| m == method).map(|(_, path)| path).collect()
}

/// Lets no object have fields that its schema does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            // What only narrows names no fields.
            fields
                .iter_mut()
                .filter(|(key, _)| *key != "allOf")
                .for_each(|(_, value)| close(value));
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl Contract {
    pub(crate) fn of(mut document: Value) -> Self {
        close(&mut document["components"]);
        close(&mut document["paths"]);
        Self { document, validators: Mutex::default() }
    }

    /// The pattern of a path, as the router finds it: what is literal first.
    pub(crate) fn pattern(&self, path: &str) -> Option<&str> {
        let parts: Vec<_> = path.split('/').collect();
        let fits = |pattern: &&str| {
            let own: Vec<_> = pattern.split('/').collect();
            own.len() == parts.len()
                && own.iter().zip(&parts).all(|(own, part)| own.starts_with('{') || own == part)
        };
        let paths = self.document["paths"].as_object()?.keys().map(String::as_str);
        paths.filter(fits).min_by_key(|pattern| {
            pattern.split('/').map(|part| part.starts_with('{')).collect::<Vec<_>>()
        })
    }

    /// Where the route of a request is documented.
    fn place(&self, method: &str, path: &str) -> Option<String> {
        let pattern = self.pattern(path)?.replace('~', "~0").replace('/', "~1");
        let place = format!("/paths/{pattern}/{}", method.to_ascii_lowercase());
        self.document.pointer(&place).map(|_| place)
    }

    /// What is documented of the route of a request.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        self.document.pointer(&self.place(method, path)?)
    }

    /// The body of a route has these fields, and those that it cannot do without are required.
    pub(crate) fn names(&self, pattern: &str, path: &str, fields: &[&str], needs: &[&str]) {
        let operation = self.operation("POST", path).unwrap();
        let Some(content) = operation["requestBody"]["content"].as_object() else {
            assert!(fields.is_empty() && needs.is_empty(), "{pattern} has no body");
            return;
        };
        for (media, content) in content {
            let schema = &content["schema"];
            for field in fields {
                assert!(schema["properties"][field].is_object(), "{pattern} {media} {field}");
            }
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            // A file comes as a part, or by its id; a text is for some kinds only.
            let not_always = |field: &str| {
                ["file", "sample"].iter().any(|end| field.ends_with(end))
                    || (pattern == "/api/v1/tasks" && field == "text")
            };
            for field in needs.iter().filter(|field| !not_always(field)) {
                assert!(required.contains(&json!(field)), "{pattern} {media} needs {field}");
            }
        }
    }

    /// What is wrong with an answer, if anything.
    pub(crate) fn breach(&self, answer: &Answer) -> Option<String> {
        if self.document.is_null() {
            return None;
        }
        let (method, target) = answer.what.split_once(' ')?;
        let path = target.split('?').next().unwrap_or_default();
        let status = answer.status.to_string();
        let place = self.place(method, path);
        let operation = self.operation(method, path);
        let response = match operation {
            // No route: 404 or 405, unless the credentials are wrong or the server is full.
            None => format!("/components/responses/Problem{status}"),
            Some(operation) if operation["responses"][&status].is_null() => {
                return Some(format!("the status {status} is not documented"));
            }
            Some(operation) => match operation["responses"][&status]["$ref"].as_str() {
                Some(to) => to.trim_start_matches('#').to_owned(),
                None => format!("{}/responses/{status}", place.as_deref().unwrap_or_default()),
            },
        };
        let openai = path.starts_with("/v1/") && operation.is_none();
        let response = if openai { response.replace("Problem", "OpenAIError") } else { response };
        self.body_breach(answer, &response, method == "HEAD")
    }

    fn body_breach(&self, answer: &Answer, response: &str, head: bool) -> Option<String> {
        let Some(documented) = self.document.pointer(response) else {
            return Some(format!("`{response}` is not documented"));
        };
        for (name, _) in documented["headers"].as_object().into_iter().flatten() {
            if answer.header(name).is_none() {
                return Some(format!("the header `{name}` is missing"));
            }
        }
        let Some(content) = documented["content"].as_object().filter(|_| !head) else {
            let empty = head || answer.bytes.is_empty();
            return (!empty).then(|| format!("no body is documented: {}", answer.text()));
        };
        let media = answer.header("content-type").unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        let named = [media, "*/*"].into_iter().find(|media| content.contains_key(*media));
        let Some(named) = named else {
            return Some(format!("the content type `{media}` is not documented"));
        };
        if !named.ends_with("json") {
            return None;
        }
        let place = format!("{response}/content/{}/schema", named.replace('/', "~1"));
        self.schema_breach(&place, &answer.value())
    }

    /// What is wrong with a value, given where its schema stands.
    pub(crate) fn schema_breach(&self, place: &str, value: &Value) -> Option<String> {
        let mut validators = self.validators.lock().unwrap();
        let validator = validators.entry(place.to_owned()).or_insert_with(|| {
            let mut schema = self.document.pointer(place).unwrap().clone();
            schema["components"] = self.document["components"].clone();
            jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
        });
        let wrong = |error: jsonschema::ValidationError<'_>| {
            format!("{} at `{}`", error, error.instance_path())
        };
        validator.iter_errors(value).next().map(wrong)
    }
}
