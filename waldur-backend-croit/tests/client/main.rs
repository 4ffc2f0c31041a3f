//! The typed client over scripts, recordings and the fake gateway.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;
mod recorded;

mod absence;
mod calls;
mod clock;
mod croit;
mod replay;
