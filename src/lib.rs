//! **Pithead**: the orchestrator that a decentralised-inference subnet puts in front of its miners.
//!
//! > Actors own *who and when*; the domain owns *what*; the store owns *what was*.
//! >
//! > **Rows own, actors cache**: an actor can be dropped at any moment and rebuilt from the store.
//! >
//! > Every command is one durable transaction whose predicates carry the fencing token: reserve in
//! > memory, persist, apply, answer.
//!
//! ```text
//! http ──▶ actors ──▶ domain (pure)
//!   │         ├─────▶ store  ──▶ entities
//!   │         └─────▶ outside (clock, blobs, delivery, wake)
//!   └─ reads ▶ snapshot / store
//! ```
//! An arrow means "may use"; `tests/it/architecture.rs` holds it. [`identity`] (who signs) serves
//! [`http`] and [`sim`]; only [`app`] and [`cli`] see everything.
//!
//! # Glossary
//! *miner*: a registration (netuid, uid, hotkey, block); uid 0 is valid · *validator* · *report*: one
//! validator's statuses for many miners · *verdict*: the merged status of one miner · *confidence* ·
//! *conflict* · *reputation* · *task* · *kind*: transcription, tts, .. · *slot*: one of the k answers
//! that a task wants · *lease*: the right to answer a slot until a deadline · *attempt* · *response* ·
//! *evaluation* · *score*.

pub mod domain;

pub mod store;

pub mod outside;

pub mod actors;

pub mod identity;

pub mod http;

pub mod config;

pub mod telemetry;

pub mod shutdown;

pub mod app;

pub mod cli;

pub mod sim;
