//! What the routes of the documentation do.

use super::OPERATION;
use super::operation::Operation;
use super::schema::open_object;
use crate::domain::kind::KindRegistry;

pub(in crate::http) fn openapi(_: &KindRegistry) -> Operation {
    Operation::new(OPERATION, "This document").answers(200, "OpenAPI 3.1", open_object("See there"))
}

pub(in crate::http) fn page(_: &KindRegistry) -> Operation {
    Operation::new(OPERATION, "The same as a page, for people")
        .answers_as(200, "The page", "text/html")
        .header("Content-Security-Policy", "Nothing but the page's own script and style runs")
}
