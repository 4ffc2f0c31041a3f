//! Metering (s3.md §6, §11): the arithmetic, and the back end over the fakes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod croit;
mod croit_report;
mod gb_days;
mod radosgw;
mod report;
