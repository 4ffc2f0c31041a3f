//! `FakeRadosGw` against what the real gateway was recorded and measured to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

mod overlap;
mod replay;
mod scripts;
mod signature;
mod support;
mod tenant;
