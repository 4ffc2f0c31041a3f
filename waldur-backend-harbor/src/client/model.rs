//! What Harbor answers. Members that this client has no use for are left out; unknown is `None`, never 0.

use std::fmt;

use serde::{Deserialize, Deserializer};
use waldur_sdk::{
    Error, ErrorKind, Result, open_enum,
    types::{Personal, Timestamp, lenient},
};

use super::ids::{GroupId, MemberId, ProjectId, QuotaId, RobotId};

/// A project.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Project {
    /// Its number.
    #[serde(rename = "project_id")]
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// Its settings; all of them are text to Harbor.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub metadata: ProjectMetadata,
    /// How many repositories are in it.
    #[serde(default, deserialize_with = "count")]
    pub repo_count: Option<u64>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub creation_time: Option<Timestamp>,
    /// The vulnerabilities that do not count in it; `None` when Harbor did not show them, as in searches.
    #[serde(default, deserialize_with = "allowlist")]
    pub cve_allowlist: Option<Allowlist>,
}

impl Project {
    /// Whether everybody may pull from it; `None` when Harbor did not say.
    pub fn is_public(&self) -> Option<bool> {
        let public = self.metadata.public.as_deref()?;
        Some(public.eq_ignore_ascii_case("true") || public == "1")
    }
}

/// The settings of a project, as far as they are of interest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ProjectMetadata {
    /// Whether everybody may pull from it. Harbor takes any text here when it is changed, and only `true` means yes.
    #[serde(default, deserialize_with = "lenient::text")]
    pub public: Option<String>,
    /// Whether images are scanned as they come. Harbor takes any text here, and only `true` and `1` mean yes.
    #[serde(default, deserialize_with = "lenient::text")]
    pub auto_scan: Option<String>,
}

/// The vulnerabilities that do not count in a project, while it has a list of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowlist {
    /// When it ends, in seconds since 1970.
    pub expires_at: Option<i64>,
    /// Its entries.
    pub items: Vec<AllowlistItem>,
}

#[derive(Deserialize)]
struct WireAllowlist {
    #[serde(default)]
    expires_at: Option<i64>,
    #[serde(default)]
    items: Option<Vec<AllowlistItem>>,
    #[serde(default)]
    project_id: Option<i64>,
}

/// A list without entries is one that was shown only if it says whose it is (recorded: 2.9.0, a project and a search).
fn allowlist<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Allowlist>, D::Error> {
    let Some(wire) = Option::<WireAllowlist>::deserialize(deserializer)? else { return Ok(None) };
    let is_shown = wire.items.is_some() || wire.project_id.is_some_and(|id| id > 0);
    let list = Allowlist { expires_at: wire.expires_at, items: wire.items.unwrap_or_default() };
    Ok(is_shown.then_some(list))
}

/// An entry of an [`Allowlist`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct AllowlistItem {
    /// What it says: Harbor takes every text that is not blank.
    #[serde(default)]
    pub cve_id: String,
}

/// How much may be stored in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StorageLimit(i64);

impl StorageLimit {
    /// The most that Harbor takes: 1024 TiB.
    pub const MAX: u64 = 1 << 50;

    /// Any amount.
    pub const UNLIMITED: Self = Self(-1);

    /// At most so many bytes.
    ///
    /// # Errors
    /// `Config` for 0, which Harbor refuses in a change and takes for its own default in a creation, and beyond
    /// [`Self::MAX`].
    pub fn at_most(bytes: u64) -> Result<Self> {
        let wire = i64::try_from(bytes).ok().filter(|_| (1..=Self::MAX).contains(&bytes));
        wire.map(Self).ok_or_else(|| Error::config("storage limit: must be 1 byte to 1024 TiB"))
    }

    /// The number of bytes; `None` when there is no limit.
    pub fn bytes(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }

    /// As Harbor writes it: -1 for no limit.
    pub const fn wire(self) -> i64 {
        self.0
    }

    fn read(wire: i64) -> Option<Self> {
        (wire == -1 || wire > 0).then_some(Self(wire))
    }
}

impl fmt::Display for StorageLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes() {
            Some(bytes) => write!(f, "{bytes} bytes"),
            None => f.write_str("unlimited"),
        }
    }
}

/// A quota.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// Its number.
    pub id: QuotaId,
    /// The number of its project, if Harbor still knows it.
    pub project: Option<ProjectId>,
    /// The name of its project.
    pub project_name: Option<String>,
    /// How much may be stored; `None` when Harbor does not say, or says what cannot be.
    pub limit: Option<StorageLimit>,
    /// How many bytes are stored; `None` when Harbor does not say.
    pub used: Option<u64>,
}

#[derive(Default, Deserialize)]
pub(super) struct Storage {
    #[serde(default)]
    storage: Option<i64>,
}

impl Storage {
    fn limit(&self) -> Option<StorageLimit> {
        StorageLimit::read(self.storage?)
    }

    fn used(&self) -> Option<u64> {
        u64::try_from(self.storage?).ok()
    }
}

#[derive(Default, Deserialize)]
struct WireRef {
    #[serde(default)]
    id: Option<ProjectId>,
    #[serde(default, deserialize_with = "lenient::text")]
    name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireQuota {
    id: QuotaId,
    #[serde(default, rename = "ref", deserialize_with = "lenient::or_default")]
    reference: WireRef,
    #[serde(default, deserialize_with = "lenient::or_default")]
    hard: Storage,
    #[serde(default, deserialize_with = "lenient::or_default")]
    used: Storage,
}

impl From<WireQuota> for Quota {
    fn from(wire: WireQuota) -> Self {
        Self {
            id: wire.id,
            project: wire.reference.id,
            project_name: wire.reference.name,
            limit: wire.hard.limit(),
            used: wire.used.used(),
        }
    }
}

/// What is in a project, all together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// How many repositories are in it.
    pub repo_count: Option<u64>,
    /// How much may be stored; `None` when the account may not know it, or there are no quotas.
    pub limit: Option<StorageLimit>,
    /// How many bytes are stored; `None` as for [`Self::limit`].
    pub used: Option<u64>,
}

#[derive(Default, Deserialize)]
struct WireSummaryQuota {
    #[serde(default, deserialize_with = "lenient::or_default")]
    hard: Storage,
    #[serde(default, deserialize_with = "lenient::or_default")]
    used: Storage,
}

#[derive(Deserialize)]
pub(super) struct WireSummary {
    #[serde(default, deserialize_with = "count")]
    repo_count: Option<u64>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    quota: WireSummaryQuota,
}

impl From<WireSummary> for Summary {
    fn from(wire: WireSummary) -> Self {
        Self { repo_count: wire.repo_count, limit: wire.quota.hard.limit(), used: wire.quota.used.used() }
    }
}

/// What kind of group it is, and so whose members are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct GroupType(i64);

impl GroupType {
    /// A group of LDAP.
    pub const LDAP: Self = Self(1);
    /// A group that an authenticating proxy tells of.
    pub const HTTP: Self = Self(2);
    /// A group that an identity provider tells of, in the claim that Harbor is set up to read.
    pub const OIDC: Self = Self(3);

    /// The number on the wire.
    pub const fn wire(self) -> i64 {
        self.0
    }
}

/// A user group. Names are unique, whatever the type.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Group {
    /// Its number.
    pub id: GroupId,
    /// Its name; case counts.
    #[serde(rename = "group_name")]
    pub name: String,
    /// Whose members are in it.
    #[serde(rename = "group_type")]
    pub kind: GroupType,
}

open_enum! {
    /// Who has a role in a project.
    pub enum EntityType {
        /// A person.
        User = "u",
        /// A group.
        Group = "g",
    }
}

/// What members of a project may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct Role(i64);

impl Role {
    /// Everything within the project.
    pub const ADMIN: Self = Self(1);
    /// Push and pull.
    pub const DEVELOPER: Self = Self(2);
    /// Pull, and see everything.
    pub const GUEST: Self = Self(3);
    /// Push, pull, delete and scan.
    pub const MAINTAINER: Self = Self(4);
    /// Pull, and see little.
    pub const LIMITED_GUEST: Self = Self(5);

    /// The role of that number.
    ///
    /// # Errors
    /// `Config` for a number that no role has. (Harbor takes some of them without a word, and nobody can do anything
    /// then; recorded: 2.9.0-oidc/028.)
    pub fn new(number: i64) -> Result<Self> {
        if (1..=5).contains(&number) { Ok(Self(number)) } else { Err(Error::config("role: must be 1 to 5")) }
    }

    /// The number on the wire.
    pub const fn wire(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ADMIN => f.write_str("1 (admin)"),
            Self::DEVELOPER => f.write_str("2 (developer)"),
            Self::GUEST => f.write_str("3 (guest)"),
            Self::MAINTAINER => f.write_str("4 (maintainer)"),
            Self::LIMITED_GUEST => f.write_str("5 (limited guest)"),
            Self(other) => other.fmt(f),
        }
    }
}

/// Somebody with a role in a project.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Member {
    /// The number of the membership.
    pub id: MemberId,
    /// Whether it is a person or a group.
    #[serde(rename = "entity_type")]
    pub kind: EntityType,
    /// The number of the person or the group.
    pub entity_id: i64,
    /// The name of the person or the group.
    #[serde(rename = "entity_name")]
    pub name: Personal,
    /// The role; of a kind that this version may not know.
    #[serde(rename = "role_id")]
    pub role: Role,
}

impl Member {
    /// Whether this is the group of that name, and no person who is called like it.
    pub fn is_group(&self, name: &str) -> bool {
        self.kind == EntityType::Group && self.name.as_str() == name
    }
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Repository {
    /// `project/a/b`.
    pub name: String,
    /// How many artifacts are in it.
    #[serde(default, deserialize_with = "count")]
    pub artifact_count: Option<u64>,
}

/// How Harbor says that it is. It answers 200 when it is not well, too, and asks nobody who they are.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// `healthy` or `unhealthy`.
    #[serde(default)]
    pub status: String,
    /// Its parts.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub components: Vec<ComponentHealth>,
}

impl Health {
    /// Whether everything is well.
    pub fn is_healthy(&self) -> bool {
        self.status == "healthy"
    }

    /// The names of the parts that are not well.
    pub fn sick(&self) -> impl Iterator<Item = &str> {
        self.components.iter().filter(|part| part.status != "healthy").map(|part| part.name.as_str())
    }
}

/// A part of Harbor.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ComponentHealth {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// `healthy` or `unhealthy`.
    #[serde(default)]
    pub status: String,
}

/// What Harbor says about itself. Callers without rights are told less.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct SystemInfo {
    /// `v2.12.0-abcdef`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub harbor_version: Option<String>,
    /// `oidc_auth`, `db_auth`, `ldap_auth`…
    #[serde(default, deserialize_with = "lenient::text")]
    pub auth_mode: Option<String>,
    /// `everyone` or `adminonly`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub project_creation_restriction: Option<String>,
    /// Whether nothing can be written now.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub read_only: Option<bool>,
    /// Where images are pushed to.
    #[serde(default, deserialize_with = "lenient::text")]
    pub registry_url: Option<String>,
}

impl SystemInfo {
    /// Major and minor version, if the version is one.
    pub fn version(&self) -> Option<(u32, u32)> {
        let mut parts = self.harbor_version.as_deref()?.trim_start_matches('v').split(['.', '-']);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

/// What there is on a Harbor, as far as the account may see it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Private projects.
    #[serde(default)]
    pub private_project_count: Option<u64>,
    /// All projects.
    #[serde(default)]
    pub total_project_count: Option<u64>,
    /// All repositories.
    #[serde(default)]
    pub total_repo_count: Option<u64>,
    /// Bytes stored; only administrators are told.
    #[serde(default)]
    pub total_storage_consumption: Option<u64>,
}

/// A robot account.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Robot {
    /// Its number.
    pub id: RobotId,
    /// Its login, with the prefix.
    pub name: String,
    /// Whether it is switched off.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub disable: Option<bool>,
    /// When it expires, in seconds since 1970; -1 for never.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// What it may do.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub permissions: Vec<RobotPermission>,
}

/// What a robot account may do in one place.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct RobotPermission {
    /// `system` or `project`.
    #[serde(default)]
    pub kind: String,
    /// `/`, the name of a project, or `*` for all of them.
    #[serde(default)]
    pub namespace: String,
    /// What it may do there.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub access: Vec<Access>,
}

/// One thing that may be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Access {
    /// To what.
    #[serde(default)]
    pub resource: String,
    /// What.
    #[serde(default)]
    pub action: String,
}

/// A number of things; what is none is unknown.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<i64>::deserialize(deserializer)?.and_then(|number| u64::try_from(number).ok()))
}

/// Makes sure that the answer is about what was asked for.
pub(super) fn the_same(what: &str, asked: &str, answered: &str) -> Result<()> {
    if asked == answered {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::WrongContent, format!("asked for {what} {asked}, another one was answered")))
    }
}
