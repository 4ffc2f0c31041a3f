//! The typed client by scripts, over the fake Harbor, and over recorded answers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod errors;
mod recorded;
