//! One pass over Waldur's state when asked, and single steps of it after an event.
//!
//! | about | driven by | is it well? |
//! |---|---|---|
//! | orders | [`OrderProcessor`] | [`OrderRunReport::is_clean`], [`OrderOutcome::is_good`] |
//! | members, their names, status, limits and what surrounds resources | [`MembershipSync`] | [`MembershipReport::is_clean`], [`ResourceSync::is_clean`] |
//! | usage, of this month and of months past | [`UsageReporter`], [`HistoricalLoader`] | [`UsageRunReport::is_clean`], [`HistoricalReport::is_clean`], and what is lost all the same: [`UsageRunReport::losses`] |
//! | customers' keys | [`KeyProcessor`] | [`StuckKeys::is_clean`], [`MissingKeys::is_clean`], [`KeyProvision::is_clean`], [`RotationOutcome::is_good`] |
//! | what exists and is not in Waldur | [`ResourceImport`] | [`ImportReport::is_clean`] |
//!
//! [`ServedOffering`] makes all of them for one offering, and [`OfferingContext`] is what it has to know first.
//!
//! A processor does one pass when asked, returns a report as data, and leaves loops, clocks and signals to its caller.
//! It drives everything in the caller's task. Dropping it at any await leaves a state that the next pass finishes.
//!
//! # After an event
//! A message says where to look, never what is true. Passes find everything without messages, with one exception: the
//! request for a list of what could be imported.
//!
//! | [`object_type`](crate::client::ObservableObject) | `action` | call |
//! |---|---|---|
//! | `order` | | [`OrderProcessor::process_by_uuid`] |
//! | `resource_api_key_rotation` | `rotate` | [`KeyProcessor::rotate`] |
//! | `user_role` | | with a user [`MembershipSync::user_role_changed`], with a resource [`MembershipSync::sync_resource`], else [`MembershipSync::sync_project`] |
//! | `service_account`, `course_account` | | [`MembershipSync::account_changed`] |
//! | `offering_user` | `attribute_update` | [`MembershipSync::sync_user_attributes`] |
//! | `offering_user` | `username_set` | [`MembershipSync::sync_project`] for the person's projects |
//! | `resource` | | [`MembershipSync::sync_resource`] |
//! | `offering_resources_sync` | | [`MembershipSync::run_once`], then [`OrderProcessor::run_once`] |
//! | `importable_resources` | | [`ResourceImport::run`] |
//!
//! There is no event about usage. To report the usage of one resource at once, call [`UsageReporter::report_resource`].

mod context;
mod convert;
mod failure;
mod import;
mod keys;
mod lanes;
mod membership;
mod of_settings;
mod orders;
mod retry;
mod served;
mod usage;
mod usernames;

pub use context::OfferingContext;
pub use import::{ImportFate, ImportItem, ImportOutcome, ImportReport, ResourceImport};
pub use keys::{KeyPolicy, KeyProcessor, KeyProvision, KeyRotation, MissingKeys, RotationOutcome, StuckKeys};
pub use lanes::Lanes;
pub use membership::{
    Change, HeldRemovals, HoldReason, MembershipPolicy, MembershipReport, MembershipSync, RemovalGuard, ResourceSync,
    SkipReason, SkippedMember, SyncOutcome,
};
pub use orders::{
    FollowUp, Leftover, LeftoverOutcome, OrderOutcome, OrderPolicy, OrderProcessor, OrderReport, OrderRunReport,
    Warning,
};
pub use served::ServedOffering;
pub use usage::{
    Decrease, HistoricalLoader, HistoricalMonth, HistoricalReport, HistoricalSpan, PeriodUsageReport,
    ResourceUsageReport, UsageOutcome, UsagePolicy, UsageReporter, UsageRunReport, UsersReport,
};
pub use usernames::{AccountOutcome, AccountReport, UsernameReport};
