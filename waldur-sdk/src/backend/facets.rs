//! Abilities that not every back end has. Each is a small trait, reached through an accessor of
//! [`ResourceBackend`](super::ResourceBackend) that answers `None` unless overridden: an ability cannot be claimed
//! without being written, nor written and forgotten.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::civil::Date;

use super::{
    context::OpContext,
    request::{Grant, MarketplaceResource},
    state::{Created, IssuedKey, Progress, Removed, Status, Verified},
};
use crate::{
    error::{Error, Result},
    rest::Complete,
    types::{Amounts, BackendId, Limits, OrderUuid},
};

/// Gives people access to resources, and takes it away.
#[async_trait]
pub trait MemberDirectory: Send + Sync {
    /// The users with access to each of `ids`. A list that is not proven whole must be an error.
    async fn list(&self, cx: &OpContext, ids: &[BackendId]) -> BTreeMap<BackendId, Result<Complete<String>>>;

    /// Carries the plan out and says what became of each user. Adding who is there and removing who is not are
    /// successes. One user's failure does not stop the others.
    ///
    /// # Errors
    /// Only when nothing could be tried.
    async fn apply(&self, cx: &OpContext, id: &BackendId, plan: &MembershipPlan) -> Result<Vec<MemberOutcome>>;
}

/// Who is to be added and removed. Guards (protected accounts, caps, second observations) have been applied.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MembershipPlan {
    /// To be given access.
    pub add: Vec<Grant>,
    remove: Vec<String>,
}

impl MembershipPlan {
    /// A plan that only adds.
    pub fn additions(add: Vec<Grant>) -> Self {
        Self { add, remove: Vec::new() }
    }

    /// Plans to remove `names`, as far as they are on the proven list of those who have access.
    #[must_use]
    pub fn and_remove(mut self, names: &[String], present: &Complete<String>) -> Self {
        self.remove.extend(names.iter().filter(|name| present.items().contains(name)).cloned());
        self
    }

    /// To lose access.
    pub fn removals(&self) -> &[String] {
        &self.remove
    }
}

/// What became of one user of a plan.
#[derive(Clone, Debug)]
pub struct MemberOutcome {
    /// The user.
    pub username: String,
    /// What was done, or why not.
    pub result: Result<MemberChange>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemberChange {
    /// Access was given.
    Added,
    /// Access was taken.
    Removed,
    /// It was so already.
    Unchanged,
}

/// Measures what resources use.
#[async_trait]
pub trait UsageSource: Send + Sync {
    /// The usage of each of `ids` in `period`. An id that is missing from the answer counts as
    /// [`Usage::Unreadable`].
    async fn usage(&self, cx: &OpContext, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage>;
}

/// A billing month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    first_day: Date,
}

impl Period {
    /// The month that `day` lies in.
    pub fn containing(day: Date) -> Self {
        Self { first_day: day.first_of_month() }
    }

    /// Its first day: what `billing_period` filters take.
    pub fn first_day(self) -> Date {
        self.first_day
    }

    /// Its last day.
    pub fn last_day(self) -> Date {
        self.first_day.last_of_month()
    }
}

/// What was found out about the usage of one resource. Unknown is never zero.
#[derive(Clone, Debug)]
pub enum Usage {
    /// Measured, by positive evidence; zero too. Only this reaches Waldur.
    Measured(UsageReport),
    /// The back end has not counted yet.
    NotYet,
    /// It could not be found out.
    Unreadable(Error),
}

/// Measured amounts in Waldur's units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageReport {
    /// The resource as a whole. A component that is not named was not measured.
    pub total: Amounts,
    /// By user name, where the back end can tell.
    pub per_user: BTreeMap<String, Amounts>,
}

impl UsageReport {
    /// A report of totals.
    pub fn new(total: Amounts) -> Self {
        Self { total, per_user: BTreeMap::new() }
    }
}

/// Pauses, downscales and restores.
#[async_trait]
pub trait StatusControl: Send + Sync {
    /// Brings the resource to `status`. [`Status::Active`] on a healthy resource does nothing at all.
    async fn set_status(&self, cx: &OpContext, id: &BackendId, status: Status) -> Result<()>;
}

/// Makes and replaces the customer's keys. Waldur hands them over, so a back end with this facet publishes none by
/// itself.
#[async_trait]
pub trait ApiKeys: Send + Sync {
    /// Makes one key.
    async fn mint(&self, cx: &OpContext, resource: &MarketplaceResource, id: &BackendId) -> Result<IssuedKey>;

    /// Takes one key back that was minted and could not be handed over. Taking back what is gone is a success.
    async fn revoke(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<()>;

    /// Replaces the key `client_id`: the new one is there before the old one goes. Its sibling is not touched. The key
    /// may be gone already, when an earlier replacement was cut short; it is replaced all the same.
    async fn rotate(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<IssuedKey>;

    /// Removes keys that nobody knows. `known` is proven whole, so what is not on it was never handed out.
    async fn prune(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        known: &Complete<String>,
    ) -> Result<u32>;
}

/// Lists what could be imported into Waldur.
#[async_trait]
pub trait Importer: Send + Sync {
    /// Every object of the kind that this back end makes, proven whole.
    async fn list(&self, cx: &OpContext) -> Result<Complete<Importable>>;
}

/// An object that exists on the back end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Importable {
    /// Its id.
    pub backend_id: BackendId,
    /// What it belongs to on the back end, if the back end has such a thing.
    pub parent: Option<String>,
    /// Its limits, in Waldur's units.
    pub limits: Limits,
}

impl Importable {
    /// An object without parent and limits.
    pub fn new(backend_id: BackendId) -> Self {
        Self { backend_id, parent: None, limits: Limits::new() }
    }
}

/// Finishes orders later (core.md §2.8). Only a back end that has this facet may answer
/// [`Progress::Pending`], and only for it is `order.backend_id` taken for a handle.
#[async_trait]
pub trait PendingOrders: Send + Sync {
    /// How far the work behind `handle` is.
    ///
    /// # Errors
    /// A [`Transient`](crate::ErrorClass::Transient) or [`NotReady`](crate::ErrorClass::NotReady) error leaves the
    /// order executing; any other means that the work has failed for good.
    async fn check(&self, cx: &OpContext, work: &PendingWork) -> Result<Progress<Settled>>;
}

/// Work that was left going on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PendingWork {
    /// The order.
    pub order: OrderUuid,
    /// What the order asks for (`Create`, `Update`, `Terminate`, `Restore`).
    pub order_type: String,
    /// The handle that the back end gave.
    pub handle: String,
    /// The marketplace's side.
    pub resource: MarketplaceResource,
    /// The resource's back-end id, if it has one.
    pub backend_id: Option<BackendId>,
}

impl PendingWork {
    /// Work of an order on a resource.
    pub fn new(
        order: OrderUuid,
        order_type: impl Into<String>,
        handle: impl Into<String>,
        resource: MarketplaceResource,
        backend_id: Option<BackendId>,
    ) -> Self {
        Self { order, order_type: order_type.into(), handle: handle.into(), resource, backend_id }
    }
}

/// Work that has come to its end.
#[derive(Debug)]
pub enum Settled {
    /// A creation or restoration.
    Created(Verified<Created>),
    /// A change.
    Changed,
    /// A removal.
    Removed(Verified<Removed>),
}
