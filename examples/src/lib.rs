//! What the examples and the reference agent share.

pub mod serve;
