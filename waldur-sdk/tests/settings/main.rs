//! The agent's file.

#![recursion_limit = "256"]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    missing_docs
)]

mod components;
mod file;
mod older;
mod reader;
mod secrets;
