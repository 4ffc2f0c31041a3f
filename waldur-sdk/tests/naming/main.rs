//! Names: user names, slugs, logins and what each system takes (usernames.md, s3.md §2).

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    missing_docs
)]

mod backends;
mod posix;
mod properties;
mod s3;
mod targets;
mod usernames;
mod vectors;

use waldur_sdk::types::Uuid;

/// The UUID of everybody and everything here: `uuid8` is `12345678`.
const UUID: Uuid = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
