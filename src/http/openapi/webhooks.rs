//! What the routes of webhooks do.

use serde_json::{Value, json};

use super::WEBHOOKS;
use super::operation::{Operation, may, must};
use super::schema::{
    Field, count, id, integer, list as list_of, named, next_cursor, object, one_of, or_null, text,
    text_of, time,
};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::CALLBACK_URL_BYTES_MAX;
use crate::domain::webhook::EventType;

fn about(summary: &'static str) -> Operation {
    Operation::new(WEBHOOKS, summary)
}

fn webhook() -> Vec<Field> {
    vec![
        ("id", id("The webhook")),
        ("url", text("Where it is told")),
        ("events", list_of(one_of(EventType::ALL, "A type"), "What it is told")),
        ("created_at", time("When it was made")),
        ("old_secret_until", or_null(time("Until when the secret before signs too"))),
        ("disabled_at", or_null(time("Since when nothing is told any more"))),
        ("disabled_reason", or_null(text("Why"))),
    ]
}

fn revealed() -> Value {
    let mut fields = webhook();
    fields.push(("secret", text("What signs messages (Standard Webhooks), shown this once")));
    fields.push(("message", text("For people")));
    object(fields)
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let delivery = object([
        ("id", id("The `webhook-id` of the message")),
        ("type", one_of(EventType::ALL, "What happened")),
        ("task_id", id("To which task")),
        ("state", one_of(["pending", "delivered", "given_up"], "How it stands")),
        ("created_at", time("When it happened")),
        ("attempts", integer("Tries so far")),
        ("next_at", or_null(time("The next try"))),
        ("delivered_at", or_null(time("When it was taken"))),
        ("given_up_at", or_null(time("When it was given up"))),
        ("tried_at", or_null(time("The last try"))),
        ("last_status", or_null(integer("What the receiver answered"))),
        ("last_error", or_null(text("Why it could not be told"))),
        ("last_answer", or_null(text("The beginning of what the receiver answered"))),
    ]);
    vec![("Webhook", object(webhook())), ("Delivery", delivery)]
}

fn webhook_id() -> Value {
    id("The webhook")
}

pub(in crate::http) fn create(_: &KindRegistry) -> Operation {
    let names = one_of(EventType::ALL, "A type");
    let events = json!({
        "anyOf": [
            { "type": "array", "items": names, "minItems": 1 },
            { "type": "string", "description": "The types, with commas between" },
        ],
        "description": "What to tell; everything when left out",
    });
    let url = "`https`, without user name, on port 80, 443 or from 1024 up, and no private address";
    about("Names an endpoint that is told")
        .takes(vec![must("url", text_of(1, CALLBACK_URL_BYTES_MAX, url)), may("events", events)])
        .creates("The webhook with its secret", revealed())
        .refuses(409, "You have as many as may be")
}

pub(in crate::http) fn list(_: &KindRegistry) -> Operation {
    let answer = object([count(), ("webhooks", list_of(named("Webhook"), "Yours"))]);
    about("Lists your webhooks").answers(200, "All of them", answer)
}

pub(in crate::http) fn show(_: &KindRegistry) -> Operation {
    about("Shows a webhook").path("id", webhook_id()).answers(
        200,
        "Without its secret",
        named("Webhook"),
    )
}

pub(in crate::http) fn delete(_: &KindRegistry) -> Operation {
    about("Deletes a webhook, with its deliveries")
        .path("id", webhook_id())
        .answers_nothing(204, "It is told no more")
}

pub(in crate::http) fn rotate(_: &KindRegistry) -> Operation {
    about("Gives a webhook another secret")
        .more("The one before signs too for a day.")
        .path("id", webhook_id())
        .answers(200, "With the new secret", revealed())
}

pub(in crate::http) fn callback_secret(_: &KindRegistry) -> Operation {
    let answer = object([
        ("secret", text("Signs what is told to the `callback_url` of your tasks")),
        ("message", text("For people")),
    ]);
    about("What signs your callbacks").answers(200, "The secret", answer)
}

pub(in crate::http) fn deliveries(_: &KindRegistry) -> Operation {
    let all = list_of(named("Delivery"), "Newest first");
    let answer = object([count(), ("deliveries", all), next_cursor()]);
    about("What a webhook was told, and how it went")
        .path("id", webhook_id())
        .pages()
        .answers(200, "A page", answer)
}

pub(in crate::http) fn redeliver(_: &KindRegistry) -> Operation {
    about("Tells something again")
        .more("From the first try on, under the same `webhook-id`.")
        .path("id", id("The delivery"))
        .answers(202, "It will be told", named("Delivery"))
        .refuses(409, "Its webhook is disabled")
}
