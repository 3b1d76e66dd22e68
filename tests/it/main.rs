//! All integration tests, as one binary. What is tested where is in the names of the modules.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod actors;
mod architecture;
mod examples;
mod kill;
mod python;
mod schema;
mod store;
mod support;
