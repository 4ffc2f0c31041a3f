//! The membership processor between a Waldur and a back end in memory.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[path = "../support/capture.rs"]
mod capture;
#[path = "../support/orders.rs"]
mod orders;

mod assigned;
mod budget;
mod events;
mod failing;
mod guards;
mod layers;
mod members;
mod names;
mod old_servers;
mod once;
mod outage;
mod portions;
mod projects;
mod secrets;
mod spelling;
mod stale;
mod sweeps;
mod upkeep;
mod watching;
mod windows;
mod world;
