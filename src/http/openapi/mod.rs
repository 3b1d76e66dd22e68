//! The contract in the words of OpenAPI 3.1, and the page that shows it.
//!
//! The route table (`super::routes`) is the only list of routes. Each entry names a handler, and
//! the function of the same name here says what it does; without one the table does not compile.
//! Who may call and what is read comes from the types of the handler's arguments (`signature`),
//! and the refusals that follow from those are added to all (`refusals`).

mod document;
mod operation;
mod page;
mod refusals;
mod schema;
mod signature;

pub(super) mod any;
pub(super) mod audit;
pub(super) mod chain;
pub(super) mod docs;
pub(super) mod events;
pub(super) mod files;
pub(super) mod keys;
pub(super) mod miners;
pub(super) mod network;
pub(super) mod openai;
pub(super) mod ops;
pub(super) mod performance;
pub(super) mod pull;
pub(super) mod quarantine;
pub(super) mod reports;
pub(super) mod responses;
pub(super) mod roles;
pub(super) mod scores;
pub(super) mod standing;
pub(super) mod submissions;
pub(super) mod submit;
pub(super) mod tasks;
pub(super) mod validators;
pub(super) mod voices;
pub(super) mod webhooks;
pub(super) mod weights;

use std::sync::OnceLock;

use actix_web::web::Bytes;

use crate::domain::kind::KindRegistry;

pub(super) use operation::Operation;
pub(super) use signature::{Argument, Signature};

/// What a route does, given the kinds of task that are served here.
pub(super) type About = fn(&KindRegistry) -> Operation;

/// Groups of routes, each with what it is about.
const TAGS: [(&str, &str); 10] = [
    (SUBMIT, "Clients hand tasks in."),
    (TASKS, "Clients follow their tasks and fetch results."),
    (FILES, "Files and voices."),
    (WEBHOOKS, "Clients are told what happens to their tasks."),
    (OPENAI, "The calls of OpenAI's SDKs, answered by the same miners."),
    (MINERS, "Miners fetch work and answer it."),
    (VALIDATORS, "Validators report on miners and judge responses."),
    (NETWORK, "The merged picture of miners and validators."),
    (WEIGHTS, "What miners are worth, and how that came about."),
    (OPERATION, "Probes, figures and keys, and this document."),
];

const SUBMIT: &str = "Submit";
const TASKS: &str = "Tasks";
const FILES: &str = "Files and voices";
const WEBHOOKS: &str = "Webhooks";
const OPENAI: &str = "OpenAI";
const MINERS: &str = "Miners";
const VALIDATORS: &str = "Validators";
const NETWORK: &str = "Network";
const WEIGHTS: &str = "Weights";
const OPERATION: &str = "Operation";

/// The document and its page, made when first asked for.
#[derive(Debug, Default)]
pub struct Documents(OnceLock<Made>);

/// See [`Documents`].
#[derive(Debug)]
pub(super) struct Made {
    pub(super) json: Bytes,
    pub(super) html: Bytes,
    /// What a browser may do with the page: run the script that is in it, and nothing else.
    pub(super) policy: String,
}

impl Documents {
    /// Of a server that serves these kinds.
    pub(super) fn of(&self, kinds: &KindRegistry) -> &Made {
        self.0.get_or_init(|| {
            let document = document::document(&super::routes::entries(), kinds);
            let (html, policy) = page::page(&document);
            Made { json: document.to_string().into(), html: html.into(), policy }
        })
    }
}
