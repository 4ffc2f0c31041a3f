//! Waldur back end for S3 storage by Ceph RadosGW.

pub mod backend;
pub mod client;
pub mod names;
pub mod settings;

pub use backend::{RadosGwBackend, S3Factory};
pub use settings::RadosGwSettings;
