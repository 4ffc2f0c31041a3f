//! Reports as passes make them, for a service that tests what it alarms about.
//!
//! The report of a whole pass is empty by [`Default`]; what goes into it comes from here, with the outcome that is given and
//! nothing else. All fields can be set.
//!
//! ```
//! use waldur_sdk::{
//!     Error,
//!     process::{OrderOutcome, OrderRunReport, Warning},
//!     testing::reports,
//! };
//!
//! /// What this service calls somebody for.
//! fn alarms(report: &OrderRunReport) -> Vec<String> {
//!     let bad = report.orders.iter().filter(|order| !order.outcome.is_good());
//!     bad.map(|order| format!("{}: {:#}", order.resource_name, order.outcome)).collect()
//! }
//!
//! let mut report = OrderRunReport::default();
//! report.orders.push(reports::order(OrderOutcome::Done));
//! assert!(report.is_clean() && alarms(&report).is_empty());
//!
//! let mut refused = reports::order(OrderOutcome::NeedsAttention(Error::config("no such plan")));
//! refused.resource_name = "genome-data".to_owned();
//! report.orders.push(refused);
//! assert!(!report.is_clean());
//! assert_eq!(alarms(&report), ["genome-data: needs attention: no such plan"]);
//! ```

use uuid::Uuid;

use crate::{
    backend::Period,
    process::{
        HeldRemovals, HoldReason, ImportOutcome, ImportReport, KeyRotation, Leftover, LeftoverOutcome, OrderOutcome,
        OrderReport, PeriodUsageReport, ResourceSync, ResourceUsageReport, RotationOutcome, SyncOutcome, UsageOutcome,
    },
    types::{ApiKeyUuid, BackendId, OrderType, OrderUuid, Personal, ResourceUuid},
};

const RESOURCE: ResourceUuid = ResourceUuid::new(Uuid::nil());

/// A Create order that was tried once.
pub fn order(outcome: OrderOutcome) -> OrderReport {
    OrderReport {
        order: OrderUuid::new(Uuid::nil()),
        order_type: OrderType::Create,
        resource: Some(RESOURCE),
        resource_name: String::new(),
        backend_id: None,
        outcome,
        warnings: Vec::new(),
        follow_ups: Vec::new(),
        attempts: 1,
    }
}

/// An object that an earlier pass left over.
pub fn leftover(backend_id: BackendId, outcome: LeftoverOutcome) -> Leftover {
    Leftover { resource: RESOURCE, backend_id, outcome }
}

/// A resource whose members were looked at.
pub fn sync(outcome: SyncOutcome) -> ResourceSync {
    ResourceSync::of(RESOURCE, outcome)
}

/// Removals that were not carried out, for [`ResourceSync::held`].
pub fn held(usernames: impl IntoIterator<Item = Personal>, reason: HoldReason) -> HeldRemovals {
    HeldRemovals { usernames: usernames.into_iter().collect(), reason }
}

/// A resource of which one month was measured.
pub fn usage(period: Period, outcome: UsageOutcome) -> ResourceUsageReport {
    ResourceUsageReport {
        resource: RESOURCE,
        resource_name: String::new(),
        backend_id: None,
        periods: vec![PeriodUsageReport { outcome, attempts: 1, ..PeriodUsageReport::new(period) }],
        stale_runs: 0,
    }
}

/// A key that was to be replaced.
pub fn rotation(outcome: RotationOutcome) -> KeyRotation {
    KeyRotation { key: ApiKeyUuid::new(Uuid::nil()), resource: RESOURCE, outcome, warnings: Vec::new() }
}

/// The wish for a list of what could be imported.
pub fn import(outcome: ImportOutcome) -> ImportReport {
    ImportReport { outcome, items: Vec::new() }
}
