//! A request before anybody has signed it: exactly the bytes that will be on the wire.

use serde_json::Value;

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// One part of a multipart body: a text field, or a file.
#[derive(Debug, Clone)]
pub(crate) struct Part<'a> {
    name: &'a str,
    file: Option<(&'a str, &'a str)>,
    content: &'a [u8],
}

impl<'a> Part<'a> {
    pub(crate) fn text(name: &'a str, content: &'a str) -> Self {
        Self { name, file: None, content: content.as_bytes() }
    }

    pub(crate) fn file(
        name: &'a str,
        file_name: &'a str,
        content_type: &'a str,
        content: &'a [u8],
    ) -> Self {
        Self { name, file: Some((file_name, content_type)), content }
    }
}

const BOUNDARY: &str = "pithead-test-boundary";

impl Call {
    pub(crate) fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn post(target: impl Into<String>) -> Self {
        Self::new("POST", target)
    }

    pub(crate) fn delete(target: impl Into<String>) -> Self {
        Self::new("DELETE", target)
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    pub(crate) fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// The pairs as a urlencoded form.
    pub(crate) fn form(self, pairs: &[(&str, &str)]) -> Self {
        let body = serde_urlencoded::to_string(pairs).unwrap();
        self.body("application/x-www-form-urlencoded", body)
    }

    pub(crate) fn multipart(self, parts: &[Part<'_>]) -> Self {
        let mut body = Vec::new();
        for part in parts {
            let name = part.name;
            body.extend(format!("--{BOUNDARY}\r\n").bytes());
            let head = match part.file {
                None => format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n"),
                Some((file, content_type)) => format!(
                    "Content-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\
                     Content-Type: {content_type}\r\n\r\n"
                ),
            };
            body.extend(head.bytes());
            body.extend(part.content);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{BOUNDARY}--\r\n").bytes());
        self.body(&format!("multipart/form-data; boundary={BOUNDARY}"), body)
    }
}
