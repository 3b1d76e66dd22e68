//! The world outside: what time it is and where bytes are kept. Few, small, and exchangeable where
//! two real implementations exist.

pub mod blobs;
pub mod clock;

pub use blobs::Blobs;
pub use clock::Clock;
