//! Usage reports between a Waldur and a back end in memory.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[path = "../support/usage.rs"]
mod usage;

mod budget;
mod decreasing;
mod faults;
mod history;
mod layers;
mod mapping;
mod months;
mod numbers;
mod outage;
mod pass;
mod plans;
mod sweeps;
mod users;
