#![cfg_attr(docsrs, feature(doc_cfg))]
//! Placeholder.

pub mod error;
pub mod rest;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::{Effect, Error, ErrorClass, ErrorKind, HttpContext, Result};
