//! Who may do what, and how they prove who they are.

mod dev;
mod keys;
mod limits;
mod originals;
mod roles;
mod signatures;
