#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]

pub mod backend;
pub mod croit;
pub mod metering;
pub mod names;
pub mod radosgw;
pub mod s3;
pub mod settings;
#[cfg(feature = "testing")]
pub mod testing;

pub use backend::{S3Backend, S3Factory};
pub use settings::S3Settings;
