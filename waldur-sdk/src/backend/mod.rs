//! The contract between the processors and the code that makes what was ordered.
//!
//! [`ResourceBackend`] has a few required methods; everything else has a default or is a facet ([`MemberDirectory`],
//! [`UsageSource`], …). A back end knows nothing of Waldur's API; a processor knows nothing of a back end's.
//!
//! # The contract
//!
//! 1. **Absence is proven.** [`get`](ResourceBackend::get) answers `Ok(None)` only when the system itself said that the
//!    object does not exist. Anything unclear (an outage, a refused login, a page of a proxy) is an error.
//! 2. **Everything converges.** Every method may be cut short at any point. When it is called again, by this process or
//!    another, it ends in the state of a run without faults. Two processes may run the same method at once.
//! 3. **Ownership first.** An object is stamped with the resource's [`Stamp`] when it is made, and the stamp is read
//!    before anything is changed or removed. A foreign object is never touched: [`foreign`](state::foreign).
//! 4. **What was written is read back.** [`Verified`] can only be made from a reading that agrees; [`read_back`] waits
//!    for a system that takes a moment to show it. Options and plans look different on every system, so the processor
//!    cannot compare them: a back end that acknowledges a change has checked it itself.
//! 5. **Unknown is not zero, and zero is not unlimited.** [`Usage`] and [`Limit`](crate::types::Limit) have a value for
//!    each.
//! 6. **Errors say what to do.** The processor's whole failure policy is a match on
//!    [`ErrorClass`](crate::ErrorClass): `NotReady` and `Transient` leave the order as it is, `Duplicate` and
//!    `Foreign` try the next candidate, everything else ends the order with an explanation. A text for the customer
//!    is made with [`Error::rejected`](crate::Error::rejected) or [`Error::for_customer`](crate::Error::for_customer).
//! 7. **Amounts are in Waldur's units** in this interface. Convert with the component's unit factor and nothing else.
//! 8. **No runtime.** No spawning, no blocking, no sleeping but through [`Environment`](crate::rest::Environment).
//!    A dropped future may be dropped at any await.
//!
//! `testing::conformance` checks a back end against this list.

mod capabilities;
mod context;
mod facets;
mod finding;
mod inspection;
pub mod layers;
mod operations;
mod overriding;
mod read_back;
mod registry;
mod request;
pub mod state;
mod upkeep;
mod usernames;
mod usernames_builtin;

use std::collections::BTreeMap;

use async_trait::async_trait;

pub use capabilities::{Capabilities, LimitsAuthority};
pub use context::{Cancellation, OpContext, ProgressObserver, Step};
pub use facets::{
    ApiKeys, Importable, Importer, MemberChange, MemberDirectory, MemberOutcome, MembershipPlan, PendingOrders,
    PendingWork, Period, Settled, StatusControl, Usage, UsageReport, UsageSource,
};
pub use finding::{Finding, Outcome};
pub use inspection::{Aspects, Inspection, PassIds, Records};
pub use overriding::{Overridden, Override};
pub use read_back::{CONSISTENCY, read_back};
#[cfg(feature = "reqwest")]
pub use registry::ReqwestConnector;
pub use registry::{BackendFactory, BuildEnv, Connector, OfferingFacts, Registry};
pub use request::{
    Candidate, Collision, CreateRequest, DeleteRequest, Evaluation, Grant, LimitChange, MarketplaceResource,
    OptionChange, Origin, Party, PendingOrder, PlanChange, SshPublicKey, Stamp,
};
pub use state::{ById, Created, IssuedKey, Ownership, Progress, Removed, ResourceState, Status, Verified};
pub use upkeep::{EndDate, ResourceUpkeep, SourceProject, Surroundings, UserLimits};
pub use usernames::{Requirement, UsernameBackend, UsernameOutcome, UsernameRequest};
pub use usernames_builtin::{GeneratedUsernames, NoUsernames, UsernameRegistry, WaldurUsernames};

use crate::{
    error::{Error, Result},
    types::{BackendId, Limits},
};

/// A system that resources are made on. See the [module](self) for the contract.
#[async_trait]
pub trait ResourceBackend: Send + Sync + 'static {
    /// The name under which settings choose this back end (`ceph_s3`).
    fn backend_type(&self) -> &'static str;

    /// Hints and permissions for the processors, which are not methods.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// A valid id for a new object. Pure: no I/O, the same answer for the same arguments. Each further attempt must
    /// give another id, or an error of class [`Duplicate`](crate::ErrorClass::Duplicate) when there are no more.
    ///
    /// # Errors
    /// [`Rejected`](crate::ErrorClass::Rejected) when no valid name can be made of what the customer typed.
    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId>;

    /// A cheap call that needs the credentials. Called before a pass lists orders if [`Capabilities::preflight`] says
    /// so.
    ///
    /// # Errors
    /// When something is in the way; then no order is listed. [`Transient`](crate::ErrorClass::Transient) and
    /// [`NotReady`](crate::ErrorClass::NotReady) may pass. (Refused credentials are *not ready*: somebody has to renew
    /// them, and no order fails because of that.) Any other class is for the person who set the back end up.
    async fn ping(&self, cx: &OpContext) -> Result<()>;

    /// Makes the object under the reserved id, stamps it, sets its limits and reads it back; or finishes what an
    /// earlier call began. An object of that id with our stamp is adopted and brought to the wanted state.
    ///
    /// # Errors
    /// Class [`Foreign`](crate::ErrorClass::Foreign) or [`Duplicate`](crate::ErrorClass::Duplicate) when the id is
    /// taken and the object may not be adopted ([`Ownership::permits`]). Then nothing has been changed.
    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>>;

    /// Reads one object; `Ok(None)` is proven absence.
    ///
    /// # Errors
    /// Whenever it is unclear whether the object is there or what it is like:
    /// [`Transient`](crate::ErrorClass::Transient) and [`NotReady`](crate::ErrorClass::NotReady) leave everything that
    /// depends on it as it is, also an order. Any other class fails the order.
    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>>;

    /// Removes the object and proves its absence. If it is gone already, that is a success. If the settings do not
    /// allow to destroy data, it refuses, with a reason for the customer.
    ///
    /// # Errors
    /// Class [`Foreign`](crate::ErrorClass::Foreign) when the object is not ours. Then nothing has been changed.
    /// [`Rejected`](crate::ErrorClass::Rejected) when the customer has to do something first (empty it). With
    /// [`Transient`](crate::ErrorClass::Transient) and [`NotReady`](crate::ErrorClass::NotReady) the removal is tried
    /// again, however far it came. Any other class fails the order, and in Waldur the resource is in use again.
    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>>;

    /// Reads many objects at once. The default asks [`Self::get`] for each; a back end that can answer from one
    /// listing does so. An id that is missing from the answer counts as unknown, never as absent. See
    /// [`Capabilities::in_portions`].
    ///
    /// The answer may depend on what Waldur has about the resources ([`Inspection::records`]), for example on what was
    /// published before.
    ///
    /// If limits or metadata cost a call for each object, the back end may leave them out for some objects until their
    /// turn comes. Limits that are not named, and metadata that are `None`, stay as they are.
    async fn inspect(&self, cx: &OpContext, inspection: &Inspection<'_>) -> ById<Option<ResourceState>> {
        let mut states = BTreeMap::new();
        for id in inspection.ids {
            states.insert(id.clone(), self.get(cx, id).await);
        }
        states
    }

    /// Sets absolute limits and reads them back.
    ///
    /// # Errors
    /// Class [`Unsupported`](crate::ErrorClass::Unsupported) by default. [`Foreign`](crate::ErrorClass::Foreign) and
    /// the others as in [`Self::delete`]: [`Rejected`](crate::ErrorClass::Rejected) when the customer may not have that
    /// much, or uses more than that already.
    async fn set_limits(&self, _cx: &OpContext, _change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        Err(Error::unsupported("changing limits"))
    }

    /// The customer changed options. The default has nothing to do. `Done` means that they are in force: the order is
    /// reported done without another question.
    ///
    /// # Errors
    /// As of [`Self::set_limits`]: [`Rejected`](crate::ErrorClass::Rejected) for a value that the customer may not
    /// choose.
    async fn update_options(&self, _cx: &OpContext, _change: &OptionChange) -> Result<Progress<()>> {
        Ok(Progress::Done(()))
    }

    /// The resource moved to another plan. The default has nothing to do. `Done` means that the plan is in force. The
    /// limits that come with it are set afterwards, by [`Self::set_limits`].
    ///
    /// # Errors
    /// As of [`Self::set_limits`]: [`Rejected`](crate::ErrorClass::Rejected) for a plan that the resource cannot move
    /// to.
    async fn update_plan(&self, _cx: &OpContext, _change: &PlanChange) -> Result<Progress<()>> {
        Ok(Progress::Done(()))
    }

    /// The provider's decision about an order that waits for it. The default accepts.
    ///
    /// # Errors
    /// When there is no decision yet. The order goes on waiting, whatever the class is; only
    /// [`Transient`](crate::ErrorClass::Transient) is asked again within the pass. To refuse an order, answer
    /// [`Evaluation::Reject`].
    async fn evaluate(&self, _cx: &OpContext, _order: &PendingOrder) -> Result<Evaluation> {
        Ok(Evaluation::Accept)
    }

    /// Checks credentials, rights, versions and clocks, and says what to repair. The default is one finding about
    /// [`Self::ping`].
    async fn diagnose(&self, cx: &OpContext) -> Vec<Finding> {
        vec![Finding::of_result("reachable", self.ping(cx).await)]
    }

    /// Access of people, if this back end manages it.
    fn members(&self) -> Option<&dyn MemberDirectory> {
        None
    }

    /// Usage, if this back end measures it.
    fn usage(&self) -> Option<&dyn UsageSource> {
        None
    }

    /// Pausing and downscaling, if this back end can.
    fn status(&self) -> Option<&dyn StatusControl> {
        None
    }

    /// Limits of single users, if this back end has such.
    fn user_limits(&self) -> Option<&dyn UserLimits> {
        None
    }

    /// What surrounds a resource, if this back end keeps it in step.
    fn upkeep(&self) -> Option<&dyn ResourceUpkeep> {
        None
    }

    /// The customer's keys, if this back end has them.
    fn keys(&self) -> Option<&dyn ApiKeys> {
        None
    }

    /// Import of existing objects, if this back end can list them.
    fn importer(&self) -> Option<&dyn Importer> {
        None
    }

    /// Orders that finish later, if this back end has such.
    fn pending(&self) -> Option<&dyn PendingOrders> {
        None
    }
}
