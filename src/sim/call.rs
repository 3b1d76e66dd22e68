//! Requests to the server, as values: built once, signed and sent as often as needed.

use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;

/// One request, complete with its body: a signature needs the exact bytes.
#[derive(Debug, Clone)]
pub struct Call {
    pub(super) method: Method,
    pub(super) target: String,
    /// Empty when there is no body.
    pub(super) content_type: String,
    /// Cheap to clone: a call that is repeated keeps its audio once.
    pub(super) body: Bytes,
    pub(super) idempotency_key: Option<String>,
}

impl Call {
    /// A GET of path and query.
    #[must_use]
    pub fn get(target: impl Into<String>) -> Self {
        Self::new(Method::GET, target.into(), String::new(), Vec::new())
    }

    /// A POST of form fields, the way clients of the original send them.
    #[must_use]
    pub fn form(target: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let body = serde_urlencoded::to_string(fields).unwrap_or_default();
        let content_type = "application/x-www-form-urlencoded".to_owned();
        Self::new(Method::POST, target.into(), content_type, body.into_bytes())
    }

    /// A POST of JSON.
    #[must_use]
    pub fn json(target: impl Into<String>, body: &Value) -> Self {
        let content_type = "application/json".to_owned();
        Self::new(Method::POST, target.into(), content_type, body.to_string().into_bytes())
    }

    /// A POST of form fields and one WAV file, `multipart/form-data`.
    #[must_use]
    pub fn upload(
        target: impl Into<String>,
        fields: &[(&str, &str)],
        file_field: &str,
        wav: &[u8],
    ) -> Self {
        // Random, so that no content can contain it.
        let boundary = format!("pithead-{:032x}", rand::random::<u128>());
        let mut body = Vec::with_capacity(wav.len() + 1_024);
        for (name, value) in fields {
            body.extend(
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                    .into_bytes(),
            );
        }
        body.extend(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{file_field}\"; \
                 filename=\"speech.wav\"\r\nContent-Type: audio/wav\r\n\r\n"
            )
            .into_bytes(),
        );
        body.extend_from_slice(wav);
        body.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
        let content_type = format!("multipart/form-data; boundary={boundary}");
        Self::new(Method::POST, target.into(), content_type, body)
    }

    fn new(method: Method, target: String, content_type: String, body: Vec<u8>) -> Self {
        Self { method, target, content_type, body: body.into(), idempotency_key: None }
    }

    /// Marks the call as safe to repeat: the server creates at most one thing for this key.
    #[must_use]
    pub fn idempotent(mut self, key: String) -> Self {
        self.idempotency_key = Some(key);
        self
    }
}
