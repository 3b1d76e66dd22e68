//! The contract of `http.md`, asked of a real server over real HTTP. Nothing here looks behind the
//! server's back: what these tests can do, a stranger can.
// A story is told in one piece.
#![allow(clippy::unwrap_used, clippy::too_many_lines, missing_docs)]

mod auth;
mod contract;
mod edges;
mod gate;
mod limits;
mod routes;
mod smuggling;
mod support;
mod traps;
mod walks;
