//! Orders, as [`OrderProcessor`] says.

mod access;
mod change;
mod convert;
mod course;
mod create;
mod finish;
mod job;
mod later;
mod leftover;
mod line;
mod pass;
mod policy;
mod publish;
mod report;
mod reserve;
mod run;
mod terminate;

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex},
};

pub use leftover::{Leftover, LeftoverOutcome};
pub use policy::OrderPolicy;
pub use report::{FollowUp, OrderOutcome, OrderReport, OrderRunReport, Warning};

use self::{job::Job, leftover::Unwanted};
use super::{KeyPolicy, KeyProcessor, ServedOffering, failure, keys::BlindKeys, served::processor};
use crate::{
    backend::OpContext,
    client::Resource,
    rest::Environment,
    settings::Component,
    types::{OrderUuid, ServiceProviderUuid},
};

/// Processes the orders of one [offering](ServedOffering). Cheap to clone; clones share the lanes, so that two orders for
/// one resource never run at once, however they came in.
///
/// ```no_run
/// # async fn example(waldur: waldur_sdk::client::WaldurClient, backend: std::sync::Arc<dyn waldur_sdk::backend::ResourceBackend>, offering: waldur_sdk::types::OfferingUuid) -> waldur_sdk::Result<()> {
/// use waldur_sdk::{backend::OpContext, process::OrderProcessor};
///
/// let processor = OrderProcessor::new(waldur, backend, offering);
/// let report = processor.run_once(&OpContext::new("orders")).await?;
/// for order in &report.orders {
///     println!("{} {}: {:#}", order.order, order.resource_name, order.outcome);
/// }
/// # Ok(()) }
/// ```
///
/// Orders: from the customer's wish to the real thing (core.md §2).
///
/// `stamp → find → reserve → create → configure → verify → record → done`: every step can be repeated. A process may be
/// killed between any two requests, and two agents may work on one offering: the end is the state of a run without
/// faults.
///
/// | order type | what happens |
/// |---|---|
/// | Create, Restore | [`create`](crate::backend::ResourceBackend::create) under an id that Waldur holds before the object exists |
/// | Update | [`update_options`](crate::backend::ResourceBackend::update_options), [`update_plan`](crate::backend::ResourceBackend::update_plan), [`set_limits`](crate::backend::ResourceBackend::set_limits), whatever changed, in this order |
/// | Terminate | [`delete`](crate::backend::ResourceBackend::delete), or no access, no keys and zero limits if `soft_delete` |
///
/// The [`ErrorClass`](crate::ErrorClass) of a failure alone decides what happens:
///
/// | class | what happens |
/// |---|---|
/// | *not ready*, *transient* | the order stays as it is |
/// | *duplicate*, *foreign* | a creation goes on to the next name |
/// | any other | the order becomes erred, with an explanation; but not an order that is finished |
///
/// A pass tries every order once. Then it goes in rounds through those that failed and whose pause is over, so no order
/// waits for another's pause. Once credentials were refused it begins nothing more, so that no account gets locked.
/// When many orders in a row failed for a reason that may pass, the other side counts as down. From then on one order
/// at a time is tried, and the rest goes on only if that succeeds. What was not begun comes first in the next pass.
#[derive(Clone)]
pub struct OrderProcessor(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    served: ServedOffering,
    policy: OrderPolicy,
    /// Orders that the last pass did not come to.
    left_over: Arc<Mutex<HashSet<OrderUuid>>>,
    /// Objects that were made and that nobody wants.
    unwanted: Arc<Mutex<Vec<Unwanted>>>,
}

processor!(OrderProcessor, OrderPolicy, OrderProcess, "orders", [left_over, unwanted]);

impl OrderProcessor {
    /// The processor of the same offering's keys, which tells of errors, or writes nothing, as this one does.
    pub fn keys(&self) -> KeyProcessor {
        let mut policy = KeyPolicy::default();
        policy.expose_error_details = self.0.policy.expose_error_details;
        policy.dry_run = self.0.policy.dry_run;
        self.0.served.keys().with_policy(policy)
    }

    fn environment(&self) -> &Environment {
        self.0.served.waldur.environment()
    }

    fn blind_keys(&self) -> &BlindKeys {
        &self.0.served.key_memory.blind
    }

    fn service_provider(&self) -> Option<ServiceProviderUuid> {
        self.0.served.service_provider
    }

    fn has_prepaid(&self) -> bool {
        self.0.served.components.iter().any(|component| component.is_prepaid == Some(true))
    }

    /// What may have a limit: the components of the offering, and whatever has one already.
    fn limited_components(&self, resource: &Resource) -> impl Iterator<Item = String> {
        let components = &self.0.served.components;
        let known = components.iter().map(|component| component.name.clone());
        let names: BTreeSet<_> = known.chain(resource.limits.keys().cloned()).collect();
        names.into_iter().filter(|name| !components.get(name).is_some_and(Component::is_fixed))
    }
}
