//! Keys of customers as Waldur's API keys (s3.md §4, §11): the back end with the real processors, between a Waldur and a
//! gateway.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod deadlines;
mod ends;
mod sweeps;
mod world;
