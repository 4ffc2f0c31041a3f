//! One pass over Waldur's state: orders and usage now; membership and events join with their own work.
//!
//! A processor does one pass when asked, returns a report as data, and leaves loops, clocks and signals to its caller.
//! It drives everything in the caller's task. Dropping it at any await leaves a state that the next pass finishes.

mod context;
pub mod orders;
pub mod usage;

pub use context::OfferingContext;
pub use orders::{FollowUp, OrderOutcome, OrderPolicy, OrderProcessor, OrderReport, OrderRunReport, Warning};
pub use usage::{
    Decrease, HistoricalLoader, HistoricalMonth, HistoricalReport, HistoricalSpan, PeriodUsageReport,
    ResourceUsageReport, UsageOutcome, UsagePolicy, UsageReporter, UsageRunReport, UsersReport,
};
