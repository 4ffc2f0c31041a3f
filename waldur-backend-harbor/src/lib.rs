#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]

pub mod backend;
pub mod client;
pub mod names;
pub mod settings;
#[cfg(feature = "testing")]
pub mod testing;

pub use backend::{HarborBackend, HarborFactory};
pub use settings::HarborSettings;
