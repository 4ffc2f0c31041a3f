//! Quotas of users (radosgw-api.md §3). There is no deletion: `DELETE ?quota` deletes the user.

use http::Method;
use waldur_sdk::{Error, ErrorKind, Result, rest::Call};

use super::{Quota, Quotas, RadosGwClient, Uid};

/// Calls on the quotas of a user.
#[derive(Clone, Copy, Debug)]
pub struct QuotaCalls<'a>(pub(super) &'a RadosGwClient);

impl QuotaCalls<'_> {
    /// Reads both quotas. [`Users::get`](super::Users::get) brings them too.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, uid: &Uid) -> Result<Quotas> {
        self.call(Method::GET, "quotas.get", uid).send_json().await
    }

    /// Replaces both quotas in one write.
    ///
    /// Measured on 16.2: without `quota-type` a JSON body sets both, exactly as given; a quota or ceiling that the
    /// body leaves out falls back to nothing at all (0), so everything is always sent. A gateway that does not take
    /// bodies (501, 405) is asked twice, one quota at a time.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set(&self, uid: &Uid, quotas: Quotas) -> Result<()> {
        let call = self.call(Method::PUT, "quotas.set", uid).json(&quotas);
        match self.0.write(uid, call).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                self.set_user(uid, quotas.user_quota).await?;
                self.set_bucket(uid, quotas.bucket_quota).await
            }
            outcome => outcome,
        }
    }

    /// Replaces the quota over all buckets.
    ///
    /// # Errors
    /// `NotFound`; `Unsupported` for [`Quota::check_on_raw`], which only [`Self::set`] can set.
    pub async fn set_user(&self, uid: &Uid, quota: Quota) -> Result<()> {
        self.set_one(uid, "quotas.set_user", "user", quota).await
    }

    /// Replaces the quota on each bucket.
    ///
    /// # Errors
    /// As [`Self::set_user`].
    pub async fn set_bucket(&self, uid: &Uid, quota: Quota) -> Result<()> {
        self.set_one(uid, "quotas.set_bucket", "bucket", quota).await
    }

    async fn set_one(&self, uid: &Uid, operation: &'static str, quota_type: &str, quota: Quota) -> Result<()> {
        let call = self.call(Method::PUT, operation, uid).query("quota-type", quota_type);
        self.0.write(uid, add_to(call, quota)?).await
    }

    fn call(self, method: Method, operation: &'static str, uid: &Uid) -> Call {
        self.0.call(method, operation, "/user").query("quota", "").query("uid", uid)
    }
}

/// Adds a quota as parameters: all three, always, since the gateway keeps what is not sent, and knows 0 for what was
/// never set.
pub(super) fn add_to(call: Call, quota: Quota) -> Result<Call> {
    if quota.check_on_raw {
        return Err(Error::unsupported("setting check_on_raw by a parameter"));
    }
    Ok(call
        .query("max-size", quota.max_size.wire())
        .query("max-objects", quota.max_objects.wire())
        .query("enabled", quota.enabled))
}
