//! What users store now, by RadosGW.
//!
//! Few users are read one by one. Many are read by one listing of everybody's buckets, which is added up while it arrives,
//! so that a report costs one call and flat memory. Where others have very many more buckets, or the gateway cannot list
//! them all, users are read one by one again, and the listing is tried once in a while ([`Listing`]). A listing shows nothing of a user without buckets, and nothing of one
//! that does not exist: that few of those are there is proven by reading them, that many are by the list of users, for as
//! long as its pages cost less.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::stream::{self, StreamExt as _};
use waldur_sdk::{Error, ErrorClass, ErrorKind, Result, rest::BadRow};

use super::{ByUser, no_such_user};
use crate::{
    backend::AT_A_TIME,
    metering::current::{Held, Sums},
    radosgw::{BucketUsage, PageSize, RadosGwClient},
    s3::Uid,
};

/// So many users are read one by one: two rounds of calls, whatever else is stored on the gateway.
const FEW: usize = 2 * AT_A_TIME;

/// So many users without buckets are read for each page of the list of users: what a page costs in the time of calls.
const READS_PER_PAGE: usize = AT_A_TIME;

/// For each user that is asked about a listing may have so many buckets. A bucket takes a gateway 1.2 ms (1200 of them
/// 1385 ms), a call for one user 5 ms; of such calls several are made at a time.
const BUCKETS_PER_USER: usize = 8;

/// After so many reports a listing that was not worth its time is tried again.
const TRIED_AGAIN: u32 = 30;

/// A listing of which nothing is known yet is read up to so many bytes: about 100,000 buckets. What is longer costs more
/// than asking for each user, unless there are very many of them.
const FIRST_LISTING: usize = 64 * 1024 * 1024;

/// So many bytes more for each user that is asked about: of 64 buckets and more.
const BYTES_PER_USER: usize = 64 * 1024;

/// What a listing of everybody's buckets was worth the last time. Lost with the process.
#[derive(Debug, Default)]
pub(in crate::backend) struct Listing(Mutex<Option<Known>>);

#[derive(Clone, Copy, Debug)]
struct Known {
    buckets: usize,
    /// For so many reports that stands.
    reports: u32,
}

impl Listing {
    /// Whether to list everybody's buckets for so many users.
    fn is_worth_it(&self, users: usize) -> bool {
        let mut known = self.known();
        let Some(Known { buckets, reports }) = *known else { return true };
        if buckets <= users.saturating_mul(BUCKETS_PER_USER) || reports == 0 {
            return true;
        }
        *known = Some(Known { buckets, reports: reports - 1 });
        false
    }

    /// Notices how many buckets there are; of a listing that was not read to its end, more than any number.
    fn learn(&self, buckets: usize) {
        *self.known() = Some(Known { buckets, reports: TRIED_AGAIN });
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What users store now. One that is not named does not exist.
///
/// # Errors
/// When nothing is known of anybody.
pub(super) async fn held(gateway: &RadosGwClient, listing: &Listing, uids: BTreeSet<Uid>) -> Result<ByUser> {
    if uids.len() <= FEW || !listing.is_worth_it(uids.len()) {
        return Ok(one_by_one(gateway, uids).await);
    }
    let sums = match everybodys(gateway, &uids).await {
        Ok((sums, buckets)) => {
            listing.learn(buckets);
            sums
        }
        Err(error) if may_do_for_each(&error) => return instead(gateway, listing, uids, error).await,
        Err(error) => return Err(error),
    };
    // It may be the bucket of any of them. Whose it is shows where each is asked for its own.
    if sums.stray().is_some() {
        return Ok(one_by_one(gateway, uids).await);
    }
    let mut known: BTreeMap<String, Option<Result<Held>>> = sums.into_users().collect();
    let (mut by_user, mut idle) = (ByUser::new(), BTreeSet::new());
    for uid in uids {
        match known.remove(&uid.to_string()).flatten() {
            Some(held) => drop(by_user.insert(uid, held)),
            None => drop(idle.insert(uid)),
        }
    }
    by_user.extend(prove(gateway, idle).await);
    Ok(by_user)
}

/// What the gateway, or a proxy before it, cannot do for all together it may do for each.
fn may_do_for_each(error: &Error) -> bool {
    use ErrorKind as K;
    matches!(error.kind(), K::TooLarge | K::Unsupported | K::Timeout | K::Server | K::Unavailable)
}

/// Users one by one, where listing all buckets failed. When the first few of them cannot be had either, it is the gateway
/// that is not well, and the others are not asked for.
async fn instead(
    gateway: &RadosGwClient,
    listing: &Listing,
    mut uids: BTreeSet<Uid>,
    failure: Error,
) -> Result<ByUser> {
    let first: BTreeSet<Uid> = std::iter::from_fn(|| uids.pop_first()).take(AT_A_TIME).collect();
    let mut by_user = one_by_one(gateway, first).await;
    let is_down = |held: &Result<Held>| held.as_ref().is_err_and(|error| error.class() == ErrorClass::Transient);
    if by_user.values().all(is_down) {
        return Err(failure);
    }
    listing.learn(usize::MAX);
    by_user.extend(one_by_one(gateway, uids).await);
    Ok(by_user)
}

/// One listing of all buckets there are, and how many it had.
async fn everybodys(gateway: &RadosGwClient, uids: &BTreeSet<Uid>) -> Result<(Sums, usize)> {
    let empty = Sums::of(uids.iter().map(Uid::to_string));
    let bytes = FIRST_LISTING.max(uids.len().saturating_mul(BYTES_PER_USER));
    let each = |(sums, buckets): &mut (Sums, usize), row| {
        *buckets += 1;
        add(sums, row);
    };
    gateway.buckets().fold_all_within(bytes, move || (empty.clone(), 0), each).await
}

fn add(sums: &mut Sums, row: Result<BucketUsage, BadRow>) {
    match row {
        Ok(row) => sums.add(&row.owner, row.held()),
        Err(bad) => sums.add_stray(bad.error),
    }
}

async fn one_by_one(gateway: &RadosGwClient, uids: BTreeSet<Uid>) -> ByUser {
    let reads: Vec<_> = uids.into_iter().map(|uid| async move { (of_one(gateway, &uid).await, uid) }).collect();
    let reads = stream::iter(reads).buffer_unordered(AT_A_TIME);
    reads.map(|(held, uid)| (uid, held)).collect().await
}

/// What one user stores.
///
/// # Errors
/// When a bucket does not say, or is another user's; `NotFound` when there is no such user.
async fn of_one(gateway: &RadosGwClient, uid: &Uid) -> Result<Held> {
    let of = uid.to_string();
    let empty = Sums::of([of.clone()]);
    let add = move |sums: &mut Sums, row: Result<BucketUsage, BadRow>| match row {
        Ok(row) if row.owner != of => {
            let text = "asked for the buckets of one user, another one's came";
            sums.add(&of, Err(Error::new(ErrorKind::WrongContent, text)));
        }
        Ok(row) => sums.add(&of, row.held()),
        // Whatever it is, it is this user's.
        Err(bad) => sums.add(&of, Err(bad.error)),
    };
    let sums = gateway.buckets().fold_of_user(uid, move || empty.clone(), add).await?;
    let held = sums.into_users().find_map(|(_, held)| held);
    match held {
        Some(held) => held,
        None => is_there(gateway, uid).await,
    }
}

/// Users of whom no bucket was seen: those that exist store nothing.
async fn prove(gateway: &RadosGwClient, mut idle: BTreeSet<Uid>) -> ByUser {
    let mut by_user = ByUser::new();
    let mut list = gateway.users().list(PageSize::default());
    let (mut pages, mut whole) = (idle.len() / READS_PER_PAGE, true);
    while pages > 0 && idle.len() > READS_PER_PAGE {
        pages -= 1;
        match list.next_page().await {
            Ok(Some(page)) => {
                whole &= page.bad.is_empty();
                let found = page.items.iter().filter_map(|listed| idle.take(&listed.to_uid().ok()?));
                by_user.extend(found.map(|uid| (uid, Ok(Held::default()))));
            }
            // The list says who exists, to its end.
            Ok(None) if whole => {
                by_user.extend(std::mem::take(&mut idle).into_iter().map(|uid| (uid, Err(no_such_user()))));
            }
            Ok(None) | Err(_) => break,
        }
    }
    let reads: Vec<_> = idle.into_iter().map(|uid| async move { (is_there(gateway, &uid).await, uid) }).collect();
    let reads = stream::iter(reads).buffer_unordered(AT_A_TIME);
    by_user.extend(reads.map(|(held, uid)| (uid, held)).collect::<Vec<_>>().await);
    by_user
}

/// Nothing, if the user exists.
async fn is_there(gateway: &RadosGwClient, uid: &Uid) -> Result<Held> {
    gateway.users().get(uid).await?.map(|_| Held::default()).ok_or_else(no_such_user)
}
