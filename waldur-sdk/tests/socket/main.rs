//! The transport over real sockets on loopback.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod body;
mod connection;
mod registry;
mod route;
mod tls;
mod users_mock;
