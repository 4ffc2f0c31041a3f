//! The back end over the fake Harbor (harbor.md §10), and what it is configured by.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod adoption;
mod budget;
mod conformance;
mod creation;
mod deletion;
mod diagnosis;
mod groups;
mod importing;
mod limits;
mod listings;
mod meeting;
mod membership;
mod orders;
mod rights;
mod secrets;
mod settings;
mod status;
mod strangers;
mod unread;
mod usage;
