//! Buckets (croit-api.md §2).

use http::Method;
use waldur_sdk::{
    Result,
    rest::{BadRow, Pager},
};

use super::{CroitClient, model::Bucket, name};
use crate::s3::Uid;

/// A listing of one user's buckets comes in one answer.
const USER_LISTING: usize = 64 * 1024 * 1024;

/// Calls on buckets.
#[derive(Clone, Copy, Debug)]
pub struct Buckets<'a>(pub(super) &'a CroitClient);

impl Buckets<'_> {
    /// A user's buckets with what they hold. A list of one page, since croit knows no others.
    ///
    /// Fails with `NotFound` and the code [`NO_SUCH_USER`](super::error::NO_SUCH_USER) when the user does not exist.
    ///
    /// # Errors
    /// For a user in a tenant.
    pub fn of_user(&self, uid: &Uid) -> Result<Pager<Bucket>> {
        let call = self.0.call(Method::GET, "buckets.of_user", "/s3/users/{uid}/buckets", &[name(uid)?]);
        let call = call.max_body(USER_LISTING);
        let key = |bucket: &Bucket| bucket.name.clone();
        Ok(Pager::new(key, move |_only_one| {
            let call = call.clone();
            async move { Ok(call.send_rows("bucket").await?.0.into_page(None)) }
        }))
    }

    /// As [`Self::of_user`], one by one while the list arrives.
    ///
    /// # Errors
    /// As of [`Self::of_user`]; also for a list that was cut short.
    pub async fn fold_of_user<A>(
        &self,
        uid: &Uid,
        begin: impl Fn() -> A + Send + Sync + 'static,
        each: impl Fn(&mut A, Result<Bucket, BadRow>) + Send + Sync + 'static,
    ) -> Result<A>
    where
        A: Send + 'static,
    {
        let call = self.0.call(Method::GET, "buckets.fold_of_user", "/s3/users/{uid}/buckets", &[name(uid)?]);
        call.max_body(USER_LISTING).fold_rows("bucket", begin, each).await
    }
}
