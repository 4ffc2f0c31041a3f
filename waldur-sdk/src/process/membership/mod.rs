//! Members of resources, and everything about a resource that is not an order (core.md §3).
//!
//! One pass reads lists in bulk, resources in portions, and one team for each project. It compares both sides and
//! writes only what differs. A resource that is in step is settled as it is seen. A resource that needs a write waits
//! until all were seen. Then it is read once more, in its [lane](super::Lanes), because the lists may be old by then.
//!
//! Its team is read again, too,
//!
//! - if anybody is to be removed;
//! - if the team is old;
//! - if a newer team has settled the members meanwhile, for example after an event.
//!
//! If none of these applies, roles (and nothing else) are set from the lists as first read.
//!
//! Two more questions are asked, but not by a pass that changes nothing. Before anybody is removed: the accounts in
//! question again, and whether another resource has the same back-end id by now. Before anybody is added from a list of
//! accounts that is old: who is locked out by now.
//!
//! | what | from | to |
//! |---|---|---|
//! | names of people | [`UsernameBackend`] | Waldur |
//! | access, roles | Waldur's team, service and course accounts | back end |
//! | paused, downscaled | Waldur | back end |
//! | metadata | back end | Waldur, merged with what others put there |
//! | limits | whoever has the [authority](crate::backend::LimitsAuthority) | the other side |
//! | limits of single users | Waldur | back end |
//! | project, end dates, effective id | [`ResourceUpkeep`](crate::backend::ResourceUpkeep) | either |
//! | last sync, `Erred`, `OK` | what this pass came to | Waldur |
//!
//! # What takes nobody's access
//! - A list that is not proven whole, or a failed reading.
//! - A first look. Every removal takes a second one; an empty team, or many removals at once, wait for a later pass
//!   ([`RemovalGuard`]).
//! - A look at a single resource, if another resource has the same back-end id.
//!
//! Never removed are accounts of services and of courses that are in use, and protected names. Removals that are held
//! are in the report.
//!
//! # Two processes
//! A process knows only its own lanes, and only the team by which it settled the members itself. If events go to
//! another process than the passes, a pass may set roles from a team that is a few seconds old: a role that was just
//! taken may come back until the next pass. Access cannot come back in this way. It is decided by what is read again,
//! and a user without access gets none with a role
//! ([`MemberDirectory::reconcile`](crate::backend::MemberDirectory::reconcile)). Clones of one processor share what
//! they know, so they have no such gap.
//!
//! # What makes a resource erred
//! Failures of the back end that do not pass by themselves, in three passes in a row; nothing else. When the resource
//! is well again, this processor takes back the `Erred` that it reported.
//!
//! # What ends a pass early
//! A side that is down, or refuses our credentials ([`Breaker`]). What was not begun by then is deferred and comes
//! first in the next pass. So does what a deadline or a stop left over.

mod again;
mod attend;
mod diff;
mod ending;
mod events;
mod gather;
mod guard;
mod limits;
mod listed;
mod members;
mod memory;
mod pass;
mod plan;
mod policy;
mod projects;
mod published;
mod report;
mod row;
mod run;
mod spelling;
mod statuses;
mod team;
mod upkeep;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

pub use policy::{MembershipPolicy, RemovalGuard, UnmanagedUsers};
pub use report::{
    Change, HeldRemovals, HoldReason, MembershipReport, ResourceSync, SkipReason, SkippedMember, SyncOutcome,
};

use self::memory::Memory;
use super::Lanes;
use crate::{
    backend::{OpContext, ResourceBackend, UsernameBackend},
    client::{Feature, WaldurClient},
    error::{Error, ErrorClass, ErrorKind},
    rest::{Breaker, Environment},
    settings::Components,
    types::{OfferingUuid, ServiceProviderUuid},
};

/// Keeps the members of one offering's resources true. Cheap to clone; clones share lanes and memory, so keep one for
/// the life of the process.
///
/// ```no_run
/// # async fn example(waldur: waldur_sdk::client::WaldurClient, backend: std::sync::Arc<dyn waldur_sdk::backend::ResourceBackend>, offering: waldur_sdk::types::OfferingUuid) -> waldur_sdk::Result<()> {
/// use waldur_sdk::{backend::OpContext, process::{Lanes, MembershipSync, OrderProcessor}};
///
/// let lanes = Lanes::new();
/// let orders = OrderProcessor::new(waldur.clone(), backend.clone(), offering).with_lanes(&lanes);
/// let members = MembershipSync::new(waldur, backend, offering).with_lanes(&lanes);
/// let report = members.run_once(&OpContext::new("members")).await?;
/// for resource in report.resources.iter().filter(|resource| !resource.is_clean()) {
///     println!("{}: {}", resource.name, resource.outcome);
/// }
/// # drop(orders);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct MembershipSync(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    waldur: WaldurClient,
    backend: Arc<dyn ResourceBackend>,
    offering: OfferingUuid,
    usernames: Option<Arc<dyn UsernameBackend>>,
    components: Components,
    service_provider: Option<ServiceProviderUuid>,
    policy: MembershipPolicy,
    lanes: Lanes,
    memory: Arc<Mutex<Memory>>,
}

impl MembershipSync {
    /// A processor with the default policy, without components and without anybody who gives names.
    pub fn new(waldur: WaldurClient, backend: Arc<dyn ResourceBackend>, offering: OfferingUuid) -> Self {
        Self(Arc::new(Inner {
            waldur,
            backend,
            offering,
            usernames: None,
            components: Components::default(),
            service_provider: None,
            policy: MembershipPolicy::default(),
            lanes: Lanes::default(),
            memory: Arc::default(),
        }))
    }

    /// Replaces the policy.
    #[must_use]
    pub fn with_policy(self, policy: MembershipPolicy) -> Self {
        self.edit(|inner| inner.policy = policy)
    }

    /// Replaces the back end, and keeps what is remembered: for one that was built anew since the offering changed.
    #[must_use]
    pub fn with_backend(self, backend: Arc<dyn ResourceBackend>) -> Self {
        self.edit(|inner| inner.backend = backend)
    }

    /// Sets the components of the offering: those of the settings merged with Waldur's. Without them no limits are
    /// compared.
    #[must_use]
    pub fn with_components(self, components: Components) -> Self {
        self.edit(|inner| inner.components = components)
    }

    /// Gives people their names with `usernames`, where the offering's policy leaves that to the provider.
    #[must_use]
    pub fn with_usernames(self, usernames: Arc<dyn UsernameBackend>) -> Self {
        self.edit(|inner| inner.usernames = Some(usernames))
    }

    /// Sets the service provider that sells the offering, without which no back end is told more of a project than its
    /// name ([`Capabilities::source_project`](crate::backend::Capabilities::source_project)).
    #[must_use]
    pub fn with_service_provider(self, provider: ServiceProviderUuid) -> Self {
        self.edit(|inner| inner.service_provider = Some(provider))
    }

    /// Shares lanes with other processors, so that none works on a resource while another does.
    #[must_use]
    pub fn with_lanes(self, lanes: &Lanes) -> Self {
        self.edit(|inner| inner.lanes = lanes.clone())
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The offering whose members are kept true.
    pub fn offering(&self) -> OfferingUuid {
        self.0.offering
    }

    fn waldur(&self, cx: &OpContext) -> WaldurClient {
        self.0.waldur.until(cx.deadline).stopped_by(cx.waldur_breaker())
    }

    fn backend(&self) -> &dyn ResourceBackend {
        &*self.0.backend
    }

    fn policy(&self) -> &MembershipPolicy {
        &self.0.policy
    }

    fn concurrency(&self) -> usize {
        self.0.policy.concurrency.max(1)
    }

    /// What one run's calls to one side stop by.
    fn breaker(&self) -> Breaker {
        Breaker::new(self.concurrency().saturating_mul(2), self.environment().clone())
    }

    fn environment(&self) -> &Environment {
        self.0.waldur.environment()
    }

    /// Looks at, or into, what is remembered. Never held over an await.
    fn remember<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut self.0.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the error says that this server does not offer the call; notes it.
    fn is_missing(&self, error: &Error) -> bool {
        if let Some(feature) = self.0.waldur.features().note(error) {
            self.remember(|memory| memory.learn_missing(feature));
        }
        error.kind() == ErrorKind::Unsupported
    }

    /// Whether this server has said that it does not have it.
    fn lacks(&self, feature: Feature) -> bool {
        self.0.waldur.features().is_missing(feature)
    }
}

impl fmt::Debug for MembershipSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MembershipSync")
            .field("offering", &self.0.offering)
            .field("backend_type", &self.0.backend.backend_type())
            .field("usernames", &self.0.usernames.as_ref().map(|usernames| usernames.name()))
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}

/// Whether a failure may pass by itself: nothing is decided by it.
fn is_passing(error: &Error) -> bool {
    matches!(error.class(), ErrorClass::Transient | ErrorClass::NotReady)
}
