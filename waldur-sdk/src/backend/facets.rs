//! Abilities that not every back end has. Each is a small trait, reached through an accessor of
//! [`ResourceBackend`](super::ResourceBackend) that answers `None` unless overridden. So nobody can claim an ability
//! without writing it.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    ops::Range,
};

use async_trait::async_trait;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    context::OpContext,
    request::{Grant, MarketplaceResource, Stamp},
    state::{Created, IssuedKey, Progress, Removed, Status, Verified},
    usernames::UsernameRequest,
};
use crate::{
    error::{Error, ErrorKind, Result},
    rest::Complete,
    types::{Amounts, BackendId, Limits, OfferingUserUuid, OrderType, OrderUuid, Personal},
};

/// Gives people access to resources, and takes it away.
#[async_trait]
pub trait MemberDirectory: Send + Sync {
    /// The users with access to each of `ids`. A list that is not proven whole must be an error.
    async fn list(&self, cx: &OpContext, ids: &[BackendId]) -> BTreeMap<BackendId, Result<Complete<String>>>;

    /// Carries out the plan and says what became of each user. To add a user who has access already, and to remove one
    /// who has none, are successes. One user's failure does not stop the others.
    ///
    /// # Errors
    /// Only when nothing could be tried; an object that carries another resource's stamp is refused.
    async fn apply(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        plan: &MembershipPlan,
    ) -> Result<Vec<MemberOutcome>>;

    /// Called in every pass with the users who had access before and keep it, and with the roles that they should have.
    /// Sets roles and whatever depends on them; it has to cost nothing when nothing changed. Give a new role before you
    /// take the old one, so that a failure leaves nobody with too little. The answer names the users who were changed
    /// or could not be. The default has nothing to do.
    ///
    /// Another process may have taken somebody's access since the lists were read. So a user without access must not
    /// get access or roles here: answer [`ErrorKind::NotFound`] for that user. The next pass sees what is true.
    ///
    /// # Errors
    /// As [`Self::apply`].
    async fn reconcile(
        &self,
        _cx: &OpContext,
        _resource: &MarketplaceResource,
        _id: &BackendId,
        _members: &[Grant],
    ) -> Result<Vec<MemberOutcome>> {
        Ok(Vec::new())
    }

    /// Called when something that the offering knows of a person changed ([`Grant::attributes`], names, address). The
    /// default has nothing to do.
    ///
    /// # Errors
    /// When it could not be passed on.
    async fn update_attributes(&self, _cx: &OpContext, _member: &Grant) -> Result<()> {
        Ok(())
    }

    /// The names that the back end itself gave to people, by account. Leave out the accounts that have no such name.
    /// Asked in every pass if `username_reconciliation_enabled`; where Waldur has another name, it is told this one.
    /// The default has none.
    ///
    /// # Errors
    /// When they could not be read; all names stay then.
    async fn assigned_names(
        &self,
        _cx: &OpContext,
        _people: &[UsernameRequest],
    ) -> Result<BTreeMap<OfferingUserUuid, Personal>> {
        Ok(BTreeMap::new())
    }
}

/// Who is to be added and removed. Guards (protected accounts, caps, second observations) have been applied.
/// `Debug` names no users.
#[derive(Clone, Default)]
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

    /// Plans to remove those of `names` that are on the proven list of users with access.
    #[must_use]
    pub fn and_remove(mut self, names: &[String], present: &Complete<String>) -> Self {
        let present: HashSet<&String> = present.items().iter().collect();
        self.remove.extend(names.iter().filter(|name| present.contains(name)).cloned());
        self
    }

    /// To lose access.
    pub fn removals(&self) -> &[String] {
        &self.remove
    }
}

impl fmt::Debug for MembershipPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MembershipPlan").field("add", &self.add.len()).field("remove", &self.remove.len()).finish()
    }
}

/// What became of one user of a plan. `Debug` does not name the user.
#[derive(Clone)]
pub struct MemberOutcome {
    /// The user.
    pub username: String,
    /// What was done, or why not.
    pub result: Result<MemberChange>,
}

impl fmt::Debug for MemberOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberOutcome").field("result", &self.result).finish_non_exhaustive()
    }
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
    /// The usage of each of `ids` in `period`, as far as the month has come. An id that is missing from the answer
    /// counts as [`Usage::Unreadable`]. So does an id that the back end does not know: an object that is gone may have
    /// used something.
    ///
    /// Somebody may have typed another resource's id into this one. So a back end that reads the stamp along with the
    /// counters puts it into the report ([`UsageReport::with_stamp`]): then nobody is billed for another's usage.
    ///
    /// For a month that is over, a back end without a history answers [`Usage::NotYet`], never with what it measures
    /// now.
    ///
    /// A period is a range of days, without a time zone. A back end that counts by the hour takes [`Period::bounds`] in
    /// the zone that it was built with, `BuildEnv::time_zone` (the setting `timezone`).
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

    /// The month before; the same one at the end of the calendar.
    #[must_use]
    pub fn previous(self) -> Self {
        self.first_day.yesterday().map_or(self, Self::containing)
    }

    /// The month after; the same one at the end of the calendar.
    #[must_use]
    pub fn next(self) -> Self {
        self.last_day().tomorrow().map_or(self, Self::containing)
    }

    /// When the month begins in `zone`, and when the next one does: every instant lies in exactly one month, whatever
    /// the clocks of the zone do.
    ///
    /// # Errors
    /// `InvalidRequest` at the end of the calendar.
    pub fn bounds(self, zone: &TimeZone) -> Result<Range<Timestamp>> {
        let begin = |month: Self| {
            let midnight = month.first_day.to_zoned(zone.clone());
            midnight.map(|midnight| midnight.timestamp()).map_err(|cause| {
                Error::new(ErrorKind::InvalidRequest, format!("{month}: beyond the calendar")).with_source(cause)
            })
        };
        Ok(begin(self)?..begin(self.next())?)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first_day.year(), self.first_day.month())
    }
}

/// What is known about the usage of one resource. Unknown is never zero.
#[derive(Clone, Debug)]
pub enum Usage {
    /// Measured. Zero has to be measured, too. Only this reaches Waldur.
    Measured(UsageReport),
    /// The back end has not counted yet.
    NotYet,
    /// It could not be read.
    Unreadable(Error),
}

/// Measured amounts in Waldur's units. `Debug` names no users.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageReport {
    /// The resource as a whole. A component that is not named was not measured.
    pub total: Amounts,
    /// By user name, where the back end can tell.
    pub per_user: BTreeMap<String, Amounts>,
    /// The stamp on what was measured, where the back end read one: another resource's usage is never billed.
    pub stamp: Option<Stamp>,
    /// For which part of the month there is no proof, in a sentence for the operator. The amounts are reported all the
    /// same, because they are no higher than what was seen.
    pub unproven: Option<String>,
    /// The id of the object that was measured, and the name under which ids are published (it ends in `_id`). If no
    /// stamp was read and the id differs from the published one, the object is another resource's. Needs
    /// [`Capabilities::published_ids`](super::Capabilities::published_ids).
    pub published_id: Option<(&'static str, String)>,
}

impl UsageReport {
    /// A report of totals.
    pub fn new(total: Amounts) -> Self {
        Self { total, ..Self::default() }
    }

    /// Says whose object was measured.
    #[must_use]
    pub fn with_stamp(mut self, stamp: Option<Stamp>) -> Self {
        self.stamp = stamp;
        self
    }

    /// Says for which part of the month there is no proof.
    #[must_use]
    pub fn with_unproven(mut self, unproven: Option<String>) -> Self {
        self.unproven = unproven;
        self
    }

    /// Says which object was measured: its id, and the name that this is published under.
    #[must_use]
    pub fn with_published_id(mut self, name: &'static str, id: Option<String>) -> Self {
        self.published_id = id.map(|id| (name, id));
        self
    }

    /// Adds what each user used, by user name.
    #[must_use]
    pub fn with_users(mut self, per_user: BTreeMap<String, Amounts>) -> Self {
        self.per_user = per_user;
        self
    }
}

impl fmt::Debug for UsageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageReport")
            .field("total", &self.total)
            .field("users", &self.per_user.len())
            .field("stamp", &self.stamp)
            .field("unproven", &self.unproven)
            .field("published_id", &self.published_id)
            .finish()
    }
}

/// Pauses, downscales and restores.
#[async_trait]
pub trait StatusControl: Send + Sync {
    /// Brings the resource to `status`. [`Status::Active`] on a healthy resource does nothing at all.
    ///
    /// # Errors
    /// When the resource is not in that status now, or nothing is known about it; an object that carries another
    /// resource's stamp is refused. A status that the back end does not know is
    /// [`Unsupported`](crate::ErrorClass::Unsupported).
    async fn set_status(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        status: Status,
    ) -> Result<()>;
}

/// Makes and replaces the customer's keys. Waldur hands them over, so a back end with this facet publishes none by
/// itself.
#[async_trait]
pub trait ApiKeys: Send + Sync {
    /// Makes one key.
    ///
    /// # Errors
    /// When no key was made, or its secret did not arrive. A key that was made and did not arrive is known to nobody;
    /// the next [`Self::prune`] removes it.
    async fn mint(&self, cx: &OpContext, resource: &MarketplaceResource, id: &BackendId) -> Result<IssuedKey>;

    /// Deletes one key that was made and could not be handed over. If it is gone already, that is a success.
    async fn revoke(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<()>;

    /// Replaces the key `client_id`: the new one is there before the old one goes. Its sibling is not touched. The key
    /// may be gone already, when an earlier replacement was cut short; it is replaced all the same.
    ///
    /// # Errors
    /// When the old key still works, or may still work. Nobody gets the new key then; the next [`Self::prune`] removes
    /// it.
    async fn rotate(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<IssuedKey>;

    /// Removes keys that nobody knows. `known` is proven whole, so a key that is not on it was never handed out. An
    /// empty list means that no key may be left: the resource has ended and its object is kept.
    ///
    /// # Errors
    /// When some of them may be left. The processor goes on all the same.
    async fn prune(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        known: &Complete<String>,
    ) -> Result<u32>;

    /// The first halves of all live keys that may be pruned. The processor asks for them first, then for Waldur's list,
    /// and revokes those that Waldur does not list. So a key that another process makes and reports in between is not
    /// taken for an unknown one. `None`, the default: the processor calls [`Self::prune`], which looks for itself after
    /// Waldur's list was read.
    ///
    /// # Errors
    /// When they cannot be read, or the object is not the resource's.
    async fn prunable(
        &self,
        _cx: &OpContext,
        _resource: &MarketplaceResource,
        _id: &BackendId,
    ) -> Result<Option<BTreeSet<String>>> {
        Ok(None)
    }
}

/// Lists what could be imported into Waldur.
#[async_trait]
pub trait Importer: Send + Sync {
    /// Every object of the kind that this back end makes, proven whole. An object that cannot be read is in the list as
    /// [`Importable::unreadable`]; the others are listed all the same.
    ///
    /// # Errors
    /// When the list cannot be read, or not be proven whole.
    async fn list(&self, cx: &OpContext) -> Result<Complete<Importable>>;
}

/// An object that exists on the back end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Importable {
    /// Its id.
    pub backend_id: BackendId,
    /// What it belongs to on the back end, if the back end has such a thing.
    pub parent: Option<String>,
    /// Its limits, in Waldur's units.
    pub limits: Limits,
    /// The stamp on it, if the list tells. An object with a stamp belongs to a resource, of this offering or of another
    /// one on the same system. It is never offered.
    pub stamp: Option<Stamp>,
    /// Why nothing but the id could be read, if so. Then nobody knows whose the object is, and it is not offered.
    pub failure: Option<Error>,
}

impl Importable {
    /// An object without parent, limits and stamp.
    pub fn new(backend_id: BackendId) -> Self {
        Self { backend_id, parent: None, limits: Limits::new(), stamp: None, failure: None }
    }

    /// An object of which nothing but the id could be read.
    pub fn unreadable(backend_id: BackendId, failure: Error) -> Self {
        Self { failure: Some(failure), ..Self::new(backend_id) }
    }

    /// Says whose it is.
    #[must_use]
    pub fn with_stamp(mut self, stamp: Option<Stamp>) -> Self {
        self.stamp = stamp;
        self
    }
}

/// Finishes orders later (core.md §2.8). Only a back end that has this facet may answer [`Progress::Pending`]. Only
/// then does the processor read `order.backend_id` as a handle.
///
/// An order has one handle at a time, and its work goes on step by step. When the work behind the handle has ended, the
/// processor begins what is left of the order; that may put another handle in the first one's place. If the process
/// dies in between, the next one asks about the old handle again and begins the next step again. So, as everywhere, the
/// same request for the same order must not begin the same work twice.
#[async_trait]
pub trait PendingOrders: Send + Sync {
    /// How far the work behind [`PendingWork::handle`] is. Work that has ended is read back, as it would be without a
    /// handle: limits are compared with [`PendingWork::limits`], and a removal is proven by absence.
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
    /// What the order asks for.
    pub order_type: OrderType,
    /// The handle that the back end gave.
    pub handle: String,
    /// The marketplace's side.
    pub resource: MarketplaceResource,
    /// The resource's back-end id, if it has one.
    pub backend_id: Option<BackendId>,
    /// The limits that the order as a whole asks for, in Waldur's units; empty when it leaves them as they are.
    pub limits: Limits,
}

impl PendingWork {
    /// Work of an order on a resource, whose limits stay as they are.
    pub fn new(
        order: OrderUuid,
        order_type: impl Into<OrderType>,
        handle: impl Into<String>,
        resource: MarketplaceResource,
        backend_id: Option<BackendId>,
    ) -> Self {
        let (order_type, handle) = (order_type.into(), handle.into());
        Self { order, order_type, handle, resource, backend_id, limits: Limits::new() }
    }

    /// Sets the limits that the order asks for.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// Which work has ended. An answer that does not fit the order's type fails the order.
#[derive(Debug)]
pub enum Settled {
    /// A creation or restoration.
    Created(Verified<Created>),
    /// The options are changed; plan and limits of the same Update order are next.
    Options,
    /// The plan is switched; limits of the same Update order are next.
    Plan,
    /// The limits are set: the last step of an Update order, or the whole of a Terminate order that keeps the object
    /// (`soft_delete`).
    Limits(Verified<Limits>),
    /// A removal.
    Removed(Verified<Removed>),
}
