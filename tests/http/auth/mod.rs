//! Who may do what, and how they prove who they are.

mod dev;
mod failures;
mod keys;
mod originals;
mod replays;
mod roles;
mod signatures;
