//! The order processor between a Waldur and a back end in memory.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[path = "../support/orders.rs"]
mod orders;

mod change;
mod faults;
mod later;
mod lifecycle;
mod names;
mod offering_context;
mod pass;
mod present;
mod publish;
mod rounds;
mod served;
mod soft_end;
mod sweeps;
mod team;
