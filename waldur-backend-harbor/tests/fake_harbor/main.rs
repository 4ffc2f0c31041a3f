//! `FakeHarbor` against what the real server was recorded to do, and what harbor.md says of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

#[path = "../common/exchanges.rs"]
mod exchanges;
mod groups;
mod images;
mod projects;
mod quotas;
mod replay;
mod rights;
mod server;
mod support;
