//! How orders are processed: the knobs of the settings file that the processor itself obeys.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    process::retry::within_a_pass,
    rest::RetryPolicy,
    settings::{AgentSettings, OfferingSettings},
    types::Personal,
};

/// The knobs of an [`OrderProcessor`](super::OrderProcessor). The defaults are the Python agent's where it has them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OrderPolicy {
    /// Ask Waldur whether a new back-end id is free (`check_backend_id_uniqueness`). Default no.
    pub check_backend_id_uniqueness: bool,
    /// Ask about all offerings of the provider, not only this one (`check_all_offerings`). Default no.
    pub check_all_offerings: bool,
    /// How many candidates are tried for a new back-end id, where more than one is (`backend_id_max_retries`).
    /// Default 50.
    pub backend_id_max_retries: u32,
    /// Terminate takes everybody's access, sets all limits to zero and keeps the object (`soft_delete`). Default no.
    pub soft_delete: bool,
    /// Only people who consented to the offering's terms get access (`fetch_consented_users_only`). Default no; a back
    /// end may ask for it by itself.
    pub consented_users_only: bool,
    /// Names that keep their access whatever ends: accounts of the site's own (`protected_users`). Default none.
    pub protected_usernames: BTreeSet<Personal>,
    /// The mask of home directories that come with access (`default_homedir_umask`). Default none: the back end's own.
    pub homedir_umask: Option<u32>,
    /// Tell the customer what went wrong in technical words (`expose_backend_error_details`). Default yes.
    pub expose_error_details: bool,
    /// Orders in flight at once. Twice as many that fail in a row, with nothing else in between, count as an outage.
    /// Default 8.
    pub concurrency: usize,
    /// How often and how long a transient failure is tried again within one pass: 10 times within 60 s, pauses from
    /// 1 s doubling to at most 15 s, with jitter.
    pub retry: RetryPolicy,
    /// The pause between two readings of a team that comes back empty. Default 3 s.
    pub team_fetch_delay: Duration,
    /// Report what would be done and write nothing, neither to Waldur nor to the back end. Default no.
    pub dry_run: bool,
}

impl Default for OrderPolicy {
    fn default() -> Self {
        Self {
            check_backend_id_uniqueness: false,
            check_all_offerings: false,
            backend_id_max_retries: 50,
            soft_delete: false,
            consented_users_only: false,
            protected_usernames: BTreeSet::new(),
            homedir_umask: None,
            expose_error_details: true,
            concurrency: 8,
            retry: within_a_pass(),
            team_fetch_delay: Duration::from_secs(3),
            dry_run: false,
        }
    }
}

impl OrderPolicy {
    /// What the settings file says, and the defaults for everything that it does not know.
    pub fn from_settings(agent: &AgentSettings, offering: &OfferingSettings) -> Self {
        let core = &offering.backend_settings.core;
        Self {
            check_backend_id_uniqueness: core.check_backend_id_uniqueness,
            check_all_offerings: core.check_all_offerings,
            backend_id_max_retries: core.backend_id_max_retries,
            soft_delete: core.soft_delete,
            consented_users_only: core.fetch_consented_users_only,
            protected_usernames: offering.protected_users.clone(),
            homedir_umask: Some(core.default_homedir_umask),
            expose_error_details: agent.expose_backend_error_details,
            ..Self::default()
        }
    }
}
