//! What a membership synchronisation came to.

use std::fmt;

use crate::{
    backend::{LimitsAuthority, Status},
    client::{Feature, Resource},
    error::Error,
    process::{FollowUp, UsernameReport, Warning, failure::write_error},
    rest::BadRow,
    types::{BackendId, Limit, Personal, ProjectUuid, ResourceUuid, UserUuid},
};

/// The report of one pass.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MembershipReport {
    /// One entry for each resource that has a back-end id, in the order of their ids.
    pub resources: Vec<ResourceSync>,
    /// What came of giving people their names.
    pub usernames: UsernameReport,
    /// Rows of the listing of resources that could not be read.
    pub unreadable: Vec<BadRow>,
    /// Why the listing of resources is not proven whole, if it is not. The resources that came were processed.
    pub listing_gap: Option<Error>,
    /// What went wrong beside the resources.
    pub warnings: Vec<Warning>,
    /// What this Waldur turned out not to have. Each feature is reported once in the life of a client and its clones;
    /// [`Feature::consequence`] says what is left out from then on.
    pub missing_features: Vec<Feature>,
    /// Why nothing was done: the back end's preflight said that it is not ready.
    pub not_ready: Option<Error>,
}

impl MembershipReport {
    /// How many resources came to an outcome that `wanted` accepts.
    pub fn count(&self, wanted: impl Fn(&SyncOutcome) -> bool) -> usize {
        self.resources.iter().filter(|resource| wanted(&resource.outcome)).count()
    }

    /// Whether everything was read, and every resource is in step with nothing left over.
    pub fn is_clean(&self) -> bool {
        self.unreadable.is_empty()
            && self.listing_gap.is_none()
            && self.warnings.is_empty()
            && self.not_ready.is_none()
            && self.usernames.is_clean()
            && self.resources.iter().all(ResourceSync::is_clean)
    }

    /// What the caller must still see to, of all resources.
    pub fn follow_ups(&self) -> impl Iterator<Item = FollowUp> + '_ {
        let unfinished = |resource: &&ResourceSync| resource.outcome.is_unfinished() || resource.held.is_some();
        self.resources
            .iter()
            .filter(unfinished)
            .map(|resource| FollowUp::SyncMembers { resource: resource.resource, project: resource.project })
    }
}

/// What became of one resource. In a dry run, what would have become of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResourceSync {
    /// The resource.
    pub resource: ResourceUuid,
    /// Its name.
    pub name: String,
    /// Its project.
    pub project: Option<ProjectUuid>,
    /// Its back-end id.
    pub backend_id: Option<BackendId>,
    /// What came of it.
    pub outcome: SyncOutcome,
    /// Who was given access, by the name that the back end knows.
    pub added: Vec<Personal>,
    /// Who lost it.
    pub removed: Vec<Personal>,
    /// Removals that were not carried out, and why.
    pub held: Option<HeldRemovals>,
    /// Members of the team who have no access, and why.
    pub skipped: Vec<SkippedMember>,
    /// How many people whom Waldur does not know were left alone.
    pub unmanaged: usize,
    /// What else was changed, or seen to differ.
    pub changes: Vec<Change>,
    /// What went wrong beside the outcome.
    pub warnings: Vec<Warning>,
}

impl ResourceSync {
    pub(super) fn new(row: &Resource) -> Self {
        Self {
            name: row.name.clone().unwrap_or_default(),
            project: row.project_uuid,
            backend_id: row.backend_id.clone(),
            ..Self::of(row.uuid, SyncOutcome::Synced)
        }
    }

    /// Of a resource of which nothing else is known.
    pub(crate) fn of(resource: ResourceUuid, outcome: SyncOutcome) -> Self {
        Self {
            resource,
            name: String::new(),
            project: None,
            backend_id: None,
            outcome,
            added: Vec::new(),
            removed: Vec::new(),
            held: None,
            skipped: Vec::new(),
            unmanaged: 0,
            changes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Whether it is in step and nothing is left to do.
    pub fn is_clean(&self) -> bool {
        matches!(self.outcome, SyncOutcome::Synced) && self.held.is_none() && self.warnings.is_empty()
    }

    /// Whether anything was changed, on either side.
    pub fn has_changed(&self) -> bool {
        let changed = |change: &Change| !matches!(change, Change::LimitsDiffer { .. });
        !self.added.is_empty() || !self.removed.is_empty() || self.changes.iter().any(changed)
    }
}

/// The end of one resource in one pass.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SyncOutcome {
    /// In step.
    Synced,
    /// The back end has no such object. Nothing was done: only an order, or a forced resynchronisation, makes one.
    Missing,
    /// The object of that id is somebody else's. Nothing was done.
    Foreign,
    /// Not to be kept in step: because of its state, or because it has no back-end id yet.
    NotHandled,
    /// Something failed that may pass by itself. The state of the resource stays, the next pass tries again.
    Deferred(Error),
    /// Something failed for good, in so many passes in a row. Waldur has not been told yet.
    Failing(Error, u32),
    /// It failed for good too often: the resource is `Erred`.
    Erred(Error),
}

impl SyncOutcome {
    /// Whether another pass has to see to it.
    pub fn is_unfinished(&self) -> bool {
        matches!(self, Self::Deferred(_) | Self::Failing(..) | Self::Erred(_))
    }
}

/// In `{:#}` errors come with their causes.
impl fmt::Display for SyncOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synced => f.write_str("in step"),
            Self::Missing => f.write_str("not on the back end"),
            Self::Foreign => f.write_str("belongs to somebody else"),
            Self::NotHandled => f.write_str("left alone in its state"),
            Self::Deferred(error) => write_error(f, "deferred", error),
            Self::Failing(error, times) => write_error(f, format_args!("failing ({times})"), error),
            Self::Erred(error) => write_error(f, "erred", error),
        }
    }
}

/// Removals that were not carried out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HeldRemovals {
    /// Who would have lost access.
    pub usernames: Vec<Personal>,
    /// Why they did not.
    pub reason: HoldReason,
}

/// Why people were not removed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HoldReason {
    /// The list from which the removals follow is not proven whole.
    Incomplete(Error),
    /// The team came back empty. They are carried out once that is seen again.
    EmptyTeam,
    /// Too many of those who have access would go at once. They are carried out once that is seen again.
    TooMany {
        /// Who would go.
        removals: usize,
        /// Who has access.
        present: usize,
    },
    /// Too many would go at once, over all resources together. They are carried out once that is seen again.
    TooManyOverall,
}

/// Names nobody. In `{:#}` the error comes with its causes.
impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete(error) => write_error(f, "a list is not proven whole", error),
            Self::EmptyTeam => f.write_str("the team came back empty; believed once it is seen again"),
            Self::TooMany { removals, present } => {
                write!(f, "{removals} of {present} would go at once; believed once it is seen again")
            }
            Self::TooManyOverall => f.write_str("too many would go at once; believed once it is seen again"),
        }
    }
}

/// A member of the team without access, or somebody who was left out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedMember {
    /// Who.
    pub user: UserUuid,
    /// Why.
    pub reason: SkipReason,
}

/// Why a member of the team has no access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// There is no name yet by which the back end would know the person.
    NoName,
    /// The person is locked out of the offering.
    Restricted,
    /// The account at the offering is being removed, or gone.
    Leaving,
    /// It could not be read whether the person is locked out.
    Unknown,
    /// Another member has the same name.
    SameName,
    /// The person has not consented to the offering's terms, and only those who have get access
    /// ([`MembershipPolicy::consented_users_only`](super::MembershipPolicy::consented_users_only)). Reported only for
    /// people who lose access because of it: Waldur leaves everybody without consent out of the team.
    NoConsent,
}

/// Something that was changed beside members, or seen to differ.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// The object was paused, downscaled or restored.
    Status(Status),
    /// Metadata were published.
    Metadata,
    /// Limits were set to those of the other side.
    Limits(LimitsAuthority),
    /// A limit differs and nobody has the authority to say which is right.
    LimitsDiffer {
        /// The component.
        component: String,
        /// What Waldur says.
        waldur: Limit,
        /// What the back end says.
        backend: Limit,
    },
    /// The limits of a user were set or taken away.
    UserLimits(Personal),
    /// Roles, or what depends on them, were corrected.
    Reconciled(Personal),
    /// The last day was corrected in Waldur.
    EndDate,
    /// The name on the system behind the back end was corrected in Waldur.
    EffectiveId,
    /// What Waldur is told about the access of members was corrected.
    Statuses,
    /// Waldur was told that the resource was seen.
    LastSync,
    /// The resource is `OK` again.
    Recovered,
}
