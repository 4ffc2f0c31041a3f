//! Orders: from the customer's wish to the real thing (core.md §2).
//!
//! `stamp → find → reserve → create → configure → verify → record → done`: every step can be repeated. A process may be
//! killed between any two requests, and two agents may work on one offering: the end is the state of a run without
//! faults.
//!
//! | order type | what happens |
//! |---|---|
//! | Create, Restore | [`create`](ResourceBackend::create) under an id that Waldur holds before the object exists |
//! | Update | [`update_options`](ResourceBackend::update_options), [`update_plan`](ResourceBackend::update_plan), [`set_limits`](ResourceBackend::set_limits), whatever changed, in this order |
//! | Terminate | [`delete`](ResourceBackend::delete), or no access, no keys and zero limits if `soft_delete` |
//!
//! The [`ErrorClass`](crate::ErrorClass) of a failure alone decides what happens:
//!
//! | class | what happens |
//! |---|---|
//! | *not ready*, *transient* | the order stays as it is |
//! | *duplicate*, *foreign* | a creation goes on to the next name |
//! | any other | the order becomes erred, with an explanation; but not an order that is finished |
//!
//! A pass tries every order once. Then it goes in rounds through those that failed and whose pause is over, so no order
//! waits for another's pause. Once credentials were refused it begins nothing more, so that no account gets locked.
//! When many orders in a row failed for a reason that may pass, the other side counts as down. From then on one order
//! at a time is tried, and the rest goes on only if that succeeds. What was not begun comes first in the next pass.

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
mod report;
mod reserve;
mod run;
mod terminate;

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    sync::{Arc, Mutex},
};

pub use leftover::{Leftover, LeftoverOutcome};
pub use policy::OrderPolicy;
pub use report::{FollowUp, OrderOutcome, OrderReport, OrderRunReport, Warning};

use self::{job::Job, leftover::Unwanted};
use super::{KeyPolicy, KeyProcessor, Lanes, failure, keys::BlindKeys};
use crate::{
    backend::{OpContext, ResourceBackend},
    client::{Resource, WaldurClient},
    rest::Environment,
    settings::{Component, Components},
    types::{OfferingUuid, OrderUuid, ServiceProviderUuid},
};

/// Processes the orders of one offering. Cheap to clone. Clones share the lanes, so two orders for one resource never
/// run at once, whether they come from a pass or from an event.
///
/// ```no_run
/// # async fn example(waldur: waldur_sdk::client::WaldurClient, backend: std::sync::Arc<dyn waldur_sdk::backend::ResourceBackend>, offering: waldur_sdk::types::OfferingUuid) -> waldur_sdk::Result<()> {
/// use waldur_sdk::{backend::OpContext, process::OrderProcessor};
///
/// let processor = OrderProcessor::new(waldur, backend, offering);
/// let report = processor.run_once(&OpContext::new("orders")).await?;
/// for order in &report.orders {
///     println!("{} {}: {}", order.order, order.resource_name, order.outcome);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct OrderProcessor(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    waldur: WaldurClient,
    backend: Arc<dyn ResourceBackend>,
    offering: OfferingUuid,
    service_provider: Option<ServiceProviderUuid>,
    components: Components,
    policy: OrderPolicy,
    lanes: Lanes,
    /// Orders that the last pass did not come to.
    left_over: Arc<Mutex<HashSet<OrderUuid>>>,
    /// Objects that were made and that nobody wants.
    unwanted: Arc<Mutex<Vec<Unwanted>>>,
    blind_keys: BlindKeys,
}

impl OrderProcessor {
    /// A processor with the default policy and no components.
    pub fn new(waldur: WaldurClient, backend: Arc<dyn ResourceBackend>, offering: OfferingUuid) -> Self {
        Self(Arc::new(Inner {
            waldur,
            backend,
            offering,
            service_provider: None,
            components: Components::default(),
            policy: OrderPolicy::default(),
            lanes: Lanes::default(),
            left_over: Arc::default(),
            unwanted: Arc::default(),
            blind_keys: BlindKeys::default(),
        }))
    }

    /// Replaces the policy.
    #[must_use]
    pub fn with_policy(self, policy: OrderPolicy) -> Self {
        self.edit(|inner| inner.policy = policy)
    }

    /// Replaces the back end, and keeps what is remembered: for one that was built anew since the offering changed.
    #[must_use]
    pub fn with_backend(self, backend: Arc<dyn ResourceBackend>) -> Self {
        self.edit(|inner| inner.backend = backend)
    }

    /// Sets the components of the offering: those of the settings merged with Waldur's.
    #[must_use]
    pub fn with_components(self, components: Components) -> Self {
        self.edit(|inner| inner.components = components)
    }

    /// Sets the service provider, whose users' SSH keys a back end may want.
    #[must_use]
    pub fn with_service_provider(self, provider: ServiceProviderUuid) -> Self {
        self.edit(|inner| inner.service_provider = Some(provider))
    }

    /// Shares lanes with other processors, so that none works on a resource while another does.
    #[must_use]
    pub fn with_lanes(self, lanes: &Lanes) -> Self {
        self.edit(|inner| inner.lanes = lanes.clone())
    }

    /// The processor of the same offering's keys, which shares the lanes.
    pub fn keys(&self) -> KeyProcessor {
        let mut policy = KeyPolicy::default();
        policy.expose_error_details = self.0.policy.expose_error_details;
        policy.dry_run = self.0.policy.dry_run;
        let keys = KeyProcessor::new(self.0.waldur.clone(), self.0.backend.clone(), self.0.offering);
        keys.with_policy(policy).with_lanes(&self.0.lanes).with_blind_keys(&self.0.blind_keys)
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The offering whose orders are processed.
    pub fn offering(&self) -> OfferingUuid {
        self.0.offering
    }

    fn waldur(&self, cx: &OpContext) -> WaldurClient {
        self.0.waldur.until(cx.deadline)
    }

    fn backend(&self) -> &dyn ResourceBackend {
        &*self.0.backend
    }

    fn policy(&self) -> &OrderPolicy {
        &self.0.policy
    }

    fn environment(&self) -> &Environment {
        self.0.waldur.environment()
    }

    fn blind_keys(&self) -> &BlindKeys {
        &self.0.blind_keys
    }

    fn service_provider(&self) -> Option<ServiceProviderUuid> {
        self.0.service_provider
    }

    fn has_prepaid(&self) -> bool {
        self.0.components.iter().any(|component| component.is_prepaid == Some(true))
    }

    /// What may have a limit: the components of the offering, and whatever has one already.
    fn limited_components(&self, resource: &Resource) -> impl Iterator<Item = String> {
        let components = &self.0.components;
        let known = components.iter().map(|component| component.name.clone());
        let names: BTreeSet<_> = known.chain(resource.limits.keys().cloned()).collect();
        names.into_iter().filter(|name| !components.get(name).is_some_and(Component::is_fixed))
    }
}

impl fmt::Debug for OrderProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderProcessor")
            .field("offering", &self.0.offering)
            .field("backend_type", &self.0.backend.backend_type())
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}
