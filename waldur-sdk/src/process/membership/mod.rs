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
/// One pass reads lists in bulk and resources in portions, one team for each project, compares, and writes only what
/// differs. What is in step is kept so as it is seen; a resource about which something is to be written waits until all
/// were seen, and is read once more first, in its [lane](super::Lanes): what the lists said may be old by then. Its team
/// is read again with it if anybody is to be removed or the team is old, and in any case if the members were settled by
/// a newer team meanwhile, after an event say. Only the roles of those who keep their access are brought in line by the
/// lists as they are, where none of that holds.
///
/// Before anybody is removed, the accounts in question are listed again too, and whether another resource has the
/// back-end id by now; before anybody comes by a list of accounts that is old, who is locked out by now. A pass that
/// changes nothing asks for none of that.
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
/// # What nobody loses access by
/// A list that is not proven whole; an empty team, or many at once, seen only once ([`RemovalGuard`]); an account of a
/// service or of a course; a protected name; a failed reading; one look alone, or one at a single resource whose
/// back-end id another has. Removals that are held are in the report.
///
/// # What one process does not see of another
/// Lanes, and by which team the members of a resource were settled last, are known to one process. Where events go to
/// another process than the passes, a pass may bring somebody's roles in line by a team that is as old as its portion
/// (seconds, for some hundred resources) and has been overtaken: a role that just went may come back until the next
/// pass. Access does not: that is decided by what is read again, and whoever has none gets none with a role
/// ([`MemberDirectory::reconcile`](crate::backend::MemberDirectory::reconcile)). Clones of one processor have no such
/// gap.
///
/// # What fells a resource
/// Only failures of the back end that do not pass by themselves, three passes in a row. Its `Erred` is taken back when
/// the resource is well again, if it was this processor that reported it.
///
/// # What ends a pass early
/// A side that is down, or refuses our credentials ([`Breaker`]): what was not begun by then is deferred, and comes first
/// in the next pass, as does what a deadline or a stop left over.
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
