//! The tools that tests are made of.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, missing_docs)]

#[path = "../toy/mod.rs"]
mod toy;

mod canary;
mod conformance;
mod conformance_keys;
mod conformance_membership;
mod conformance_orders;
mod interleave;
mod layers;
mod layers_backend;
mod reports;
mod sweeps;
