//! `backend_settings`: what the core reads of it (core.md §6.6), and the rest for the back end.

use serde_json::Value;

use super::{RawSettings, Read, Report, Section, Warning};
use crate::error::Result;

/// `backend_settings` of one offering: the keys that mean the same for every back end, and the whole map for the back
/// end's own reader.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackendSettings {
    /// The keys that the core interprets.
    pub core: CoreBackendSettings,
    /// The whole map. A back end reads its own keys from it, and may read a core key anew where its default differs.
    pub raw: RawSettings,
}

impl BackendSettings {
    /// Reads the core's keys of a tree, for a program that has no offering around it. `path` begins every path in
    /// errors.
    ///
    /// # Errors
    /// `Config` with all problems of the core's keys.
    pub fn from_value(path: &str, tree: &Value) -> Result<(Self, Vec<Warning>)> {
        let mut report = Report::default();
        let outcome = report.root(path, tree, Self::read_core);
        report.finish(outcome)
    }

    /// Reads the back end's own keys.
    ///
    /// # Errors
    /// `Config` with all problems that `read` found.
    pub fn read<T>(&self, read: impl FnOnce(Section<'_>) -> Read<T>) -> Result<(T, Vec<Warning>)> {
        self.raw.read(read)
    }

    pub(super) fn read_core(mut section: Section<'_>) -> Read<Self> {
        let core = CoreBackendSettings::read(&mut section);
        let raw = section.share()?;
        Ok(Self { core, raw })
    }
}

/// The keys of `backend_settings` that the core interprets (core.md §6.6).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CoreBackendSettings {
    /// `allocation_prefix`: before the slug in a resource's backend id. Default `""`.
    pub allocation_prefix: String,
    /// `project_prefix`: before the slug in a project's backend id. Default `""`.
    pub project_prefix: String,
    /// `customer_prefix`: before the slug in a customer's backend id. Default `""`.
    pub customer_prefix: String,
    /// `default_account`: the parent of accounts that have no other. Default `root`.
    pub default_account: String,
    /// `check_backend_id_uniqueness`: whether Waldur is asked if a backend id was ever used. Default false.
    pub check_backend_id_uniqueness: bool,
    /// `check_all_offerings`: whether it is asked for all offerings of the provider. Default false.
    pub check_all_offerings: bool,
    /// `backend_id_max_retries`: how many backend ids are tried, at least 1. Default 50.
    pub backend_id_max_retries: u32,
    /// `soft_delete`: whether terminating keeps the account and takes its limits away. Default false.
    pub soft_delete: bool,
    /// `default_homedir_umask`: octal text, 0 to 0777. Default `0077`. A number is taken as it is: in YAML 1.1, an
    /// unquoted `0077` *is* 63.
    pub default_homedir_umask: u32,
    /// `enable_user_homedir_account_creation`: default true.
    pub enable_user_homedir_account_creation: bool,
    /// `homedir_base_path`: default none.
    pub homedir_base_path: Option<String>,
    /// `homedir_quota`: default none.
    pub homedir_quota: Option<HomedirQuota>,
    /// `periodic_limits`: default none.
    pub periodic_limits: Option<PeriodicLimits>,
    /// `user_resolve_method`: how a federated back end finds a user. Default none.
    pub user_resolve_method: Option<String>,
    /// `fetch_consented_users_only`: default false.
    pub fetch_consented_users_only: bool,
    /// `ca_certificates`: the private authority of the back end's server, as PEM text, any number of certificates. They
    /// are trusted besides the system's, and [`BuildEnv::http`](crate::backend::BuildEnv::http) hands them on. Default
    /// none.
    pub ca_certificates: Option<String>,
}

impl CoreBackendSettings {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            allocation_prefix: section.key("allocation_prefix").text().or(String::new()),
            project_prefix: section.key("project_prefix").text().or(String::new()),
            customer_prefix: section.key("customer_prefix").text().or(String::new()),
            default_account: section.key("default_account").text().or("root".into()),
            check_backend_id_uniqueness: section.key("check_backend_id_uniqueness").boolean().or(false),
            check_all_offerings: section.key("check_all_offerings").boolean().or(false),
            backend_id_max_retries: section.key("backend_id_max_retries").integer(1..).or(50),
            soft_delete: section.key("soft_delete").boolean().or(false),
            default_homedir_umask: section.key("default_homedir_umask").octal(0o777).or(0o077),
            enable_user_homedir_account_creation: section
                .key("enable_user_homedir_account_creation")
                .boolean()
                .or(true),
            homedir_base_path: section.key("homedir_base_path").blank_is_missing().text().optional(),
            homedir_quota: section.key("homedir_quota").section(HomedirQuota::read).optional(),
            periodic_limits: section.key("periodic_limits").section(PeriodicLimits::read).optional(),
            user_resolve_method: section.key("user_resolve_method").blank_is_missing().text().optional(),
            fetch_consented_users_only: section.key("fetch_consented_users_only").boolean().or(false),
            ca_certificates: section
                .key("ca_certificates")
                .blank_is_missing()
                .text()
                .check("must be certificates as PEM text, not the name of a file", |text| text.contains(PEM))
                .optional(),
        }
    }
}

/// What every certificate in PEM begins with.
const PEM: &str = "-----BEGIN CERTIFICATE-----";

/// `homedir_quota`: the quota of a new home directory. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HomedirQuota {
    /// `provider`: required.
    pub provider: HomedirQuotaProvider,
    /// `max_bytes`
    pub max_bytes: Option<u64>,
    /// `max_files`
    pub max_files: Option<u64>,
    /// `mount_point`
    pub mount_point: Option<String>,
    /// `block_softlimit`
    pub block_softlimit: Option<u64>,
    /// `block_hardlimit`
    pub block_hardlimit: Option<u64>,
    /// `inode_softlimit`
    pub inode_softlimit: Option<u64>,
    /// `inode_hardlimit`
    pub inode_hardlimit: Option<u64>,
}

/// What enforces the quota of a home directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HomedirQuotaProvider {
    /// `ceph_xattr`: extended attributes of CephFS.
    CephXattr,
    /// `xfs`: project quotas of XFS.
    Xfs,
    /// `lustre`: quotas of Lustre.
    Lustre,
}

impl HomedirQuota {
    fn read(mut section: Section<'_>) -> Read<Self> {
        use HomedirQuotaProvider as Provider;
        const PROVIDERS: [(&str, Provider); 3] =
            [("ceph_xattr", Provider::CephXattr), ("xfs", Provider::Xfs), ("lustre", Provider::Lustre)];
        let provider = section.key("provider").one_of(&PROVIDERS).required();
        let max_bytes = section.key("max_bytes").integer(0..).optional();
        let max_files = section.key("max_files").integer(0..).optional();
        let mount_point = section.key("mount_point").blank_is_missing().text().optional();
        let block_softlimit = section.key("block_softlimit").integer(0..).optional();
        let block_hardlimit = section.key("block_hardlimit").integer(0..).optional();
        let inode_softlimit = section.key("inode_softlimit").integer(0..).optional();
        let inode_hardlimit = section.key("inode_hardlimit").integer(0..).optional();
        section.finish_strict()?;
        Ok(Self {
            provider: provider?,
            max_bytes,
            max_files,
            mount_point,
            block_softlimit,
            block_hardlimit,
            inode_softlimit,
            inode_hardlimit,
        })
    }
}

/// `periodic_limits`: limits that start anew with each period.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PeriodicLimits {
    /// `enabled`: default false.
    pub enabled: bool,
    /// The whole map, for the back end that carries them out.
    pub raw: RawSettings,
}

impl PeriodicLimits {
    fn read(mut section: Section<'_>) -> Read<Self> {
        let enabled = section.key("enabled").boolean().or(false);
        Ok(Self { enabled, raw: section.share()? })
    }
}
