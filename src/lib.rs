//! Pithead.
pub mod actors;
pub mod config;
pub mod domain;
pub mod identity;
pub mod outside;
pub mod sim;
pub mod store;
pub mod telemetry;
