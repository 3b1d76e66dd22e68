//! An answer, and what every answer of its sort must look like.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Method and target, for messages.
    pub(crate) what: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn text_whole(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).chars().take(2_000).collect()
    }

    #[track_caller]
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{}: no JSON ({error}): {}", self.what, self.text()))
    }

    /// The JSON of an answer with this status.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text());
        if self.bytes.is_empty() { Value::Null } else { self.value() }
    }

    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        let value = self.is(200);
        if let Some(success) = value.get("success") {
            assert_eq!(success, true, "{}", self.what);
        }
        value
    }

    /// A problem document with this status and code, complete as the contract says.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let Self { what, .. } = self;
        if what.contains(" /v1/") {
            return self.openai_problem(status, code);
        }
        assert_eq!(self.status, status, "{what}: {}", self.text());
        let content_type = self.header("content-type").unwrap_or_default();
        assert_eq!(content_type, "application/problem+json", "{what}: {}", self.text());
        let problem = self.value();
        assert_eq!(problem["code"], code, "{what}: {problem}");
        assert_eq!(problem["success"], false, "{what}");
        assert_eq!(problem["status"], status, "{what}");
        for field in ["type", "title", "detail", "error_id"] {
            let text = problem[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{what}: no `{field}` in {problem}");
        }
        match status {
            401 => assert!(self.header("www-authenticate").is_some(), "{what}: no challenge"),
            429 | 503 => {
                let after = self.header("retry-after").and_then(|text| text.parse::<u64>().ok());
                assert!(after.is_some(), "{what}: no `Retry-After`");
            }
            _ => {}
        }
        problem
    }

    /// The same in the words of OpenAI, which answers 400 for every wrong parameter.
    #[track_caller]
    fn openai_problem(&self, status: u16, code: &str) -> Value {
        let status = if matches!(status, 415 | 422) { 400 } else { status };
        let error = self.is(status)["error"].clone();
        assert_eq!(error["code"], code, "{}: {error}", self.what);
        assert!(error["type"].as_str().unwrap().ends_with("_error"), "{}: {error}", self.what);
        json!({
            "code": code, "status": status, "detail": error["message"],
            "errors": [{ "field": error["param"] }],
        })
    }

    /// 422 whose message and `errors` name this field, or what is wrong within it.
    #[track_caller]
    pub(crate) fn blames(&self, field: &str) {
        let problem = self.problem(422, "invalid_field");
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let within = |error: &Value| {
            let rest = error["field"].as_str().and_then(|name| name.strip_prefix(field));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        assert!(errors.iter().any(within), "{}: `{field}` is not named: {problem}", self.what);
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(field), "{}: `{field}` is not in `{detail}`", self.what);
    }

    /// 422 whose message and `errors` name this field.
    #[track_caller]
    pub(crate) fn names(&self, field: &str) -> Value {
        let problem = self.problem(422, "invalid_field");
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let named = errors.iter().any(|error| error["field"].as_str() == Some(field));
        assert!(named, "{}: `{field}` is not named: {problem}", self.what);
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(field), "{}: `{field}` is not in `{detail}`", self.what);
        problem
    }
}
