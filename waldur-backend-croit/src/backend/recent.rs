//! What was seen a moment ago. To see it again, croit would have to list all users.
//!
//! It is used for [`FRESH`], and only where nothing is destroyed or written to the user because of it:
//!
//! * A pass looks at all its users by one list. It looks again at each user whose metadata changed, and uses that list
//!   for it. So a pass costs one list, and one more for each [`FRESH`] that it takes. A user that is not on the list,
//!   or to which this back end has written since, is looked for anew: absence needs its own proof, and what we have
//!   written must not be reported as it was before. Orders may have a back end of their own; the next list shows what
//!   they wrote.
//! * What was read back after a write is used for the rest of the same order: on croit, keys are made without reading
//!   the user again. What was read for the first one of several keys is used for the others.
//!
//! Whoever changes a quota, deletes, or takes keys away, reads the user first, each time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use waldur_sdk::{
    Result,
    backend::Aspects,
    rest::{Environment, Serial},
    types::BackendId,
};

use super::{
    Inner,
    storage::{Account, Storage, View},
};
use crate::{
    croit::{CroitClient, UserList},
    s3::Uid,
};

/// For how long what was seen is good enough: as long as the SDK takes a team for what it was.
pub(super) const FRESH: Duration = Duration::from_secs(10);

/// What was seen and written a moment ago. Lost with the process; then croit is asked once more.
#[derive(Debug, Default)]
pub(super) struct Recent {
    seen: Mutex<Seen>,
    /// Who finds the list too old lists anew, and whoever finds so meanwhile waits for that.
    listing: Serial<()>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The last list of several users, and when it was asked for.
    list: Option<(Instant, Arc<UserList>)>,
    /// When this back end wrote to a user last.
    writes: BTreeMap<Uid, Instant>,
    /// What was read of users since they were written to, and when.
    accounts: BTreeMap<Uid, (Account, Instant)>,
}

impl Recent {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until what this returns is dropped, a user is being written to.
    pub(super) fn writing<'a>(&'a self, uid: &Uid, environment: &Environment) -> Writing<'a> {
        self.seen().accounts.remove(uid);
        Writing { recent: self, uid: uid.clone(), environment: environment.clone() }
    }

    /// A user was read, and whoever wrote to it has ended.
    pub(super) fn shows(&self, uid: &Uid, account: &Account, now: Instant) {
        let mut seen = self.seen();
        seen.accounts.retain(|_, (_, since)| is_fresh(*since, now));
        seen.accounts.insert(uid.clone(), (account.clone(), now));
    }

    /// What was read of a user a moment ago.
    pub(super) fn account(&self, uid: &Uid, now: Instant) -> Option<Account> {
        let seen = self.seen();
        let (account, since) = seen.accounts.get(uid)?;
        is_fresh(*since, now).then(|| account.clone())
    }
}

impl Seen {
    /// The last list, if it was to show the user; whether it is good enough.
    fn list_of(&self, uid: &Uid, now: Instant) -> Option<(Arc<UserList>, bool)> {
        let (asked, list) = self.list.as_ref().filter(|(_, list)| list.is_about(uid))?;
        let is_there = list.get(uid).is_ok_and(|found| found.is_some());
        let is_written = self.writes.get(uid).is_some_and(|written| written >= asked);
        Some((list.clone(), is_there && !is_written && is_fresh(*asked, now)))
    }
}

fn is_fresh(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < FRESH
}

/// A user is being written to. What was read before this is dropped may not show it: however the work ends.
#[must_use]
pub(super) struct Writing<'a> {
    recent: &'a Recent,
    uid: Uid,
    environment: Environment,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let now = self.environment.instant();
        let mut seen = self.recent.seen();
        seen.writes.retain(|_, written| is_fresh(*written, now));
        seen.writes.insert(self.uid.clone(), now);
    }
}

impl Inner {
    /// A look at the users of these ids.
    pub(super) async fn view(&self, storage: &Storage, ids: &[BackendId], aspects: Aspects) -> Result<View> {
        let uids: Vec<_> = ids.iter().filter_map(|id| Uid::new(id.as_str()).ok()).collect();
        match (storage, uids.as_slice()) {
            // Only a pass wants metadata; who asks for less asks for itself.
            (Storage::Croit(client), [one]) if aspects.metadata => {
                let (recent, client, one) = (Arc::clone(&self.recent), client.clone(), one.clone());
                let look = async move { single(&recent, &client, &one).await };
                self.recent.listing.run((), look).await
            }
            // What is published of buckets is a user's own only where others can be told from it.
            (Storage::Croit(client), [_, _, ..]) => {
                listed(&self.recent, client, client.users().among_names(&uids)).await
            }
            _ => storage.view(&uids).await,
        }
    }
}

/// A look at one user: by the list of a moment ago, or by a new one of all that were on it.
async fn single(recent: &Recent, client: &CroitClient, uid: &Uid) -> Result<View> {
    let known = recent.seen().list_of(uid, client.environment().instant());
    match known {
        Some((list, true)) => Ok(View::Croit(client.clone(), list)),
        Some((list, false)) => listed(recent, client, client.users().again(&list)).await,
        None => Ok(View::Croit(client.clone(), Arc::new(client.users().among_names([uid]).await?))),
    }
}

async fn listed(
    recent: &Recent,
    client: &CroitClient,
    listing: impl Future<Output = Result<UserList>>,
) -> Result<View> {
    let asked = client.environment().instant();
    let list = Arc::new(listing.await?);
    recent.seen().list = Some((asked, list.clone()));
    Ok(View::Croit(client.clone(), list))
}
