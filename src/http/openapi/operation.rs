//! What one route does: the documentation that stands beside its path, method and handler.

use serde_json::{Value, json};

use super::schema::{Field, id, range, text, text_of};
use crate::domain::limits::{IDEMPOTENCY_KEY_MAX, PAGE_MAX};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Callers {
    /// Nobody is asked who he is.
    Everybody,
    /// Anybody whom the server knows.
    Known,
    /// API keys of clients and admins; signers with a role.
    Clients,
    /// API keys of admins; signers that are operators.
    Admins,
    /// Signers that validators have reported as miners.
    Miners,
    /// Signers that are validators.
    Validators,
    /// A miner, or a validator that pulled.
    Workers,
}

impl Callers {
    /// The value of `x-callers`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Everybody => "everybody",
            Self::Known => "known",
            Self::Clients => "clients",
            Self::Admins => "admins",
            Self::Miners => "miners",
            Self::Validators => "validators",
            Self::Workers => "workers",
        }
    }

    /// The same in a sentence.
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Everybody => "Open to everybody.",
            Self::Known => "For anybody with an API key, and for signers that are known here.",
            Self::Clients => {
                "For API keys with the scope `client` or `admin`, and for validators and operators \
                 that sign."
            }
            Self::Admins => "For API keys with the scope `admin`, and for operators that sign.",
            Self::Miners => "For miners that sign and that a validator has reported lately.",
            Self::Validators => "For validators that sign.",
            Self::Workers => {
                "For miners that sign, and for validators that sign and pulled the task."
            }
        }
    }

    /// What proves who calls; one of these will do.
    pub(super) fn security(self) -> Value {
        match self {
            Self::Everybody => json!([]),
            _ => json!([
                { "bearer": [] }, { "api_key": [] },
                {
                    "signed_version": [], "signed_hotkey": [], "signed_receiver": [],
                    "signed_nonce": [], "signature": [],
                },
            ]),
        }
    }
}

/// A field of a body.
#[derive(Debug)]
pub(in crate::http) struct BodyField {
    pub(super) name: &'static str,
    pub(super) schema: Value,
    pub(super) needed: bool,
}

/// A field that may be left out.
pub(super) fn may(name: &'static str, schema: Value) -> BodyField {
    BodyField { name, schema, needed: false }
}

/// A field that may not.
pub(super) fn must(name: &'static str, schema: Value) -> BodyField {
    BodyField { name, schema, needed: true }
}

/// How a file may come with a body.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) enum File {
    /// The body is JSON or a form.
    Never,
    /// It may be multipart too, without a file.
    Parts,
    /// Multipart with a file, or not.
    May(&'static str),
    /// Multipart with a file.
    Must(&'static str),
    /// Multipart with a file, or any body with a `file_id`.
    OrId(&'static str),
}

/// A body.
#[derive(Debug)]
pub(in crate::http) struct BodyDoc {
    pub(super) file: File,
    pub(super) fields: Vec<BodyField>,
}

/// What a good answer holds.
#[derive(Debug)]
pub(in crate::http) enum Content {
    /// Nothing.
    Nothing,
    /// JSON of this schema.
    Json(Value),
    /// Something else of this type.
    Other(&'static str),
}

/// A good answer.
#[derive(Debug)]
pub(in crate::http) struct AnswerDoc {
    pub(super) status: u16,
    pub(super) what: &'static str,
    pub(super) content: Vec<Content>,
    pub(super) headers: Vec<Field>,
}

/// A parameter.
#[derive(Debug)]
pub(in crate::http) struct Parameter {
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    pub(super) schema: Value,
}

/// See the module's docs. What the handler's arguments say already ([`super::signature`]) is not said
/// here again.
#[derive(Debug)]
pub(in crate::http) struct Operation {
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) more: &'static str,
    pub(super) callers: Option<Callers>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<BodyDoc>,
    pub(super) answers: Vec<AnswerDoc>,
    pub(super) refusals: Vec<(u16, &'static str)>,
}

impl Operation {
    pub(super) const fn new(tag: &'static str, summary: &'static str) -> Self {
        Self {
            tag,
            summary,
            more: "",
            callers: None,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// Says more than the summary.
    pub(super) const fn more(mut self, more: &'static str) -> Self {
        self.more = more;
        self
    }

    /// Who may call, where the handler's arguments leave it open.
    pub(super) const fn by(mut self, callers: Callers) -> Self {
        self.callers = Some(callers);
        self
    }

    pub(super) fn path(self, name: &'static str, schema: Value) -> Self {
        self.parameter("path", name, schema)
    }

    pub(super) fn query(self, name: &'static str, schema: Value) -> Self {
        self.parameter("query", name, schema)
    }

    fn parameter(mut self, place: &'static str, name: &'static str, schema: Value) -> Self {
        self.parameters.push(Parameter { place, name, schema });
        self
    }

    /// A list in pages.
    pub(super) fn pages(self) -> Self {
        let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
        self.query("limit", range(1, most, "Entries of a page; 50 when left out"))
            .query("cursor", id("The `next_cursor` of the page before"))
    }

    /// Takes an `Idempotency-Key`.
    pub(super) fn idempotent(self) -> Self {
        let what = "The same key with the same request has no second effect, for a day";
        self.parameter("header", "Idempotency-Key", text_of(1, IDEMPOTENCY_KEY_MAX, what))
            .refuses(422, "A field is wrong, or the `Idempotency-Key` stands for another request")
    }

    /// A body with these fields, as JSON or as a form.
    pub(super) fn takes(self, fields: Vec<BodyField>) -> Self {
        self.takes_with(File::Never, fields)
    }

    /// A body with these fields and perhaps a file.
    pub(super) fn takes_with(mut self, file: File, fields: Vec<BodyField>) -> Self {
        self.body = Some(BodyDoc { file, fields });
        self
    }

    fn answer(mut self, status: u16, what: &'static str, content: Content) -> Self {
        match self.answers.iter_mut().find(|answer| answer.status == status) {
            Some(answer) => answer.content.push(content),
            None => {
                let content = vec![content];
                self.answers.push(AnswerDoc { status, what, content, headers: Vec::new() });
            }
        }
        self
    }

    /// Answers with JSON.
    pub(super) fn answers(self, status: u16, what: &'static str, schema: Value) -> Self {
        self.answer(status, what, Content::Json(schema))
    }

    /// Answers with something else; beside what was said of this status before.
    pub(super) fn answers_as(self, status: u16, what: &'static str, media: &'static str) -> Self {
        self.answer(status, what, Content::Other(media))
    }

    /// Answers with nothing.
    pub(super) fn answers_nothing(self, status: u16, what: &'static str) -> Self {
        self.answer(status, what, Content::Nothing)
    }

    /// A header of the last answer named.
    pub(super) fn header(mut self, name: &'static str, what: &str) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.push((name, text(what)));
        }
        self
    }

    /// Made something: 201 with its place.
    pub(super) fn creates(self, what: &'static str, schema: Value) -> Self {
        self.answers(201, what, schema).header("Location", "Where it is")
    }

    /// Another refusal than the handler's arguments tell, or what one of those means here.
    pub(super) fn refuses(mut self, status: u16, why: &'static str) -> Self {
        self.refusals.push((status, why));
        self
    }
}
