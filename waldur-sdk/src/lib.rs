#![cfg_attr(docsrs, feature(doc_cfg))]
//! Placeholder.

pub mod backend;
pub mod error;
pub mod naming;
pub mod rest;
pub mod types;

pub use error::{Effect, Error, ErrorClass, ErrorKind, HttpContext, Result};
