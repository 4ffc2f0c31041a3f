//! What both flavours share: names, key pairs, quotas, and signatures.

mod ids;
mod key;
mod mint;
mod quota;
mod sigv4;
mod tenant;
pub(crate) mod xml;

pub use self::{
    ids::{AccessKeyId, BucketName, ListedUid, MAX_NAME, Tenant, Uid},
    key::S3Key,
    quota::{Quota, QuotaObjects, QuotaSize, Quotas},
    sigv4::SigV4,
};

pub(crate) use self::{
    ids::{check as check_name, checked, has_name_characters},
    sigv4::seconds_ahead,
    tenant::{OwnBuckets, greet},
};
