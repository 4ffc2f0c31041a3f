//! Buckets (radosgw-api.md §5).

use http::Method;
use serde::de::DeserializeOwned;
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{BadRow, Call, Page, Pager},
};

use super::{
    BucketName, Quota, RadosGwClient, Uid, error,
    model::{Bucket, BucketUsage},
    quotas,
};

const TEMPLATE: &str = "/bucket";

/// A listing of one user's buckets comes in one answer: 1200 are 865 kB.
const USER_LISTING: usize = 64 * 1024 * 1024;

/// A listing of all buckets is not kept, so only what never ends is too long: this is 4 million buckets.
const EVERYBODYS_LISTING: usize = u32::MAX as usize;

/// A uid that nobody has. Whose buckets are asked for, the gateway answers an empty list.
const NOBODY: &str = "waldur-sdk-nobody";

/// Calls on buckets.
#[derive(Clone, Copy, Debug)]
pub struct Buckets<'a>(pub(super) &'a RadosGwClient);

impl Buckets<'_> {
    /// The names of a user's buckets.
    ///
    /// # Errors
    /// `NotFound` when the user does not exist. The gateway itself answers an empty list then, so an empty list costs
    /// one more call.
    pub async fn names_of_user(&self, uid: &Uid) -> Result<Vec<String>> {
        let call = self.call(Method::GET, "buckets.names_of_user").query("uid", uid).max_body(USER_LISTING);
        let names: Vec<String> = call.send_json().await?;
        if names.is_empty() {
            prove_user(self.0, uid, "buckets.names_of_user").await?;
        }
        Ok(names)
    }

    /// A user's buckets with what they hold, right at once. A list of one page, since the gateway does not cut it.
    ///
    /// Fails with `NotFound` when the user does not exist, as [`Self::names_of_user`].
    pub fn of_user(&self, uid: &Uid) -> Pager<Bucket> {
        let (client, uid) = (self.0.clone(), uid.clone());
        Pager::new(key, move |_only_one| {
            let (client, uid) = (client.clone(), uid.clone());
            async move {
                let call = client.buckets().call(Method::GET, "buckets.of_user").query("uid", &uid);
                let page = page(call.query("stats", true).max_body(USER_LISTING)).await?;
                if page.items.is_empty() && page.bad.is_empty() {
                    prove_user(&client, &uid, "buckets.of_user").await?;
                }
                Ok(page)
            }
        })
    }

    /// Adds up what everybody's buckets hold, one by one while the list arrives ([`Call::fold_rows`]): about 1 KB for
    /// each bucket is sent, and one bucket at a time is kept.
    ///
    /// # Errors
    /// Also for a list that was cut short.
    pub async fn fold_all<A>(
        &self,
        begin: impl Fn() -> A + Send + Sync + 'static,
        each: impl Fn(&mut A, Result<BucketUsage, BadRow>) + Send + Sync + 'static,
    ) -> Result<A>
    where
        A: Send + 'static,
    {
        self.fold_all_within(EVERYBODYS_LISTING, begin, each).await
    }

    /// As [`Self::fold_all`], of a list of so many bytes at the most.
    ///
    /// # Errors
    /// `TooLarge` for a longer one.
    pub async fn fold_all_within<A>(
        &self,
        bytes: usize,
        begin: impl Fn() -> A + Send + Sync + 'static,
        each: impl Fn(&mut A, Result<BucketUsage, BadRow>) + Send + Sync + 'static,
    ) -> Result<A>
    where
        A: Send + 'static,
    {
        let call = self.call(Method::GET, "buckets.fold_all").query("stats", true);
        call.bulk().max_body(bytes.min(EVERYBODYS_LISTING)).fold_rows("bucket", begin, each).await
    }

    /// As [`Self::fold_all`], for the buckets of one user, each as a [`BucketUsage`] or a [`Bucket`]. A user that does
    /// not exist has no buckets here, either.
    ///
    /// # Errors
    /// As [`Self::fold_all`].
    pub async fn fold_of_user<T, A>(
        &self,
        uid: &Uid,
        begin: impl Fn() -> A + Send + Sync + 'static,
        each: impl Fn(&mut A, Result<T, BadRow>) + Send + Sync + 'static,
    ) -> Result<A>
    where
        T: DeserializeOwned + 'static,
        A: Send + 'static,
    {
        let call = self.call(Method::GET, "buckets.fold_of_user").query("uid", uid).query("stats", true);
        call.bulk().fold_rows("bucket", begin, each).await
    }

    /// Everybody's buckets with what they hold. A list of one page of about 1 KB a bucket.
    pub fn all(&self) -> Pager<Bucket> {
        let client = self.0.clone();
        Pager::new(key, move |_only_one| {
            page(client.buckets().call(Method::GET, "buckets.all").query("stats", true).bulk())
        })
    }

    /// One bucket with what it holds; `None` when the gateway says that it does not exist. One more call makes sure of
    /// that, and of every `NotFound` below.
    ///
    /// # Errors
    /// Everything else.
    pub async fn get(&self, bucket: &BucketName) -> Result<Option<Bucket>> {
        let call = self.call(Method::GET, "buckets.get").query("bucket", bucket).query("stats", true);
        match self.sure(call.send_json().await).await {
            Ok(bucket) => Ok(Some(bucket)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes an empty bucket.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` with [`error::BUCKET_NOT_EMPTY`].
    pub async fn delete(&self, bucket: &BucketName) -> Result<()> {
        let call = self.call(Method::DELETE, "buckets.delete").query("bucket", bucket).query("purge-objects", false);
        self.sure(call.send_unit().await).await
    }

    /// Deletes a bucket with **all its objects**, inside the request.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_with_objects(&self, bucket: &BucketName) -> Result<()> {
        let call = self
            .call(Method::DELETE, "buckets.delete_with_objects")
            .query("bucket", bucket)
            .query("purge-objects", true)
            .timeout(self.0.purge_timeout)
            .not_idempotent();
        self.sure(call.send_unit().await).await
    }

    /// Hands a bucket to another user.
    ///
    /// # Errors
    /// `NotFound` when the bucket or the user does not exist.
    pub async fn link(&self, bucket: &BucketName, uid: &Uid) -> Result<()> {
        let call = self.call(Method::PUT, "buckets.link").query("bucket", bucket).query("uid", uid);
        self.sure(self.0.write(uid, call).await).await
    }

    /// Replaces the quota of one bucket, whatever its owner's quotas say.
    ///
    /// # Errors
    /// `NotFound` when the bucket does not exist; `Unsupported` for [`Quota::check_on_raw`].
    pub async fn set_quota(&self, bucket: &BucketName, owner: &Uid, quota: Quota) -> Result<()> {
        let call = self.call(Method::PUT, "buckets.set_quota").query("quota", "");
        let call = quotas::add_to(call.query("uid", owner).query("bucket", bucket), quota)?;
        self.sure(self.0.write(owner, call).await).await
    }

    /// Passes an outcome on, a missing bucket only if the admin API is there to say so: at a wrong path it is S3 that
    /// answers, in the same words, and means the path.
    async fn sure<T>(&self, outcome: Result<T>) -> Result<T> {
        if outcome.as_ref().is_err_and(|error| error.code() == Some(error::NO_SUCH_BUCKET)) {
            let call = self.call(Method::GET, "buckets.prove").query("uid", NOBODY).must_exist();
            let _none: Vec<String> = call.send_json().await?;
        }
        outcome
    }

    fn call(self, method: Method, operation: &'static str) -> Call {
        self.0.call(method, operation, TEMPLATE)
    }
}

fn key(bucket: &Bucket) -> String {
    format!("{}/{}", bucket.tenant.as_deref().unwrap_or_default(), bucket.bucket)
}

async fn page(call: Call) -> Result<Page<Bucket>> {
    let (rows, _headers) = call.send_rows("bucket").await?;
    Ok(rows.into_page(None))
}

async fn prove_user(client: &RadosGwClient, uid: &Uid, operation: &'static str) -> Result<()> {
    match client.users().get(uid).await? {
        Some(_) => Ok(()),
        None => Err(Error::new(ErrorKind::NotFound, "the user does not exist")
            .with_code(error::NO_SUCH_USER)
            .with_operation(operation)),
    }
}
