//! Who may do what, and how they prove who they are.

mod dev;
mod extras;
mod failures;
mod keys;
mod limits;
mod objects;
mod originals;
mod replays;
mod roles;
mod signatures;
