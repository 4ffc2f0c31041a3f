//! What croit answers. Unknown members are ignored; a member of a wrong type fails its row.

use serde::{Deserialize, Deserializer, Serialize};
use waldur_sdk::types::{Decimal, lenient};

use crate::s3::{Quota, QuotaObjects, QuotaSize};

/// A user, without its keys.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The name.
    pub uid: String,
    /// The name for people.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// The e-mail address, unique over all users.
    #[serde(default, deserialize_with = "lenient::text")]
    pub email: Option<String>,
    /// Whether it is locked out. croit's API only tells; it has no call to change it.
    #[serde(default, deserialize_with = "flag")]
    pub suspended: bool,
    /// Where its new buckets go.
    #[serde(default, deserialize_with = "lenient::text")]
    pub default_placement: Option<String>,
    /// The storage class of its new objects.
    #[serde(default, deserialize_with = "lenient::text")]
    pub default_storage_class: Option<String>,
    /// The quota over all its buckets; none where croit names none.
    #[serde(default, deserialize_with = "quota")]
    pub user_quota: Option<Quota>,
    /// The quota on each bucket; none where croit names none.
    #[serde(default, deserialize_with = "quota")]
    pub bucket_quota: Option<Quota>,
}

/// A bucket and what it holds.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// The name.
    #[serde(rename = "bucket")]
    pub name: String,
    /// The owner, where croit says.
    #[serde(default, deserialize_with = "lenient::text")]
    pub owner: Option<String>,
    /// What it holds. `None` for a bucket without statistics: that is not nothing.
    #[serde(default, rename = "usageSum")]
    pub stored: Option<Stored>,
}

/// What is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// Bytes.
    #[serde(deserialize_with = "amount")]
    pub size: u64,
    /// Objects.
    #[serde(deserialize_with = "amount")]
    pub num_objects: u64,
}

/// A quota as croit writes and reads it: a ceiling that is left out is none.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireQuota {
    #[serde(deserialize_with = "flag")]
    enabled: bool,
    #[serde(default, deserialize_with = "ceiling", skip_serializing_if = "Option::is_none")]
    max_size: Option<u64>,
    #[serde(default, deserialize_with = "ceiling", skip_serializing_if = "Option::is_none")]
    max_objects: Option<u64>,
}

impl From<Quota> for WireQuota {
    fn from(quota: Quota) -> Self {
        let (size, objects) = quota.effective();
        Self { enabled: quota.enabled, max_size: size.limit(), max_objects: objects.limit() }
    }
}

fn quota<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Quota>, D::Error> {
    let Some(wire) = Option::<WireQuota>::deserialize(deserializer)? else { return Ok(None) };
    let size = wire.max_size.map_or(Ok(QuotaSize::UNLIMITED), QuotaSize::at_most);
    let objects = wire.max_objects.map_or(Ok(QuotaObjects::UNLIMITED), QuotaObjects::at_most);
    let (size, objects) = (size.map_err(serde::de::Error::custom)?, objects.map_err(serde::de::Error::custom)?);
    Ok(Some(Quota { enabled: wire.enabled, ..Quota::new(size, objects) }))
}

/// A missing flag is `false`; one that is no flag is an error.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(lenient::boolean(deserializer)?.unwrap_or_default())
}

/// A ceiling: none when missing, `null` or negative.
fn ceiling<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match lenient::decimal(deserializer)? {
        Some(number) if !number.is_sign_negative() => whole(number).map(Some),
        _ => Ok(None),
    }
}

/// A number of bytes or objects. croit may write it with a fraction, which counts nothing.
fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    whole(lenient::decimal(deserializer)?.ok_or_else(|| serde::de::Error::custom("must not be null"))?)
}

fn whole<E: serde::de::Error>(number: Decimal) -> Result<u64, E> {
    u64::try_from(number.trunc()).map_err(|_| E::custom("must be a number from 0 to 2^64-1"))
}
