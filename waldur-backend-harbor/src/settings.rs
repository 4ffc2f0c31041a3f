//! `backend_settings` of a Harbor offering (harbor.md §1).

use std::time::Duration;

use waldur_sdk::{
    rest::{BaseUrl, PlainHttp},
    settings::{Read, Section},
    types::{Limit, SecretString, WaldurAmount},
};

use crate::client::Role;

/// Settings of the back end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HarborSettings {
    /// `harbor_url`: where Harbor is, with or without `/api/v2.0`. Required. Plain `http` is warned of. Customers are
    /// shown this address, as the page of their project and for `docker login`: it must be the one that they can reach.
    pub url: BaseUrl,
    /// `robot_username`: a robot account of the system, or a local administrator (harbor.md §7). Required.
    pub username: String,
    /// `robot_password`: required.
    pub password: SecretString,
    /// `default_storage_quota_gb`: the limit of a resource that was ordered without one, in GiB, or in what
    /// `storage_bytes_per_unit` makes of them, whatever the component's `unit_factor`; -1 for none. Default 10.
    pub default_limit: Limit,
    /// `oidc_group_prefix`: before the project's slug in the name of its group. Default `waldur-`; none is warned of.
    pub group_prefix: String,
    /// `allocation_prefix`: before the resource's slug in the name of its project. Default none, which is warned of.
    pub allocation_prefix: String,
    /// `project_role_id`: what the group may do in the project. Default 2, developer. 1, administrator, is warned of.
    pub role: Role,
    /// `verify_ssl`: whether Harbor's certificate is verified. Default true.
    pub verify_ssl: bool,
    /// `timeout`: the time limit of a call, 1 to 3600 s. Default 30 s.
    pub timeout: Duration,
    /// `force_delete_repositories`: whether terminating a resource deletes its images, too. Default false: the order
    /// fails while there are any.
    pub force_delete_repositories: bool,
    /// `storage_bytes_per_unit`: how many bytes one unit has, before the component's `unit_factor`. Default 1024³.
    pub bytes_per_unit: u64,
    /// Whether the default limit was chosen by somebody.
    pub(crate) chooses_default: bool,
}

const GROUP_PREFIX: &str = "waldur-";
const ROLE: Role = Role::DEVELOPER;
const TIMEOUT: u64 = 30;
const BYTES_PER_UNIT: u64 = 1 << 30;

impl HarborSettings {
    /// The settings that every Harbor needs, and the defaults of the others.
    ///
    /// ```
    /// use waldur_backend_harbor::{HarborBackend, HarborSettings};
    /// use waldur_sdk::{
    ///     rest::{Http, HttpOptions},
    ///     settings::{AccountingType, Component, Components},
    /// };
    ///
    /// let url = "https://harbor.example.com".parse()?;
    /// let settings = HarborSettings::new(url, "robot$waldur", "…").with_allocation_prefix("waldur-");
    /// let components: Components = [Component::new("storage", AccountingType::Limit)].into_iter().collect();
    /// let http = Http::connect(&HttpOptions::default())?;
    /// let backend = HarborBackend::new(http, settings, &components)?;
    /// # drop(backend); Ok::<(), waldur_sdk::Error>(())
    /// ```
    pub fn new(url: BaseUrl, username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self {
            url: without_api(url),
            username: username.into(),
            password: password.into(),
            default_limit: Limit::At(WaldurAmount::from(10_u32)),
            group_prefix: GROUP_PREFIX.to_owned(),
            allocation_prefix: String::new(),
            role: ROLE,
            verify_ssl: true,
            timeout: Duration::from_secs(TIMEOUT),
            force_delete_repositories: false,
            bytes_per_unit: BYTES_PER_UNIT,
            chooses_default: false,
        }
    }

    /// Replaces [`Self::default_limit`]. A back end whose component it does not fit cannot be made.
    #[must_use]
    pub fn with_default_limit(mut self, limit: Limit) -> Self {
        (self.default_limit, self.chooses_default) = (limit, true);
        self
    }

    /// Replaces [`Self::group_prefix`].
    #[must_use]
    pub fn with_group_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.group_prefix = prefix.into();
        self
    }

    /// Replaces [`Self::allocation_prefix`].
    #[must_use]
    pub fn with_allocation_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.allocation_prefix = prefix.into();
        self
    }

    /// Replaces [`Self::role`].
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Replaces [`Self::timeout`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Replaces [`Self::bytes_per_unit`].
    #[must_use]
    pub fn with_bytes_per_unit(mut self, bytes: u64) -> Self {
        self.bytes_per_unit = bytes;
        self
    }

    /// Turns [`Self::force_delete_repositories`] on: terminating a resource deletes all its images.
    #[must_use]
    pub fn with_forced_deletion(mut self) -> Self {
        self.force_delete_repositories = true;
        self
    }

    /// Reads the settings; for [`BackendSettings::read`](waldur_sdk::settings::BackendSettings::read).
    ///
    /// # Errors
    /// When a key is missing or wrong. All problems are recorded.
    pub fn read(mut section: Section<'_>) -> Read<Self> {
        let url = section.key("harbor_url").blank_is_missing().base_url(PlainHttp::Allowed).given();
        let url = present(&mut section, "harbor_url", url);
        let username = section.key("robot_username").blank_is_missing().text();
        let username = username.check("must not contain ':'", |name| !name.contains(':')).given();
        let username = present(&mut section, "robot_username", username);
        let password = section.key("robot_password").blank_is_missing().secret().given();
        let password = present(&mut section, "robot_password", password);
        let default_limit = section.key("default_storage_quota_gb").integer(-1_i64..);
        let default_limit = default_limit.check("must be greater than 0, or -1 for no limit", |limit| *limit != 0);
        let default_limit = default_limit.given();
        let group_prefix = section.key("oidc_group_prefix").text().or(GROUP_PREFIX.to_owned());
        if group_prefix.trim().is_empty() {
            let text = "is empty: a project has the group of the identity provider that is called like its slug, \
                        whoever is in it";
            section.warn("oidc_group_prefix", text);
        }
        let allocation_prefix = section.key("allocation_prefix").text().or(String::new());
        if allocation_prefix.trim().is_empty() {
            section.warn("allocation_prefix", "is empty: projects are named among everybody's on the registry");
        }
        let role = section.key("project_role_id").integer(..);
        let role = role.try_map(|number: i64| Role::new(number).map_err(|_| ROLE_RULE)).or(ROLE);
        if role == Role::ADMIN {
            section.warn("project_role_id", ADMIN_WARNING);
        }
        let timeout = section.key("timeout").integer(1..=3600_u64).or(TIMEOUT);
        let force_delete_repositories = section.key("force_delete_repositories").boolean().or(false);
        if force_delete_repositories {
            section.warn("force_delete_repositories", "terminating a resource deletes all its images");
        }
        let bytes_per_unit = section.key("storage_bytes_per_unit").integer(1..=1_u64 << 50).or(BYTES_PER_UNIT);
        let unverified = "Harbor's certificate is not verified: anybody on the way can take the password";
        let verify_ssl = section.verify_ssl(unverified);
        if section.key("soft_delete").boolean().or(false) {
            section
                .refuse("soft_delete", "closes a resource by a limit of 0, which Harbor does not have; leave it out");
        }
        section.finish()?;
        let settings = Self {
            group_prefix,
            allocation_prefix: allocation_prefix.trim().to_owned(),
            role,
            verify_ssl,
            timeout: Duration::from_secs(timeout),
            force_delete_repositories,
            bytes_per_unit,
            ..Self::new(url?, username?, password?)
        };
        Ok(match default_limit? {
            None => settings,
            Some(-1) => settings.with_default_limit(Limit::Unlimited),
            Some(limit) => settings.with_default_limit(Limit::At(WaldurAmount::from(limit))),
        })
    }
}

/// What follows from giving customers the role that may change the entries of ours.
pub(crate) const ADMIN_WARNING: &str = "customers are administrators of their projects: they can add members, and remove \
                                        or replace the entry that says whose a project is";

const ROLE_RULE: &str = "must be 1 (admin), 2 (developer), 3 (guest), 4 (maintainer) or 5 (limited guest)";

/// The Python plugin's words for a key that is not there; whoever watches its logs looks for them.
fn present<T>(section: &mut Section<'_>, key: &'static str, given: Read<Option<T>>) -> Read<T> {
    given?.ok_or_else(|| section.refuse(key, "Missing required setting"))
}

/// Takes the API's own path off an address, which is added again.
fn without_api(url: BaseUrl) -> BaseUrl {
    if url.as_url().path().trim_end_matches('/').ends_with("/api/v2.0") {
        url.without_trailing_segment("v2.0").without_trailing_segment("api")
    } else {
        url
    }
}
