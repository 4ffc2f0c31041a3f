//! Deleting a user of croit's with all its data: croit has no call for that, so its buckets are emptied through S3 with
//! a key of the user's own.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use waldur_sdk::{Error, ErrorKind, Result, backend::OpContext};

use super::{Held, croit::buckets};
use crate::{
    croit::CroitClient,
    s3::{OwnBuckets, S3Key, Uid},
    settings::S3Settings,
};

/// How many buckets are emptied at a time.
const AT_A_TIME: usize = 4;

/// May be dropped and cancelled between any two calls; what is gone by then is gone, and another run goes on.
pub(super) async fn purge(client: &CroitClient, cx: &OpContext, uid: &Uid, settings: &S3Settings) -> Result<()> {
    let held = buckets(client, uid).await?;
    if !held.is_empty() {
        let key = own_key(client, uid).await?;
        let own = client.own_buckets(&settings.endpoint, &key, settings.timeout)?;
        let total = held.iter().try_fold(0_u64, |sum, bucket| sum.checked_add(bucket.stored?.1));
        let progress = Progress { cx, done: AtomicU64::new(0), total };
        let emptied = held.iter().map(|bucket| empty(&own, &progress, bucket));
        let emptied: Vec<_> = emptied.collect();
        stream::iter(emptied).buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
    }
    cx.checkpoint()?;
    client.users().delete(uid).await.map_err(still_used)
}

/// Whatever is not empty after it was emptied: somebody still writes, and another run takes that too.
fn still_used(error: Error) -> Error {
    if error.kind() == ErrorKind::Conflict { error.with_retryable(true) } else { error }
}

struct Progress<'a> {
    cx: &'a OpContext,
    done: AtomicU64,
    total: Option<u64>,
}

impl Progress<'_> {
    fn add(&self, objects: usize) {
        let objects = u64::try_from(objects).unwrap_or(u64::MAX);
        let done = self.done.fetch_add(objects, Ordering::Relaxed).saturating_add(objects);
        // Old versions may make it more than was counted.
        self.cx.advance("purge", done, self.total.map(|total| total.max(done)));
    }
}

/// Empties a bucket from its beginning, again and again until nothing is listed, and deletes it.
async fn empty(own: &OwnBuckets, progress: &Progress<'_>, bucket: &Held) -> Result<()> {
    match empty_existing(own, progress, &bucket.name).await {
        Err(gone) if gone.is_not_found() => Ok(()),
        outcome => outcome.map_err(still_used),
    }
}

async fn empty_existing(own: &OwnBuckets, progress: &Progress<'_>, bucket: &str) -> Result<()> {
    let mut before = Vec::new();
    loop {
        progress.cx.checkpoint()?;
        let versions = own.some_versions(bucket).await?;
        if versions.is_empty() {
            return own.delete_bucket(bucket).await;
        }
        if versions == before {
            let text = format!("{bucket}: the storage says that it deleted objects, and still lists them");
            return Err(Error::new(ErrorKind::Inconsistent, text));
        }
        progress.cx.checkpoint()?;
        own.delete(bucket, &versions).await?;
        progress.add(versions.len());
        before = versions;
    }
}

/// A key that opens the user's buckets. One who has none is given one: it goes with the user.
async fn own_key(client: &CroitClient, uid: &Uid) -> Result<S3Key> {
    if let Some(key) = client.keys().list(uid).await?.into_iter().next() {
        return Ok(key);
    }
    let key = S3Key::mint(uid)?;
    client.keys().put(uid, &key).await.map_err(|error| {
        let text = format!("{uid} has no key to delete its data with, and none can be made");
        Error::new(error.kind(), text).with_operation(error.operation()).with_source(error)
    })?;
    Ok(key)
}
