//! What a back end says about itself beside its methods and facets.

use crate::naming::Comparison;

/// Whose limits win where Waldur's and the back end's differ outside an order (core.md §3.7).
///
/// Limits change by orders. Where both sides differ without one, somebody changed a quota by hand, or a unit was read
/// wrongly; the numbers do not tell which. So nobody wins unless the back end says so. An agent that copied Waldur's
/// side by default would undo an administrator's decision; one that copied the back end's would sell what nobody
/// ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitsAuthority {
    /// Nobody: a difference is reported, and left.
    #[default]
    None,
    /// The back end: Waldur is told. For systems whose operators set quotas by hand on purpose.
    Backend,
    /// Waldur: the back end is set. For systems that nobody else is to change.
    Waldur,
}

/// Hints and permissions for the processors. Abilities that need code are facets instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Usage within a period may go down (`supports_decreasing_usage`): storage, not counters.
    pub decreasing_usage: bool,
    /// Ask [`ping`](super::ResourceBackend::ping) before listing orders, and list none when it fails
    /// (`supports_cycle_preflight`).
    pub preflight: bool,
    /// A create request needs the quotas of the plan; costs one call an order.
    pub plan_quotas: bool,
    /// A create request needs the SSH keys of the provider's users; costs one listing an order.
    pub ssh_keys: bool,
    /// How often the team is read while it comes back empty, before a create goes on without (`team_fetch_attempts`). 0
    /// counts as 1. Between two readings, the pause is
    /// [`OrderPolicy::team_fetch_delay`](crate::process::OrderPolicy::team_fetch_delay).
    pub team_fetch_attempts: u32,
    /// Whose limits win where both sides differ outside an order. Default nobody's.
    pub limits_authority: LimitsAuthority,
    /// Resources that are being created are kept in step as well, not only those that are `OK` or `Erred`
    /// (`handled_resource_states`).
    pub creating_resources: bool,
    /// People are known by their federated identity and not by their name at the offering: names in grants, plans and
    /// member lists are identities then (`user_resolve_method: identity_bridge`).
    pub identity_bridge: bool,
    /// Only people who consented to the offering's terms get access (`fetch_consented_users_only`).
    pub consented_users_only: bool,
    /// Resources of one project share their members: with [`consented_users_only`](Self::consented_users_only), a
    /// consent to any of the project's resources counts (`shared_project_membership`).
    pub shared_project_membership: bool,
    /// The back end decides by itself who is a member: nobody is added or removed, members are only reconciled
    /// (`skip_resource_team_diff`).
    pub skip_team_diff: bool,
    /// What providers are told of a project beside its name is needed
    /// ([`Surroundings::source_project`](super::Surroundings::source_project), `requires_source_project`); costs one
    /// call for each project in every pass.
    pub source_project: bool,
    /// The processor asks about a few hundred objects at a time ([`inspect`](super::ResourceBackend::inspect), the
    /// lists of members and of users' limits), and drops what it was told before it asks about the next. This saves
    /// memory: states of thousands of objects weigh more than the list they come from.
    ///
    /// For a back end that reads each object by calls of its own, and for one that keeps its listing for the pass
    /// ([`Inspection::pass`](super::Inspection::pass)). Any other is asked once in a pass, about all objects.
    pub in_portions: bool,
    /// The metadata of resources hold the ids of their objects, under names that end in `_id`. For systems that may
    /// give the name of an object to another one: if the id of what was measured
    /// ([`UsageReport::published_id`](super::UsageReport::published_id)) differs from the published one, its usage is
    /// not billed. Costs nothing but longer rows.
    pub published_ids: bool,
    /// The back end cannot tell the usage of a month that is over. Whoever wants to load such months is told so before
    /// anything is asked.
    pub no_history: bool,
    /// How this back end compares member names, for example without regard to case. Its lists of members and of users'
    /// limits are compared with Waldur's in the same way: then `Alice` on the back end is `alice` of Waldur, and nobody
    /// is added or removed. Default [`Comparison::Exact`]; the type for the names of a system knows it
    /// ([`KeycloakUsername::COMPARISON`](crate::naming::KeycloakUsername::COMPARISON)).
    pub member_names: Comparison,
}

impl Capabilities {
    /// Usage may go down.
    #[must_use]
    pub const fn with_decreasing_usage(mut self) -> Self {
        self.decreasing_usage = true;
        self
    }

    /// Keeps no history of usage.
    #[must_use]
    pub const fn without_history(mut self) -> Self {
        self.no_history = true;
        self
    }

    /// Ping before every pass.
    #[must_use]
    pub const fn with_preflight(mut self) -> Self {
        self.preflight = true;
        self
    }

    /// Needs plan quotas.
    #[must_use]
    pub const fn with_plan_quotas(mut self) -> Self {
        self.plan_quotas = true;
        self
    }

    /// Needs SSH keys.
    #[must_use]
    pub const fn with_ssh_keys(mut self) -> Self {
        self.ssh_keys = true;
        self
    }

    /// Reads the team up to `attempts` times.
    #[must_use]
    pub const fn with_team_fetch_attempts(mut self, attempts: u32) -> Self {
        self.team_fetch_attempts = attempts;
        self
    }

    /// Says whose limits win where both sides differ outside an order.
    #[must_use]
    pub const fn with_limits_authority(mut self, authority: LimitsAuthority) -> Self {
        self.limits_authority = authority;
        self
    }

    /// Keeps resources in step while they are being created.
    #[must_use]
    pub const fn with_creating_resources(mut self) -> Self {
        self.creating_resources = true;
        self
    }

    /// Knows people by their federated identity.
    #[must_use]
    pub const fn with_identity_bridge(mut self) -> Self {
        self.identity_bridge = true;
        self
    }

    /// Gives access only to people who consented.
    #[must_use]
    pub const fn with_consented_users_only(mut self) -> Self {
        self.consented_users_only = true;
        self
    }

    /// Shares members among the resources of a project.
    #[must_use]
    pub const fn with_shared_project_membership(mut self) -> Self {
        self.shared_project_membership = true;
        self
    }

    /// Needs what providers are told of a project.
    #[must_use]
    pub const fn with_source_project(mut self) -> Self {
        self.source_project = true;
        self
    }

    /// Is asked about a portion of its objects at a time.
    #[must_use]
    pub const fn with_portions(mut self) -> Self {
        self.in_portions = true;
        self
    }

    /// Publishes the ids of its objects.
    #[must_use]
    pub const fn with_published_ids(mut self) -> Self {
        self.published_ids = true;
        self
    }

    /// Compares the names of members so.
    #[must_use]
    pub const fn with_member_names(mut self, comparison: Comparison) -> Self {
        self.member_names = comparison;
        self
    }

    /// Decides by itself who is a member.
    #[must_use]
    pub const fn with_skip_team_diff(mut self) -> Self {
        self.skip_team_diff = true;
        self
    }
}
