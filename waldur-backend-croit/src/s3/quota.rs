//! Quotas that the gateway cannot misread (radosgw-api.md §3).
//!
//! | sent | the gateway reads |
//! |---|---|
//! | something that is no number, a number from 2^63-1 up, a negative number | *unlimited* |
//! | 0 | *nothing at all* |

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use waldur_sdk::{Error, ErrorKind, Result};

/// The first number that the gateway turns into *unlimited* (recorded: t3_quota/030).
const TOO_LARGE: u64 = i64::MAX as u64;

macro_rules! ceilings {
    ($($(#[$doc:meta])* $name:ident, $unit:literal;)+) => {$(
        $(#[$doc])*
        ///
        /// Zero is a ceiling like any other: nothing may be stored.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(Option<u64>);

        impl $name {
            /// No ceiling.
            pub const UNLIMITED: Self = Self(None);

            /// At most `limit`.
            ///
            /// # Errors
            /// `InvalidRequest` from 2^63-1 up, which the gateway would store as unlimited.
            pub fn at_most(limit: u64) -> Result<Self> {
                if limit < TOO_LARGE {
                    Ok(Self(Some(limit)))
                } else {
                    let text = concat!("quota: the number of ", $unit, " must be less than 2^63-1");
                    Err(Error::new(ErrorKind::InvalidRequest, text))
                }
            }

            /// The ceiling, `None` when there is none.
            pub fn limit(self) -> Option<u64> {
                self.0
            }

            /// Whether there is no ceiling.
            pub fn is_unlimited(self) -> bool {
                self.0.is_none()
            }

            /// The number on the wire: -1 for no ceiling.
            pub fn wire(self) -> i64 {
                self.0.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(-1)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    Some(limit) => write!(f, concat!("{} ", $unit), limit),
                    None => f.write_str("unlimited"),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_i64(self.wire())
            }
        }

        /// Any negative number is unlimited; what is no 64-bit integer is an error, never a ceiling.
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self(u64::try_from(i64::deserialize(deserializer)?).ok()))
            }
        }
    )+};
}

ceilings! {
    /// How much may be stored, in bytes.
    QuotaSize, "bytes";
    /// How many objects may be stored.
    QuotaObjects, "objects";
}

/// A quota on a user as a whole, or on each bucket of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quota {
    /// Whether the gateway enforces it at all.
    pub enabled: bool,
    /// Whether replicas count as stored bytes.
    #[serde(default)]
    pub check_on_raw: bool,
    /// The ceiling of the size, exact to the byte.
    pub max_size: QuotaSize,
    /// The ceiling of the number of objects.
    pub max_objects: QuotaObjects,
}

impl Quota {
    /// No ceilings, not enforced: what a new user has (recorded: t3_quota/002).
    pub const UNLIMITED: Self = Self {
        enabled: false,
        check_on_raw: false,
        max_size: QuotaSize::UNLIMITED,
        max_objects: QuotaObjects::UNLIMITED,
    };

    /// A quota with these ceilings, enforced if there is one.
    pub fn new(max_size: QuotaSize, max_objects: QuotaObjects) -> Self {
        let enabled = !(max_size.is_unlimited() && max_objects.is_unlimited());
        Self { enabled, check_on_raw: false, max_size, max_objects }
    }

    /// The ceilings that are enforced: none when the quota is switched off.
    pub fn effective(self) -> (QuotaSize, QuotaObjects) {
        if self.enabled { (self.max_size, self.max_objects) } else { (QuotaSize::UNLIMITED, QuotaObjects::UNLIMITED) }
    }
}

/// Both quotas of a user, as `GET` without a `quota-type` answers and a JSON body sets (recorded: t3_quota/046).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quotas {
    /// What all buckets may hold together. Checked against cached statistics, so it can be late.
    pub user_quota: Quota,
    /// What each bucket may hold. Checked exactly; bounds nothing alone, since a user may have many buckets.
    pub bucket_quota: Quota,
}

impl Quotas {
    /// Two quotas.
    pub const fn new(user_quota: Quota, bucket_quota: Quota) -> Self {
        Self { user_quota, bucket_quota }
    }

    /// The same quota on the user and on each bucket (s3.md §5).
    pub const fn both(quota: Quota) -> Self {
        Self::new(quota, quota)
    }
}
