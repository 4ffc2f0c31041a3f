#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]

pub mod backend;
pub mod client;
pub mod error;
pub mod naming;
pub mod process;
pub mod rest;
pub mod settings;
#[cfg(feature = "testing")]
pub mod testing;
pub mod types;

pub use error::{Effect, Error, ErrorClass, ErrorKind, HttpContext, Result};
