//! Quotas of users (croit-api.md §2). croit keeps sizes in whole KiB, rounded up.

use http::Method;
use waldur_sdk::Result;

use super::{CroitClient, model::WireQuota, name};
use crate::s3::{Quota, Uid};

/// Calls on the quotas of a user. They are read with the [users](super::Users::all).
#[derive(Clone, Copy, Debug)]
pub struct QuotaCalls<'a>(pub(super) &'a CroitClient);

impl QuotaCalls<'_> {
    /// Replaces the quota over all buckets.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_user(&self, uid: &Uid, quota: Quota) -> Result<()> {
        self.set(uid, "quotas.set_user", "/s3/users/{uid}/quota", quota).await
    }

    /// Replaces the quota on each bucket.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_bucket(&self, uid: &Uid, quota: Quota) -> Result<()> {
        self.set(uid, "quotas.set_bucket", "/s3/users/{uid}/bucket-quota", quota).await
    }

    async fn set(&self, uid: &Uid, operation: &'static str, template: &'static str, quota: Quota) -> Result<()> {
        let call = self.0.call(Method::PUT, operation, template, &[name(uid)?]).json(&WireQuota::from(quota));
        self.0.write(uid, operation, call).await
    }
}
