//! Errors as clients see them: one table of codes, and problem+json for every one of them.

use std::fmt;

use actix_web::dev::ServiceResponse;
use actix_web::error::{PathError, QueryPayloadError};
use actix_web::http::{StatusCode, header};
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::budget::Standing;
use crate::identity::AuthError;
use crate::store::StoreError;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// What went wrong, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// All of them.
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The `code` of the problem.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            pub(super) const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    /// A field is missing or wrong.
    InvalidField = "invalid_field", 422, "A field is missing or wrong";
    /// The body is no JSON, form or multipart.
    BadBody = "bad_body", 400, "The body cannot be read";
    /// No such kind of task.
    UnknownKind = "unknown_kind", 404, "No such kind of task";
    /// No credentials, or wrong ones.
    Unauthenticated = "unauthenticated", 401, "Who are you?";
    /// Signed too long ago, or ahead of time.
    StaleSignature = "stale_signature", 401, "The signature is not of now";
    /// The nonce was used before.
    Replayed = "replayed", 401, "The request was sent before";
    /// Signed for another server.
    WrongReceiver = "wrong_receiver", 401, "The request is meant for another server";
    /// Known, but not allowed.
    Forbidden = "forbidden", 403, "You may not do this";
    /// The uid is not the caller's.
    UidMismatch = "uid_mismatch", 403, "The uid is not yours";
    /// The hotkey has no role here.
    NotRegistered = "not_registered", 403, "The hotkey is not registered here";
    /// No such thing, or not the caller's.
    NotFound = "not_found", 404, "Not found";
    /// Another method is meant.
    MethodNotAllowed = "method_not_allowed", 405, "Another method is meant";
    /// The idempotency key stands for another request.
    IdempotencyMismatch = "idempotency_mismatch", 422, "The idempotency key stands for another request";
    /// Another answer stands.
    ResponseConflict = "response_conflict", 409, "Another answer stands";
    /// The thing is in a state that does not allow it.
    Conflict = "conflict", 409, "The state does not allow it";
    /// The lease does not live.
    LeaseLost = "lease_lost", 410, "The lease is lost";
    /// The file has no such part.
    BadRange = "bad_range", 416, "The file has no such part";
    /// Too many bytes.
    TooLarge = "too_large", 413, "Too large";
    /// A type of content that is not taken.
    UnsupportedMedia = "unsupported_media", 415, "This type of content is not taken";
    /// The body came too slowly.
    TooSlow = "too_slow", 408, "The body came too slowly";
    /// Too many requests.
    RateLimited = "rate_limited", 429, "Too many requests";
    /// No miner could do it.
    NoResult = "no_result", 502, "No miner could do it";
    /// It took too long to wait for.
    TimedOut = "timed_out", 504, "Not ready in time";
    /// The server is full.
    Full = "full", 503, "The server is full";
    /// The chain's word on the caller is too old.
    SnapshotOld = "snapshot_old", 503, "What is known of the chain is too old";
    /// The server cannot do it now.
    Unavailable = "unavailable", 503, "Not available now";
    /// A defect; the log has the rest.
    Internal = "internal", 500, "Something went wrong here";
}

/// One field that was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Its name.
    pub field: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// An error on its way to a client.
#[derive(Debug)]
pub struct ApiError {
    code: Code,
    detail: String,
    fields: Vec<FieldError>,
    retry_after_secs: Option<u64>,
    /// What the caller has used up.
    rate_limit: Option<Standing>,
}

/// What handlers answer.
pub type ApiResult<T = HttpResponse> = Result<T, ApiError>;

#[derive(Serialize)]
struct Problem<'a> {
    success: bool,
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    error_id: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl ApiError {
    /// An error with a sentence for people.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let (detail, fields) = (detail.into(), Vec::new());
        Self { code, detail, fields, retry_after_secs: None, rate_limit: None }
    }

    /// A wrong field.
    #[must_use]
    pub fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { field: field.into(), reason: reason.into() }])
    }

    /// Wrong fields.
    #[must_use]
    pub fn fields(fields: Vec<FieldError>) -> Self {
        let sentence = |f: &FieldError| format!("`{}` {}", f.field, f.reason);
        let detail = fields.iter().map(sentence).collect::<Vec<_>>().join("; ");
        Self { fields, ..Self::new(Code::InvalidField, detail) }
    }

    /// No such thing, or not the caller's: the same answer for both.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no such {what} here"))
    }

    /// All permits are taken.
    #[must_use]
    pub fn full(what: &str) -> Self {
        Self::new(Code::Full, format!("{what}; try again shortly")).retry_after(1)
    }

    /// Something whose time is over.
    #[must_use]
    pub fn gone(what: &str) -> Self {
        let detail = format!("{what} is past its time, or will be soon: upload it again");
        Self::new(Code::Conflict, detail)
    }

    /// An `Idempotency-Key` that stands for another request.
    #[must_use]
    pub fn key_of_another() -> Self {
        Self::new(
            Code::IdempotencyMismatch,
            "this `Idempotency-Key` was sent with another request; use a new key",
        )
    }

    /// More than `limit` requests in a minute; the next one is taken in `secs`.
    #[must_use]
    pub fn rate_limited(what: &str, limit: u32, secs: u64) -> Self {
        let detail = format!("at most {limit} {what} per minute");
        let spent = Standing { limit, remaining: 0, reset_secs: secs };
        Self { rate_limit: Some(spent), ..Self::new(Code::RateLimited, detail) }.retry_after(secs)
    }

    /// A budget of requests that has nothing left; the next one is taken in `secs`.
    #[must_use]
    pub fn over_budget(spent: Standing, secs: u64) -> Self {
        let detail = format!("at most {} requests per minute", spent.limit);
        Self { rate_limit: Some(spent), ..Self::new(Code::RateLimited, detail) }.retry_after(secs)
    }

    /// Says when to try again.
    #[must_use]
    pub const fn retry_after(mut self, secs: u64) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// The sentence for people; nothing of what went wrong inside.
    #[must_use]
    pub fn message(&self) -> &str {
        match self.code {
            Code::Unavailable | Code::Internal => self.code.title(),
            _ => &self.detail,
        }
    }

    /// The first wrong field.
    #[must_use]
    pub fn first_field(&self) -> Option<&str> {
        self.fields.first().map(|field| field.field.as_str())
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let error_id = Uuid::now_v7().to_string();
        let status = self.status_code();
        // What went wrong inside stays inside; the log has it under the id.
        let inside = matches!(self.code, Code::Unavailable | Code::Internal);
        let shown = if inside {
            tracing::error!(
                error.id = error_id,
                code = self.code.as_str(),
                detail = self.detail,
                "a request failed"
            );
            "the log of the server has the details under this `error_id`"
        } else {
            tracing::debug!(
                error.id = error_id,
                code = self.code.as_str(),
                "a request was refused"
            );
            &self.detail
        };
        let problem = Problem {
            success: false,
            r#type: format!("urn:pithead:error:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status(),
            detail: shown,
            code: self.code.as_str(),
            error_id,
            errors: &self.fields,
        };
        let mut response = HttpResponse::build(status);
        if let Some(secs) = self.retry_after_secs {
            response.insert_header((header::RETRY_AFTER, secs));
            if let Some(spent) = self.rate_limit {
                response.insert_header(("x-ratelimit-limit", spent.limit));
                response.insert_header(("x-ratelimit-remaining", spent.remaining));
                response.insert_header(("x-ratelimit-reset", spent.reset_secs));
            }
        }
        if self.code == Code::TooSlow {
            response.force_close();
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"pithead\""));
        }
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        response.content_type("application/problem+json").body(body)
    }
}

/// Why a request was refused, as a middleware sees its answer; nothing for one that was not.
pub(super) fn refusal<B>(answer: &Result<ServiceResponse<B>, Error>) -> Option<Code> {
    let error = match answer {
        Ok(response) => response.response().error(),
        Err(error) => Some(error),
    };
    error.and_then(|error| error.as_error::<ApiError>()).map(ApiError::code)
}

/// A query that cannot be read, such as one that names a field twice.
pub(super) fn bad_query(error: QueryPayloadError, _: &HttpRequest) -> Error {
    ApiError::field("query", error.to_string()).into()
}

/// A path that cannot be read names nothing.
pub(super) fn bad_path(_: PathError, _: &HttpRequest) -> Error {
    ApiError::not_found("thing").into()
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Replayed => {
                Self::new(Code::Replayed, "sign every request anew, with a nonce of its own")
            }
            StoreError::Unavailable(_) | StoreError::Unknown(_) | StoreError::Closed => {
                Self::new(Code::Unavailable, error.to_string()).retry_after(1)
            }
            StoreError::Corrupt(_) => Self::new(Code::Internal, error.to_string()),
        }
    }
}

impl From<actix::MailboxError> for ApiError {
    fn from(error: actix::MailboxError) -> Self {
        Self::new(Code::Unavailable, format!("an actor did not answer: {error}")).retry_after(1)
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let code = match error {
            AuthError::Unauthenticated(_) => Code::Unauthenticated,
            AuthError::Stale { .. } => Code::StaleSignature,
            AuthError::WrongReceiver => Code::WrongReceiver,
        };
        Self::new(code, error.to_string())
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        Self::new(Code::Unavailable, format!("files: {error}")).retry_after(5)
    }
}
