//! The [fake croit](FakeCroit).

mod answer;
mod api;
mod fake;
mod s3;
mod stats;
mod tenant;

pub use fake::{FakeCroit, FakeCroitBuilder};
