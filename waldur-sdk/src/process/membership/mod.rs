//! Members of resources, and everything about a resource that is not an order, as [`MembershipSync`] says.

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

use std::sync::{Arc, Mutex, PoisonError};

pub use policy::{MembershipPolicy, RemovalGuard};
pub use report::{
    Change, HeldRemovals, HoldReason, MembershipReport, ResourceSync, SkipReason, SkippedMember, SyncOutcome,
};

use self::memory::Memory;
use super::{ServedOffering, served::processor};
use crate::{
    backend::{OpContext, UsernameBackend},
    client::Feature,
    error::{Error, ErrorKind},
    rest::{Breaker, Environment},
};

/// Keeps the members of one [offering](ServedOffering)'s resources true. Cheap to clone; clones share lanes and memory, so
/// keep one for the life of the process.
///
/// ```no_run
/// # async fn example(waldur: waldur_sdk::client::WaldurClient, backend: std::sync::Arc<dyn waldur_sdk::backend::ResourceBackend>, offering: waldur_sdk::types::OfferingUuid) -> waldur_sdk::Result<()> {
/// use waldur_sdk::{backend::OpContext, process::ServedOffering};
///
/// let members = ServedOffering::new(waldur, backend, offering).members();
/// let report = members.run_once(&OpContext::new("members")).await?;
/// for resource in report.resources.iter().filter(|resource| !resource.is_clean()) {
///     println!("{}: {:#}", resource.name, resource.outcome);
/// }
/// # Ok(()) }
/// ```
///
/// Members of resources, and everything about a resource that is not an order (core.md §3).
///
/// One pass reads lists in bulk, resources in portions, and one team for each project. It compares both sides and
/// writes only what differs. A resource that is in step is settled as it is seen. A resource that needs a write waits
/// until all were seen. Then it is read once more, in its [lane](super::Lanes), because the lists may be old by then.
///
/// Its team is read again, too,
///
/// - if anybody is to be removed;
/// - if the team is old;
/// - if a newer team has settled the members meanwhile, for example after an event.
///
/// If none of these applies, roles (and nothing else) are set from the lists as first read.
///
/// Two more questions are asked, but not by a pass that changes nothing. Before anybody is removed: the accounts in
/// question again, and whether another resource has the same back-end id by now. Before anybody is added from a list of
/// accounts that is old: who is locked out by now.
///
/// | what | from | to |
/// |---|---|---|
/// | names of people | [`UsernameBackend`] | Waldur |
/// | access, roles | Waldur's team, service and course accounts | back end |
/// | paused, downscaled | Waldur | back end |
/// | metadata | back end | Waldur, merged with what others put there |
/// | limits | whoever has the [authority](crate::backend::LimitsAuthority) | the other side |
/// | limits of single users | Waldur | back end |
/// | project, end dates, effective id | [`ResourceUpkeep`](crate::backend::ResourceUpkeep) | either |
/// | last sync, `Erred`, `OK` | what this pass came to | Waldur |
///
/// # What takes nobody's access
/// - A list that is not proven whole, or a failed reading.
/// - A first look. Every removal takes a second one; an empty team, or many removals at once, wait for a later pass
///   ([`RemovalGuard`]).
/// - A look at a single resource, if another resource has the same back-end id.
///
/// Never removed are accounts of services and of courses that are in use, and protected names. Removals that are held
/// are in the report.
///
/// # Two processes
/// A process knows only its own lanes, and only the team by which it settled the members itself. If events go to
/// another process than the passes, a pass may set roles from a team that is a few seconds old: a role that was just
/// taken may come back until the next pass. Access cannot come back in this way. It is decided by what is read again,
/// and a user without access gets none with a role
/// ([`MemberDirectory::reconcile`](crate::backend::MemberDirectory::reconcile)). Clones of one processor share what
/// they know, so they have no such gap.
///
/// # What makes a resource erred
/// Failures of the back end that do not pass by themselves, in three passes in a row; nothing else. When the resource
/// is well again, this processor takes back the `Erred` that it reported.
///
/// # What ends a pass early
/// A side that is down, or refuses our credentials ([`Breaker`]). What was not begun by then is deferred and comes
/// first in the next pass. So does what a deadline or a stop left over.
#[derive(Clone)]
pub struct MembershipSync(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    served: ServedOffering,
    usernames: Option<Arc<dyn UsernameBackend>>,
    policy: MembershipPolicy,
    memory: Arc<Mutex<Memory>>,
}

processor!(MembershipSync, MembershipPolicy, MembershipSync, "members", [usernames, memory]);

impl MembershipSync {
    /// Gives people their names with `usernames`, where the offering's policy leaves that to the provider.
    #[must_use]
    pub fn with_usernames(self, usernames: Arc<dyn UsernameBackend>) -> Self {
        self.edit(|inner| inner.usernames = Some(usernames))
    }

    fn concurrency(&self) -> usize {
        self.0.policy.concurrency.max(1)
    }

    /// What one run's calls to one side stop by.
    fn breaker(&self) -> Breaker {
        Breaker::new(self.concurrency().saturating_mul(2), self.environment().clone())
    }

    fn environment(&self) -> &Environment {
        self.0.served.waldur.environment()
    }

    /// Looks at, or into, what is remembered. Never held over an await.
    fn remember<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut self.0.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the error says that this server does not offer the call; notes it.
    fn is_missing(&self, error: &Error) -> bool {
        if let Some(feature) = self.0.served.waldur.features().note(error) {
            self.remember(|memory| memory.learn_missing(feature));
        }
        error.kind() == ErrorKind::Unsupported
    }

    /// Whether this server has said that it does not have it.
    fn lacks(&self, feature: Feature) -> bool {
        self.0.served.waldur.features().is_missing(feature)
    }
}
