//! Keeping users in step outside of orders (s3.md §5, §8): the back end with the real processor, between a Waldur and a
//! gateway.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod budget;
mod drift;
mod outage;
mod pausing;
mod published;
mod world;
