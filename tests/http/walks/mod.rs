//! Whole stories, from the first request to the last effect.

mod adaptive;
mod cancel;
mod chain;
mod credit;
mod evaluation;
mod fairness;
mod files;
mod history;
mod idempotency;
mod kind;
mod order;
mod pull;
mod redundancy;
mod replaced;
mod report;
mod restart;
mod rounds;
mod sealed;
mod shut_out;
mod silence;
mod stream;
pub(crate) mod task;
mod told;
mod waiting;
mod watched;
mod weights;
mod who;
