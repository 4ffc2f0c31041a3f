//! The agent: its binary on sockets, and its loops in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod commands;
mod croit;
mod deploy;
mod diagnose;
#[path = "../../../waldur-sdk/tests/support/exchanges.rs"]
mod exchanges;
mod health;
mod loops;
mod modes;
mod order_process;
mod passes;
#[cfg(target_os = "linux")]
mod service;
mod stage;
