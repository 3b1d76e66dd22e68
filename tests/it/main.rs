//! All integration tests, as one binary. What is tested where is in the names of the modules.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "long tests tell what they did")]

mod actors;
mod architecture;
mod canary;
mod examples;
mod fuzz;
mod kill;
mod merge_command;
mod on_text;
mod proofs;
mod python;
mod schema;
mod store;
mod support;
mod weights_command;
