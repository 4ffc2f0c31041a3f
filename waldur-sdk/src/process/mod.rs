//! One pass over Waldur's state; events join with their own work.
//!
//! | about | driven by |
//! |---|---|
//! | orders | [`OrderProcessor`] |
//! | members, their names, status, limits and what surrounds resources | [`MembershipSync`] |
//! | usage, of this month and of months past | [`UsageReporter`], [`HistoricalLoader`] |
//! | customers' keys | [`KeyProcessor`] |
//! | what exists and is not in Waldur | [`ResourceImport`] |
//!
//! [`OfferingContext`] is what all of them need to know first; [`Lanes`] keep two of them from one resource.
//!
//! A processor does one pass when asked, returns a report as data, and leaves loops, clocks and signals to its caller.
//! It drives everything in the caller's task. Dropping it at any await leaves a state that the next pass finishes.

mod context;
mod convert;
mod failure;
pub mod import;
pub mod keys;
mod lanes;
pub mod membership;
mod of_settings;
pub mod orders;
mod retry;
pub mod usage;
pub mod usernames;

pub use context::OfferingContext;
pub use import::{ImportFate, ImportItem, ImportOutcome, ImportReport, ResourceImport};
pub use keys::{KeyPolicy, KeyProcessor, KeyProvision, KeyRotation, MissingKeys, RotationOutcome, StuckKeys};
pub use lanes::Lanes;
pub use membership::{
    HoldReason, MembershipPolicy, MembershipReport, MembershipSync, ResourceSync, SyncOutcome, UnmanagedUsers,
};
pub use orders::{
    FollowUp, Leftover, LeftoverOutcome, OrderOutcome, OrderPolicy, OrderProcessor, OrderReport, OrderRunReport,
    Warning,
};
pub use usage::{
    Decrease, HistoricalLoader, HistoricalMonth, HistoricalReport, HistoricalSpan, PeriodUsageReport,
    ResourceUsageReport, UsageOutcome, UsagePolicy, UsageReporter, UsageRunReport, UsersReport,
};
pub use usernames::{AccountOutcome, AccountReport, UsernameReport};
