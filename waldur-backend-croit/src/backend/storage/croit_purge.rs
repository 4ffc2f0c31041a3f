//! Deletes a croit user with all its data. croit has no call for that, so the buckets are emptied through S3 with a key
//! of the user's own.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use waldur_sdk::{Error, ErrorKind, Result, backend::OpContext};

use super::{
    Held,
    croit::{buckets, own_keys},
    still_used,
};
use crate::{
    croit::CroitClient,
    s3::{OwnBuckets, S3Key, Uid},
    settings::S3Settings,
};

/// How many buckets are emptied at a time.
const AT_A_TIME: usize = 4;

/// May be dropped and cancelled between any two calls; what is gone by then is gone, and another run goes on.
pub(super) async fn purge(client: &CroitClient, cx: &OpContext, uid: &Uid, settings: &S3Settings) -> Result<()> {
    // Before anything is destroyed: whose a bucket is shows by the names of everybody.
    let users = client.users().among_names([uid]).await?;
    let held = buckets(client, &users, uid).await?;
    if !held.is_empty() {
        let total = held.iter().try_fold(0_u64, |sum, bucket| sum.checked_add(bucket.stored?.1));
        let progress = Progress { cx, done: AtomicU64::new(0), total };
        let mut keys = some_keys(client, uid).await?.into_iter().peekable();
        while let Some(key) = keys.next() {
            let own = client.own_buckets(&settings.endpoint, &key, settings.timeout)?;
            match empty_all(&own, &progress, &held).await {
                // Another key of the user's may open what this one does not.
                Err(refused) if keys.peek().is_some() && is_refusal(&refused) => {}
                outcome => {
                    outcome?;
                    break;
                }
            }
        }
    }
    cx.checkpoint()?;
    client.users().delete(uid).await.map_err(still_used)
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::PermissionDenied)
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

async fn empty_all(own: &OwnBuckets, progress: &Progress<'_>, held: &[Held]) -> Result<()> {
    let emptied: Vec<_> = held.iter().map(|bucket| empty(own, progress, bucket)).collect();
    stream::iter(emptied).buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await.map(drop)
}

/// Empties a bucket from its beginning, again and again until nothing is listed, and deletes it.
async fn empty(own: &OwnBuckets, progress: &Progress<'_>, bucket: &Held) -> Result<()> {
    match empty_existing(own, progress, bucket).await {
        Err(gone) if gone.is_not_found() => Ok(()),
        outcome => outcome.map_err(still_used),
    }
}

async fn empty_existing(own: &OwnBuckets, progress: &Progress<'_>, held: &Held) -> Result<()> {
    let (bucket, mut before) = (held.name.as_str(), Vec::new());
    for _round in 0..rounds(held) {
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
    let text =
        format!("{bucket}: more than was counted; another run goes on, unless somebody stores as fast as it deletes");
    Err(Error::new(ErrorKind::Conflict, text))
}

/// How many lists of a thousand a bucket may fill in one run: what it held and as much again, in case it was not counted
/// yet. The user's keys hold until the user goes, so that it may be filled without end.
fn rounds(held: &Held) -> u64 {
    const UNCOUNTED: u64 = 100;
    held.stored.map_or(100 * UNCOUNTED, |(_bytes, objects)| (objects / 500).saturating_add(UNCOUNTED))
}

/// Keys that open the user's buckets, or some of them. One who has none is given one: it goes with the user.
async fn some_keys(client: &CroitClient, uid: &Uid) -> Result<Vec<S3Key>> {
    let keys = own_keys(client, uid).await?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    let key = S3Key::mint(uid)?;
    client.keys().put(uid, &key).await.map_err(|error| {
        let text = format!("{uid} has no key to delete its data with, and none can be made");
        Error::new(error.kind(), text).with_operation(error.operation()).with_source(error)
    })?;
    Ok(vec![key])
}
