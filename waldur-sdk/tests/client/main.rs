//! Waldur's API through the typed client.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[path = "../client_support/mod.rs"]
mod client_support;
#[path = "../support/exchanges.rs"]
mod exchanges;
#[path = "../client_support/members.rs"]
mod members;

mod calls;
mod excused;
mod features;
mod membership;
mod of_settings;
mod provider_calls;
mod recorded;
mod unmodelled;
mod usage;
mod user_access;
mod wire;
