//! Settings files: what loads, what is said about what does not, and what becomes of YAML's traps.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod documents;
mod file;
mod yaml;
