//! The HTTP layer, under virtual time and without a socket.

#![recursion_limit = "256"]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unnecessary_wraps, clippy::unwrap_used)]

#[path = "../support/virtual_time.rs"]
mod virtual_time;

mod auth;
mod body;
mod breaker;
mod pages_at_a_time;
mod paging;
mod poll;
mod retry;
mod scripted_transport;
mod secrets;
mod serial;
mod status;
mod streaming;
mod url;
