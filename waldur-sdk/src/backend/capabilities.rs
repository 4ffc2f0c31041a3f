//! What a back end says about itself beside its methods and facets.

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
    /// How often the team is read while it comes back empty, before a create goes on without (`team_fetch_attempts`).
    /// 0 counts as 1. The pause between is 3 s.
    pub team_fetch_attempts: u32,
}

impl Capabilities {
    /// Usage may go down.
    #[must_use]
    pub const fn with_decreasing_usage(mut self) -> Self {
        self.decreasing_usage = true;
        self
    }

    /// Ping before every cycle.
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
}
