//! What users store now, by RadosGW.
//!
//! | case | how they are read |
//! |---|---|
//! | few users | one by one, with their records, which have the stamps |
//! | many users | by one listing of everybody's buckets, which is added up while it arrives: a report costs one call and flat memory |
//! | many users, but others have very many more buckets, or the gateway cannot list them all | one by one; the listing is tried once in a while ([`Listing`]) |
//!
//! The listing shows neither a user without buckets nor that a user does not exist. So users that it does not show are
//! read one by one if they are few, and looked up in the list of users if they are many and the pages of that list cost
//! less.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::stream::{self, StreamExt as _};
use waldur_sdk::{Error, ErrorClass, ErrorKind, Result, backend::OpContext, rest::BadRow};

use super::{ByUser, Stored, no_such_user, whose};
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

/// For each user that is asked about a listing may have so many buckets of others. A bucket takes a gateway 1.2 ms (1200 of
/// them 1385 ms), a call for one user 5 ms; of such calls several are made at a time. What the users have themselves is
/// counted one way or the other.
const STRANGE_BUCKETS_PER_USER: usize = 8;

/// After so many reports a listing that was not worth its time is tried again.
const TRIED_AGAIN: u32 = 30;

/// After so many, one that failed by what may have passed by then: a gateway that was just restarted.
const SOON_AGAIN: u32 = 2;

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
    /// How many buckets of others there are; of a listing that does not help, more than any number.
    strange: usize,
    /// For so many reports that stands.
    reports: u32,
}

impl Listing {
    /// Begins a report about so many users: whether to list everybody's buckets for it.
    fn begin(&self, users: usize) -> bool {
        let mut known = self.known();
        let Some(Known { strange, reports }) = *known else { return true };
        if strange <= users.saturating_mul(STRANGE_BUCKETS_PER_USER) || reports == 0 {
            return true;
        }
        *known = Some(Known { strange, reports: reports - 1 });
        false
    }

    /// Notices how many buckets of others there are.
    fn learn(&self, strange: usize) {
        *self.known() = Some(Known { strange, reports: TRIED_AGAIN });
    }

    /// Notices that listing does not help, for so many reports.
    fn give_up(&self, reports: u32) {
        *self.known() = Some(Known { strange: usize::MAX, reports });
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What users store now. One that is not named does not exist.
///
/// # Errors
/// When nothing is known of anybody.
pub(super) async fn held(
    cx: &OpContext,
    gateway: &RadosGwClient,
    listing: &Listing,
    uids: BTreeSet<Uid>,
) -> Result<ByUser> {
    if uids.len() <= FEW {
        return Ok(with_stamps(cx, gateway, uids).await);
    }
    if !listing.begin(uids.len()) {
        return Ok(one_by_one(cx, gateway, uids).await);
    }
    let sums = match everybodys(gateway, &uids).await {
        // It may be the bucket of any of them. Whose it is shows where each is asked for its own.
        Ok((sums, _)) if sums.stray().is_some() => {
            listing.give_up(TRIED_AGAIN);
            return Ok(one_by_one(cx, gateway, uids).await);
        }
        Ok((sums, strange)) => {
            listing.learn(strange);
            sums
        }
        Err(error) if may_do_for_each(&error) => return instead(cx, gateway, listing, uids, error).await,
        Err(error) => return Err(error),
    };
    let mut known: BTreeMap<String, Option<Result<Held>>> = sums.into_users().collect();
    let (mut by_user, mut idle) = (ByUser::new(), BTreeSet::new());
    for uid in uids {
        match known.remove(&uid.to_string()).flatten() {
            Some(held) => drop(by_user.insert(uid, held.map(Stored::unstamped))),
            None => drop(idle.insert(uid)),
        }
    }
    by_user.extend(prove(cx, gateway, idle).await);
    Ok(by_user)
}

/// What the gateway, or a proxy before it, cannot do for all together it may do for each: too long an answer is refused,
/// or cut off in its middle. Not so where nobody is let in, or nothing may be asked any more.
fn may_do_for_each(error: &Error) -> bool {
    use ErrorKind as K;
    !matches!(
        error.kind(),
        K::Unauthenticated | K::PermissionDenied | K::Config | K::ClockSkew | K::Cancelled | K::DeadlineExceeded
    )
}

/// Users one by one, where listing all buckets failed. When the first few of them cannot be had either, it is the gateway
/// that is not well, and the others are not asked for.
async fn instead(
    cx: &OpContext,
    gateway: &RadosGwClient,
    listing: &Listing,
    mut uids: BTreeSet<Uid>,
    failure: Error,
) -> Result<ByUser> {
    let first: BTreeSet<Uid> = std::iter::from_fn(|| uids.pop_first()).take(AT_A_TIME).collect();
    let mut by_user = one_by_one(cx, gateway, first).await;
    let is_down = |held: &Result<Stored>| held.as_ref().is_err_and(|error| error.class() == ErrorClass::Transient);
    if by_user.values().all(is_down) {
        return Err(failure);
    }
    let is_lasting = matches!(failure.kind(), ErrorKind::TooLarge | ErrorKind::Unsupported);
    listing.give_up(if is_lasting { TRIED_AGAIN } else { SOON_AGAIN });
    by_user.extend(one_by_one(cx, gateway, uids).await);
    Ok(by_user)
}

/// One listing of all buckets there are, and how many of them are others'.
async fn everybodys(gateway: &RadosGwClient, uids: &BTreeSet<Uid>) -> Result<(Sums, usize)> {
    let empty = Sums::of(uids.iter().map(Uid::to_string));
    let bytes = FIRST_LISTING.max(uids.len().saturating_mul(BYTES_PER_USER));
    let each = |(sums, strange): &mut (Sums, usize), row| {
        *strange += usize::from(!add(sums, row));
    };
    gateway.buckets().fold_all_within(bytes, move || (empty.clone(), 0), each).await
}

/// `false` for a stranger's.
fn add(sums: &mut Sums, row: Result<BucketUsage, BadRow>) -> bool {
    match row {
        Ok(row) => sums.add(&row.owner, row.held()),
        Err(bad) => {
            sums.add_stray(bad.error);
            true
        }
    }
}

/// Users one by one, each with its stamp.
async fn with_stamps(cx: &OpContext, gateway: &RadosGwClient, uids: BTreeSet<Uid>) -> ByUser {
    let read = |uid: Uid| async move {
        let stored = async {
            cx.checkpoint()?;
            let Stored { stamp, .. } = is_there(gateway, &uid).await?;
            Ok(Stored { held: in_buckets(gateway, &uid).await?.unwrap_or_default(), stamp })
        };
        (stored.await, uid)
    };
    at_a_time(uids.into_iter().map(read)).await
}

async fn one_by_one(cx: &OpContext, gateway: &RadosGwClient, uids: BTreeSet<Uid>) -> ByUser {
    at_a_time(uids.into_iter().map(|uid| async move { (of_one(cx, gateway, &uid).await, uid) })).await
}

async fn at_a_time(reads: impl Iterator<Item = impl Future<Output = (Result<Stored>, Uid)>>) -> ByUser {
    let reads = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(AT_A_TIME);
    reads.map(|(held, uid)| (uid, held)).collect().await
}

/// What one user stores.
///
/// # Errors
/// When a bucket does not say, or is another user's; `NotFound` when there is no such user.
async fn of_one(cx: &OpContext, gateway: &RadosGwClient, uid: &Uid) -> Result<Stored> {
    cx.checkpoint()?;
    match in_buckets(gateway, uid).await? {
        Some(held) => Ok(Stored::unstamped(held)),
        None => is_there(gateway, uid).await,
    }
}

/// What the buckets of a user hold; `None` where there are none, or no such user.
///
/// # Errors
/// As of [`of_one`].
async fn in_buckets(gateway: &RadosGwClient, uid: &Uid) -> Result<Option<Held>> {
    let of = uid.to_string();
    let empty = Sums::of([of.clone()]);
    let add = move |sums: &mut Sums, row: Result<BucketUsage, BadRow>| match row {
        Ok(row) if row.owner != of => {
            let text = "asked for the buckets of one user, another one's came";
            sums.add(&of, Err(Error::new(ErrorKind::WrongContent, text)));
        }
        Ok(row) => {
            sums.add(&of, row.held());
        }
        // Whatever it is, it is this user's.
        Err(bad) => {
            sums.add(&of, Err(bad.error));
        }
    };
    let sums = gateway.buckets().fold_of_user(uid, move || empty.clone(), add).await?;
    sums.into_users().find_map(|(_, held)| held).transpose()
}

/// Users of whom no bucket was seen: those that exist store nothing.
async fn prove(cx: &OpContext, gateway: &RadosGwClient, mut idle: BTreeSet<Uid>) -> ByUser {
    let mut by_user = ByUser::new();
    let mut list = gateway.users().list(PageSize::default());
    let (mut pages, mut whole) = (idle.len() / READS_PER_PAGE, true);
    while pages > 0 && idle.len() > READS_PER_PAGE && !cx.is_cancelled() {
        pages -= 1;
        match list.next_page().await {
            Ok(Some(page)) => {
                whole &= page.bad.is_empty();
                let found = page.items.iter().filter_map(|listed| idle.take(&listed.to_uid().ok()?));
                by_user.extend(found.map(|uid| (uid, Ok(Stored::unstamped(Held::default())))));
            }
            // The list says who exists, to its end.
            Ok(None) if whole => {
                by_user.extend(std::mem::take(&mut idle).into_iter().map(|uid| (uid, Err(no_such_user()))));
            }
            Ok(None) | Err(_) => break,
        }
    }
    let read = |uid: Uid| async move {
        let stored = async {
            cx.checkpoint()?;
            is_there(gateway, &uid).await
        };
        (stored.await, uid)
    };
    by_user.extend(at_a_time(idle.into_iter().map(read)).await);
    by_user
}

/// Nothing, if the user exists, and whose that is.
async fn is_there(gateway: &RadosGwClient, uid: &Uid) -> Result<Stored> {
    let user = gateway.users().get(uid).await?.ok_or_else(no_such_user)?;
    Ok(Stored { held: Held::default(), stamp: whose(uid, user.email.as_deref())? })
}
