//! Pithead.
pub mod domain;
