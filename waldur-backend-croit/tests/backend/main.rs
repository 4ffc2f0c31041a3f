//! The back end over the fake gateway (s3.md §11), and what it is configured by.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)]

#[path = "../common/mod.rs"]
mod common;

mod absence;
mod conformance;
mod consistency;
mod croit;
mod crowd;
mod deletion;
mod diagnosis;
mod keyless;
mod metadata;
mod names;
mod order_calls;
mod orders;
mod ownership;
mod purging;
mod quotas;
mod real_s3;
mod settings;
