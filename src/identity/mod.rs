//! Who somebody is: key pairs, addresses, signed requests and API keys.
//!
//! Pure apart from randomness and the key file: no HTTP types, no clock, no storage. The server
//! checks with it, the simulated fleet and the examples sign with it, so both ends share one
//! definition of every byte.

pub mod api_key;
pub mod btauth;
pub mod keypair;
pub mod ss58;
pub mod webhook;

pub use api_key::ApiKey;
pub use btauth::{AuthError, Claim};
pub use keypair::Keypair;
