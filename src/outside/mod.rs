//! The world outside: what time it is, where bytes are kept, who is told, and what wakes whom. Few,
//! small, and exchangeable where two real implementations exist.

pub mod background;
pub mod blobs;
pub mod clock;
pub mod delivery;
pub mod wake;

pub use background::{background, pause};
pub use blobs::Blobs;
pub use clock::Clock;
pub use delivery::Post;
pub use wake::Wake;
