//! Each route with input that it must refuse: the documented status, a problem document that names
//! the field, and nothing changed.

mod admin_keys;
mod bodies;
mod files;
mod garbage;
mod miner_response;
mod miner_tasks;
mod miners;
mod ops;
mod tasks;
mod transcription;
mod tts;
mod validator;
mod validators;
