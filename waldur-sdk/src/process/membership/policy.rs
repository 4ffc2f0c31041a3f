//! How members are kept true: the knobs that the processor itself obeys.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    backend::LimitsAuthority,
    settings::{AgentSettings, OfferingSettings, UnmanagedUsers},
    types::Personal,
};

/// The knobs of a [`MembershipSync`](super::MembershipSync). The defaults are the Python agent's where it has them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MembershipPolicy {
    /// What becomes of people on the back end whom Waldur does not know. Default [`UnmanagedUsers::Remove`].
    pub unmanaged_users: UnmanagedUsers,
    /// Names that are never removed, whatever Waldur says: accounts of the site's own.
    pub protected_usernames: BTreeSet<Personal>,
    /// Only people who consented to the offering's terms get access (`fetch_consented_users_only`). Default no; a back
    /// end may ask for it by itself.
    pub consented_users_only: bool,
    /// When removals wait for a second look.
    pub removals: RemovalGuard,
    /// Whose limits win. Default: what the back end's capabilities say.
    pub limits_authority: Option<LimitsAuthority>,
    /// How many passes in a row a resource has to fail for good before Waldur is told. Default 3. Failures that may
    /// pass by themselves never count.
    pub failures_before_erred: u32,
    /// If a resource is well again, clear any error that it has, as the Python agent does, and not only an error that
    /// this processor reported. Default no.
    pub clear_any_error: bool,
    /// At most how often Waldur is told that a resource was seen. Default once an hour.
    pub last_sync_interval: Duration,
    /// Whether accounts whose deletion was requested are brought to *Deleted*. Default no.
    pub drive_deletion: bool,
    /// Whether Waldur is told the names that the back end itself gave to people
    /// ([`assigned_names`](crate::backend::MemberDirectory::assigned_names)), in place of those that it has
    /// (`username_reconciliation_enabled`). Default no.
    pub reconcile_usernames: bool,
    /// The mask of home directories that come with access (`default_homedir_umask`). Default none: the back end's own.
    pub homedir_umask: Option<u32>,
    /// Whether the process ends with the pass, so that there is no later pass for a second look. Removals that need one
    /// ([`RemovalGuard`]) are then looked at again at the end of the same pass, [`RemovalGuard::confirm_after`] after
    /// the first look, with lists that are all read anew. The bounds are the same. A removal is carried out only if
    /// both looks want it. If the deadline is earlier, there is no second look. Default no.
    ///
    /// Whatever else is remembered from pass to pass is lost:
    ///
    /// - no resource comes to `Erred`, since that takes several passes in a row;
    /// - a name that Waldur refused is offered again in every run;
    /// - the username back end is not told who left since the last run;
    /// - metadata whose names the back end has dropped since the last run stay.
    pub single_pass: bool,
    /// Tell Waldur what went wrong in technical words (`expose_backend_error_details`). Default yes.
    pub expose_error_details: bool,
    /// Resources, teams and accounts in work at once. Default 8.
    pub concurrency: usize,
    /// Report what would be done and write nothing, neither to Waldur nor to the back end. The username back end is
    /// only asked for a [preview](crate::backend::UsernameBackend::preview). Default no.
    pub dry_run: bool,
}

impl Default for MembershipPolicy {
    fn default() -> Self {
        Self {
            unmanaged_users: UnmanagedUsers::Remove,
            protected_usernames: BTreeSet::new(),
            consented_users_only: false,
            removals: RemovalGuard::default(),
            limits_authority: None,
            failures_before_erred: 3,
            clear_any_error: false,
            last_sync_interval: Duration::from_secs(60 * 60),
            drive_deletion: false,
            reconcile_usernames: false,
            homedir_umask: None,
            single_pass: false,
            expose_error_details: true,
            concurrency: 8,
            dry_run: false,
        }
    }
}

impl MembershipPolicy {
    /// What the settings file says, and the defaults for everything that it does not know.
    pub fn from_settings(agent: &AgentSettings, offering: &OfferingSettings) -> Self {
        Self {
            unmanaged_users: offering.unmanaged_users,
            protected_usernames: offering.protected_users.clone(),
            consented_users_only: offering.backend_settings.core.fetch_consented_users_only,
            reconcile_usernames: offering.username_reconciliation_enabled,
            homedir_umask: Some(offering.backend_settings.core.default_homedir_umask),
            expose_error_details: agent.expose_backend_error_details,
            ..Self::default()
        }
    }
}

/// When removals wait for a second look: a list may be wrong although the server said that it is whole (core.md §3.4;
/// faults.md rows 108, 152).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemovalGuard {
    /// Up to so many removals from one resource are carried out at once, if the team is not empty. Default 5.
    pub free: usize,
    /// More than `free` are carried out at once if they are at most this share of those who have access, in percent.
    /// Default 20. The same bounds hold for all resources of a pass together.
    pub percent: u8,
    /// How long after the first look the second one may come. Default 60 s; an earlier pass does not count. With zero,
    /// the look that precedes every removal is enough. Programs that run once and end need
    /// [`MembershipPolicy::single_pass`].
    pub confirm_after: Duration,
}

impl Default for RemovalGuard {
    fn default() -> Self {
        Self { free: 5, percent: 20, confirm_after: Duration::from_secs(60) }
    }
}
