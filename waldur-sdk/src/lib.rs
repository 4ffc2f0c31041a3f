#![cfg_attr(docsrs, feature(doc_cfg))]
//! Placeholder.

pub mod client;
pub mod error;
pub mod rest;
pub mod types;

pub use error::{Effect, Error, ErrorClass, ErrorKind, HttpContext, Result};
