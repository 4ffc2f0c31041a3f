#![cfg_attr(docsrs, feature(doc_cfg))]
//! Placeholder.

#[cfg(feature = "testing")]
pub mod testing;
