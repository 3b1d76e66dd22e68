//! Bodies: JSON or form or multipart fields, read one by one, so that every complaint names its
//! field and all of them come at once.

use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::Bytes;
use serde_json::{Map, Value};

use super::error::{ApiError, ApiResult, Code, FieldError};
use crate::domain::limits::NAME_CHARS_MAX;

/// The fields of one body and what is wrong with them so far.
#[derive(Debug, Default)]
pub(super) struct Fields {
    values: Map<String, Value>,
    wrong: Vec<FieldError>,
}

impl Fields {
    /// Reads a JSON object or a form, as the content type says; a body without one is tried as
    /// JSON.
    ///
    /// # Errors
    /// 400 when it is neither, 415 for another type of content.
    pub(super) fn read(request: &HttpRequest, body: &Bytes) -> ApiResult<Self> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => Self::form(body),
            "application/json" | "" => Self::json(body),
            other if other.ends_with("+json") => Self::json(body),
            other => Err(ApiError::new(
                Code::UnsupportedMedia,
                format!("`{}` is not taken here: send JSON or a form", printable(other)),
            )),
        }
    }

    /// The fields of an object inside a body.
    ///
    /// # Errors
    /// 422 when it is no object.
    pub(super) fn of(value: Value) -> ApiResult<Self> {
        match value {
            Value::Object(values) => Ok(Self { values, wrong: Vec::new() }),
            _ => Err(ApiError::field("tasks", "must hold objects")),
        }
    }

    fn json(body: &Bytes) -> ApiResult<Self> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(values)) => Ok(Self { values, wrong: Vec::new() }),
            Ok(_) => Err(ApiError::new(Code::BadBody, "the body must be a JSON object")),
            Err(error) => {
                Err(ApiError::new(Code::BadBody, format!("the body is no JSON: {error}")))
            }
        }
    }

    fn form(body: &Bytes) -> ApiResult<Self> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body)
            .map_err(|error| ApiError::new(Code::BadBody, format!("the form is bad: {error}")))?;
        let mut fields = Self::default();
        for (name, value) in pairs {
            fields.add(name, value);
        }
        Ok(fields)
    }

    /// Adds a text field; a second one of the same name is wrong.
    pub(super) fn add(&mut self, name: String, value: String) {
        if self.values.contains_key(&name) {
            self.complain(&name, "is given twice");
        } else {
            self.values.insert(name, Value::String(value));
        }
    }

    /// Notes that a field is wrong.
    pub(super) fn complain(&mut self, field: &str, reason: impl Into<String>) {
        let field = if field.is_empty() { "(empty name)" } else { field };
        // The names of a form are the sender's, of any length.
        let field = field.chars().take(NAME_CHARS_MAX).collect();
        self.wrong.push(FieldError { field, reason: reason.into() });
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 422 naming every wrong field.
    pub(super) fn done(self) -> ApiResult<()> {
        if self.wrong.is_empty() { Ok(()) } else { Err(ApiError::fields(self.wrong)) }
    }

    /// Takes a field out as it is; absent, `null` and empty text are the same.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name).filter(|value| !value.is_null() && value != "")
    }

    /// Whether a field is there as `null` or an empty text: what it stands for is to be taken away.
    pub(super) fn is_cleared(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.is_null() || value == "")
    }

    /// An optional text of at most `chars_max` characters.
    pub(super) fn text(&mut self, name: &str, chars_max: usize) -> Option<String> {
        match self.take(name)? {
            Value::String(text) if text.chars().count() <= chars_max => Some(text),
            Value::String(_) => {
                self.complain(name, format!("must have at most {chars_max} characters"));
                None
            }
            _ => {
                self.complain(name, "must be a text");
                None
            }
        }
    }

    /// An optional short name.
    pub(super) fn name(&mut self, name: &str) -> Option<String> {
        let text = self.text(name, NAME_CHARS_MAX)?;
        if text.chars().any(char::is_control) {
            self.complain(name, "must not hold control characters");
            return None;
        }
        Some(text)
    }

    /// An optional value with a text form.
    pub(super) fn parsed<T: FromStr>(&mut self, name: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        match self.name(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.complain(name, format!("is wrong: {error}"));
                None
            }
        }
    }

    /// An optional whole number within a range; forms carry it as text.
    pub(super) fn integer(&mut self, name: &str, min: i64, max: i64) -> Option<i64> {
        let number = match self.take(name)? {
            Value::String(text) => text.trim().parse().ok(),
            value => whole(&value),
        };
        match number.filter(|number| (min..=max).contains(number)) {
            Some(number) => Some(number),
            None => {
                self.complain(name, format!("must be a whole number from {min} to {max}"));
                None
            }
        }
    }

    /// An optional yes or no.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") || text == "1" => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") || text == "0" => Some(false),
            _ => {
                self.complain(name, "must be true or false");
                None
            }
        }
    }

    /// An optional JSON value; forms carry it as text.
    pub(super) fn value(&mut self, name: &str) -> Option<Value> {
        match self.take(name)? {
            Value::String(text) => match serde_json::from_str(&text) {
                Ok(value) => Some(value),
                Err(error) => {
                    self.complain(name, format!("is no JSON: {error}"));
                    None
                }
            },
            value => Some(value),
        }
    }

    /// Complains unless the value is there.
    pub(super) fn need<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        // A field that was there and wrong has its complaint already.
        if value.is_none() && !self.wrong.iter().any(|wrong| wrong.field == name) {
            self.complain(name, "is missing");
        }
        value
    }

    /// Ends the reading with a value that is there unless something was complained about.
    ///
    /// # Errors
    /// 422 naming every wrong field.
    pub(super) fn finish<T>(mut self, name: &str, value: Option<T>) -> ApiResult<T> {
        let value = self.need(name, value);
        self.done()?;
        value.ok_or_else(|| ApiError::field(name, "is missing"))
    }
}

/// A whole number in JSON, in which `3.0` is one too: some programs write all numbers so.
#[must_use]
pub(super) fn whole(value: &Value) -> Option<i64> {
    // Beyond this not every whole number has a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() <= EXACT;
    value.as_i64().or_else(|| value.as_f64().filter(exact).map(|number| number as i64))
}

/// A text cut and cleaned for an error message.
#[must_use]
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
