#![cfg_attr(docsrs, feature(doc_cfg))]
//! Placeholder.

pub mod error;
pub mod rest;
pub mod settings;
pub mod types;

pub use error::{Effect, Error, ErrorClass, ErrorKind, HttpContext, Result};
