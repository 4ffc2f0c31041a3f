#![cfg_attr(docsrs, feature(doc_cfg))]
//! Waldur back end for S3 storage by Ceph RadosGW.

pub mod backend;
pub mod client;
pub mod names;
pub mod settings;
#[cfg(feature = "testing")]
pub mod testing;

pub use backend::{RadosGwBackend, S3Factory};
pub use settings::RadosGwSettings;
