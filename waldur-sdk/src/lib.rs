#![cfg_attr(docsrs, feature(doc_cfg))]
//! Placeholder.

pub mod backend;
pub mod client;
pub mod error;
pub mod naming;
pub mod process;
pub mod rest;
#[cfg(feature = "testing")]
pub mod testing;
pub mod settings;
pub mod types;

pub use error::{Effect, Error, ErrorClass, ErrorKind, HttpContext, Result};
