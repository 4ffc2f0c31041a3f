//! What the gateway answers. Unknown members are ignored; a member of a wrong type fails its row.

use std::{collections::BTreeMap, fmt, num::NonZeroU32};

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use waldur_sdk::{Result, open_enum, types::lenient};

use crate::{
    metering::current::{Held, unknown},
    s3::{Quota, S3Key, Tenant, Uid},
};

/// How many buckets a user may own (radosgw-api.md §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaxBuckets {
    /// Any number. 0 on the wire.
    Unlimited,
    /// None at all. Negative on the wire.
    Forbidden,
    /// At most this many.
    AtMost(NonZeroU32),
}

impl MaxBuckets {
    /// The number on the wire.
    pub fn wire(self) -> i64 {
        match self {
            Self::Unlimited => 0,
            Self::Forbidden => -1,
            Self::AtMost(limit) => i64::from(limit.get()),
        }
    }
}

impl<'de> Deserialize<'de> for MaxBuckets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        if number < 0 {
            return Ok(Self::Forbidden);
        }
        let limit = u32::try_from(number).map_err(|_| {
            serde::de::Error::invalid_value(serde::de::Unexpected::Signed(number), &"a number of 32 bits")
        })?;
        Ok(NonZeroU32::new(limit).map_or(Self::Unlimited, Self::AtMost))
    }
}

open_enum! {
    /// What a capability is about.
    pub enum CapKind {
        /// Users, their keys and quotas.
        Users = "users",
        /// Buckets and their statistics.
        Buckets = "buckets",
        /// Metadata, which includes the full list of users.
        Metadata = "metadata",
        /// The usage log.
        Usage = "usage",
        /// Zones.
        Zone = "zone",
    }
}

open_enum! {
    /// What a capability allows.
    pub enum CapPerm {
        /// Reading. On users this shows every user's secret keys.
        Read = "read",
        /// Changing.
        Write = "write",
        /// Both.
        All = "*",
    }
}

/// A capability of an administrator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[non_exhaustive]
pub struct Cap {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: CapKind,
    /// What it allows.
    pub perm: CapPerm,
}

impl Cap {
    /// A capability.
    pub fn new(kind: CapKind, perm: CapPerm) -> Self {
        Self { kind, perm }
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.kind, self.perm)
    }
}

/// What is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Stored {
    /// Logical bytes.
    pub size: u64,
    /// Bytes with each object rounded up to 4096.
    #[serde(default)]
    pub size_actual: u64,
    /// Objects; parts of unfinished uploads and every version count.
    pub num_objects: u64,
}

/// A user without its keys, so that a reader of users does not hold everybody's secrets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct User {
    /// The name without the tenant.
    pub user_id: String,
    /// The tenant, if any.
    pub tenant: Option<String>,
    /// The name for people.
    pub display_name: String,
    /// The e-mail address, in lower case; unique over all users.
    pub email: Option<String>,
    /// Whether every S3 call of this user is refused.
    pub suspended: bool,
    /// How many buckets it may own.
    pub max_buckets: MaxBuckets,
    /// Administrator's capabilities.
    pub caps: Vec<Cap>,
    /// The placement target of new buckets.
    pub default_placement: Option<String>,
    /// The storage class of new objects.
    pub default_storage_class: Option<String>,
    /// The quota over all buckets. `None` when the answer does not say: that is neither 0 nor unlimited.
    pub user_quota: Option<Quota>,
    /// The quota on each bucket; `None` as above.
    pub bucket_quota: Option<Quota>,
    /// What is stored, if it was asked for.
    pub stats: Option<Stored>,
}

impl User {
    /// Whether this is the user of that name.
    pub fn is(&self, uid: &Uid) -> bool {
        self.user_id == uid.name() && self.tenant.as_deref() == uid.tenant().map(Tenant::as_str)
    }
}

/// A user and its keys.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UserWithKeys {
    /// The user.
    pub user: User,
    /// The keys, ordered by access key; those of subusers too.
    pub keys: Vec<S3Key>,
}

impl UserWithKeys {
    /// The user's own keys, without those of subusers.
    pub fn own_keys(&self) -> impl Iterator<Item = &S3Key> {
        self.keys.iter().filter(|key| !key.user.contains(':'))
    }
}

#[derive(Deserialize)]
pub(super) struct WireUser {
    user_id: String,
    #[serde(default, deserialize_with = "lenient::text")]
    tenant: Option<String>,
    #[serde(default)]
    display_name: String,
    #[serde(default, deserialize_with = "lenient::text")]
    email: Option<String>,
    #[serde(deserialize_with = "flag")]
    suspended: bool,
    max_buckets: MaxBuckets,
    #[serde(default, deserialize_with = "lenient::or_default")]
    caps: Vec<Cap>,
    #[serde(default, deserialize_with = "lenient::text")]
    default_placement: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    default_storage_class: Option<String>,
    user_quota: Option<Quota>,
    bucket_quota: Option<Quota>,
    stats: Option<Stored>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    keys: Vec<S3Key>,
}

/// `0`/`1` or a boolean; whether a user is suspended is never guessed.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    lenient::boolean(deserializer)?.ok_or_else(|| serde::de::Error::custom("must not be null"))
}

impl From<WireUser> for UserWithKeys {
    fn from(wire: WireUser) -> Self {
        let user = User {
            user_id: wire.user_id,
            tenant: wire.tenant,
            display_name: wire.display_name,
            email: wire.email,
            suspended: wire.suspended,
            max_buckets: wire.max_buckets,
            caps: wire.caps,
            default_placement: wire.default_placement,
            default_storage_class: wire.default_storage_class,
            user_quota: wire.user_quota,
            bucket_quota: wire.bucket_quota,
            stats: wire.stats,
        };
        Self { user, keys: wire.keys }
    }
}

/// A bucket and what it holds, right at once (radosgw-api.md §5).
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Bucket {
    /// The name without the tenant.
    pub bucket: String,
    /// The tenant, if any.
    #[serde(default, deserialize_with = "lenient::text")]
    pub tenant: Option<String>,
    /// The owner, `tenant$uid` in a tenant.
    pub owner: String,
    /// The gateway's id of the bucket; another one after the bucket was deleted and made again.
    #[serde(default)]
    pub id: String,
    /// The bucket's own quota.
    pub bucket_quota: Option<Quota>,
    /// What it holds by category (`rgw.main`, `rgw.multimeta`). `None` when the answer does not say.
    pub usage: Option<BTreeMap<String, Stored>>,
}

impl Bucket {
    /// What the bucket holds: category `rgw.main`. A bucket that never held an object has no categories and holds
    /// nothing; `None` when the answer did not say.
    pub fn stored(&self) -> Option<Stored> {
        Some(self.usage.as_ref()?.get("rgw.main").copied().unwrap_or_default())
    }
}

/// Whose a bucket is and what it holds: all that metering needs. If what it holds cannot be read, the owner still can.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct BucketUsage {
    /// The owner, `tenant$uid` in a tenant.
    pub owner: String,
    #[serde(default)]
    usage: Option<Readable<BTreeMap<String, Readable<Stored>>>>,
}

/// Something, or anything else.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Readable<T> {
    Yes(T),
    No(IgnoredAny),
}

impl BucketUsage {
    /// What the bucket holds, as [`Bucket::stored`].
    ///
    /// # Errors
    /// `Inconsistent` when the answer does not say, or says what cannot be.
    pub fn held(&self) -> Result<Held> {
        let unsaid = || unknown("the gateway does not say what a bucket holds");
        let Some(Readable::Yes(usage)) = &self.usage else { return Err(unsaid()) };
        match usage.get("rgw.main") {
            None => Ok(Held::default()),
            Some(Readable::Yes(stored)) => Held::new(stored.size, stored.num_objects),
            Some(Readable::No(_)) => Err(unsaid()),
        }
    }
}

/// Traffic as the usage log has it: no stored bytes. Written by the gateway in intervals.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct UsageLog {
    /// By user, bucket and hour.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub entries: Vec<UserTraffic>,
    /// By user.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub summary: Vec<TrafficSummary>,
}

/// The traffic of one user.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct UserTraffic {
    /// The user, `tenant$uid` in a tenant.
    pub user: String,
    /// By bucket and hour.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub buckets: Vec<BucketTraffic>,
}

/// The traffic of one bucket in one hour.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct BucketTraffic {
    /// The bucket; empty for calls on the service, `-` for failed calls on what does not exist.
    pub bucket: String,
    /// The beginning of the hour, in seconds since 1970.
    pub epoch: i64,
    /// By kind of call.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub categories: Vec<Traffic>,
}

/// The sum of one user's traffic.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct TrafficSummary {
    /// The user, `tenant$uid` in a tenant.
    pub user: String,
    /// By kind of call.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub categories: Vec<Traffic>,
    /// Over all kinds of calls.
    pub total: Traffic,
}

/// Calls of one kind.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Traffic {
    /// `get_obj`, `put_obj`…; empty for a total.
    #[serde(default)]
    pub category: String,
    /// Bytes to the user.
    pub bytes_sent: u64,
    /// Bytes from the user.
    pub bytes_received: u64,
    /// Calls.
    pub ops: u64,
    /// Calls that succeeded.
    pub successful_ops: u64,
}
