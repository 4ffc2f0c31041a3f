//! What users store now, by RadosGW.
//!
//! Few users are read one by one. Many are read by one listing of everybody's buckets, which is added up while it arrives,
//! so that a report costs one call and flat memory. A listing shows nothing of a user without buckets, and nothing of one
//! that does not exist: that few of those are there is proven by reading them, that many are by the list of users, for as
//! long as its pages cost less.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};
use waldur_sdk::{Error, ErrorKind, Result, rest::BadRow};

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

/// What users store now. One that is not named does not exist.
///
/// # Errors
/// When nothing is known of anybody.
pub(super) async fn held(gateway: &RadosGwClient, uids: BTreeSet<Uid>) -> Result<ByUser> {
    if uids.len() <= FEW {
        return Ok(one_by_one(gateway, uids).await);
    }
    let sums = match everybodys(gateway, &uids).await {
        // It may be the bucket of any of them. Whose it is shows where each is asked for its own.
        Ok(sums) if sums.stray().is_some() => return Ok(one_by_one(gateway, uids).await),
        Ok(sums) => sums,
        // What the gateway cannot do for all together it may do for each.
        Err(error) if matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::Unsupported | ErrorKind::Timeout) => {
            return Ok(one_by_one(gateway, uids).await);
        }
        Err(error) => return Err(error),
    };
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

/// One listing of all buckets there are.
async fn everybodys(gateway: &RadosGwClient, uids: &BTreeSet<Uid>) -> Result<Sums> {
    let empty = Sums::of(uids.iter().map(Uid::to_string));
    gateway.buckets().fold_all(move || empty.clone(), add).await
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
