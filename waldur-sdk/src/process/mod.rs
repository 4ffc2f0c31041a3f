//! One pass over Waldur's state: orders, and membership with everything around it; usage and events join with their
//! own work.
//!
//! A processor does one pass when asked, returns a report as data, and leaves loops, clocks and signals to its caller.
//! It drives everything in the caller's task. Dropping it at any await leaves a state that the next pass finishes.

mod context;
mod convert;
mod failure;
mod lanes;
pub mod membership;
pub mod orders;
pub mod usernames;

pub use context::OfferingContext;
pub use lanes::Lanes;
pub use membership::{
    HoldReason, MembershipPolicy, MembershipReport, MembershipSync, ResourceSync, SyncOutcome, UnmanagedUsers,
};
pub use orders::{FollowUp, OrderOutcome, OrderPolicy, OrderProcessor, OrderReport, OrderRunReport, Warning};
pub use usernames::{AccountOutcome, AccountReport, UsernameReport};
