//! What the benchmarks share: a marketplace with orders in it, the loop that the SDK is held against, and meters.
//!
//! How to run them and what they said: `README.md`.

pub mod bare;
pub mod canned;
pub mod meter;
pub mod peer;
pub mod tape;
pub mod world;

/// Whatever goes wrong here ends the program; nobody looks at its kind.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result of that kind.
pub type Result<T, E = Error> = std::result::Result<T, E>;
