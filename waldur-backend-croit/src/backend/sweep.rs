//! Looking at many users without asking for each (performance.md §3).
//!
//! No storage tells of all users at once all that is to be kept in step: RadosGW's list has names and nothing else, croit's
//! has everything but keys and buckets. So a pass over many sees by the list that each is there, and looks closely at
//! those whose turn it is, so that each has its turn within [`ROUND`] passes: a quota that was changed by hand is found
//! then, and what is stored is published anew. Of the others it is told what was seen last, as far as it says anything:
//! no limits, no metadata.
//!
//! What was not seen before is read by itself, though without its metadata until its turn comes, and so is what the list
//! does not show: absence wants its own proof. Nothing is changed on the word of this: whoever changes something reads
//! the user first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    future::join,
    stream::{self, StreamExt as _},
};
use waldur_sdk::{
    Result,
    backend::{Aspects, ById, OpContext, Records, ResourceState, Stamp, Status},
    types::{BackendId, Timestamp},
};

use super::{
    AT_A_TIME, Inner,
    storage::{Account, Storage, View},
    usage::Listing,
};
use crate::{
    radosgw::{ListedUid, PageSize, RadosGwClient},
    s3::{Quotas, Uid},
};

/// In so many passes each of many users has its turn: two and a half hours of the usual five minutes.
pub(super) const ROUND: usize = 30;

/// So many users are looked at closely, all of them.
const FEW: usize = 2 * AT_A_TIME;

/// For so many users that are asked about the list may have a page; a longer one costs more than it tells.
const USERS_PER_PAGE: usize = AT_A_TIME;

/// What was seen of users. Lost with the process; then each is looked at closely once more.
#[derive(Debug, Default)]
pub(super) struct Memory {
    seen: Mutex<Seen>,
    listing: Listing,
}

#[derive(Debug, Default)]
struct Seen {
    pass: usize,
    users: BTreeMap<BackendId, Glimpse>,
    /// A user that is said to exist, and is on no list.
    hidden: Option<Uid>,
    /// In which pass each had its turn last.
    turns: BTreeMap<BackendId, usize>,
}

/// What was seen of one user.
#[derive(Clone, Copy, Debug)]
struct Glimpse {
    pass: usize,
    stamp: Option<Stamp>,
    foreign: bool,
    status: Status,
    /// Its quotas, until they were compared with what they are to be.
    quotas: Option<Quotas>,
}

impl Memory {
    /// What listing everybody's buckets is worth.
    pub(super) fn listing(&self) -> &Listing {
        &self.listing
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a pass, and says whose turn it is. Of those who had none yet it is anybody's, by the moment: a process that
    /// lives for one pass only, and has no memory, is not to begin with the same ones each time.
    fn begin(&self, ids: &[BackendId], now: Timestamp) -> BTreeSet<BackendId> {
        let mut seen = self.seen();
        seen.pass += 1;
        let pass = seen.pass;
        seen.users.retain(|_, glimpse| pass - glimpse.pass <= 2 * ROUND);
        seen.turns.retain(|_, last| pass - *last <= 2 * ROUND);
        let mut waiting: Vec<_> = ids.iter().map(|id| (seen.turns.get(id).copied(), id)).collect();
        waiting.sort_unstable();
        let new = waiting.partition_point(|(last, _)| last.is_none());
        if let Some(new) = waiting.get_mut(..new).filter(|new| !new.is_empty()) {
            new.rotate_left(scattered(now) % new.len());
        }
        let turn: BTreeSet<_> = waiting.into_iter().take(ids.len().div_ceil(ROUND)).map(|(_, id)| id.clone()).collect();
        seen.turns.extend(turn.iter().map(|id| (id.clone(), pass)));
        turn
    }

    /// What was seen of a user last, as far as that says anything.
    fn recall(&self, id: &BackendId) -> Option<ResourceState> {
        let glimpse = *self.seen().users.get(id)?;
        let mut state = ResourceState::new(id.clone());
        (state.stamp, state.foreign, state.status) = (glimpse.stamp, glimpse.foreign, glimpse.status);
        Some(state)
    }

    /// The quotas that were seen and not yet compared, once.
    pub(super) fn take_quotas(&self, id: &BackendId) -> Option<Quotas> {
        self.seen().users.get_mut(id)?.quotas.take()
    }

    /// Takes a user for one that was never seen: it was changed.
    pub(super) fn forget(&self, id: &BackendId) {
        self.seen().users.remove(id);
    }

    /// A user that is said to exist, and is on no list.
    pub(super) fn hidden(&self) -> Option<Uid> {
        self.seen().hidden.clone()
    }

    /// A user is said to exist, and is on no list.
    pub(super) fn hides(&self, uid: &Uid) {
        self.seen().hidden = Some(uid.clone());
    }

    /// A user is on a list.
    pub(super) fn shows(&self, uid: &Uid) {
        self.seen().hidden.take_if(|hidden| hidden == uid);
    }

    /// Notices what was read of a user.
    pub(super) fn learn(&self, state: &ResourceState, account: &Account) {
        let mut seen = self.seen();
        let (pass, quotas) = (seen.pass, account.quotas);
        let glimpse = Glimpse { pass, stamp: state.stamp, foreign: state.foreign, status: state.status, quotas };
        seen.users.insert(state.id.clone(), glimpse);
    }
}

/// A number of a moment that says nothing of the next moment's, as far as whoever runs every so many minutes can tell.
fn scattered(now: Timestamp) -> usize {
    let scattered = now.as_second().unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    usize::try_from(scattered).unwrap_or_default()
}

impl Inner {
    /// What is told of many users, or of few.
    pub(super) async fn inspect_all(
        &self,
        cx: &OpContext,
        ids: &[BackendId],
        aspects: Aspects,
        records: &dyn Records,
    ) -> ById<Option<ResourceState>> {
        let storage = self.storage.until(cx.deadline);
        let view = match self.view(&storage, ids, aspects).await {
            Ok(view) => view,
            Err(error) => return ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect(),
        };
        // Only a pass over everything wants metadata; who asks for less needs it of each.
        if !aspects.metadata || ids.len() <= FEW {
            let all: Vec<_> = ids.iter().map(|id| (id.clone(), aspects)).collect();
            return self.look_closely(&view, all, records).await;
        }
        let turn = self.memory.begin(ids, storage.environment().now());
        let (now, later): (Vec<BackendId>, Vec<BackendId>) = ids.iter().cloned().partition(|id| turn.contains(id));
        let mut less = aspects;
        less.metadata = false;
        let mut close: Vec<_> = now.into_iter().map(|id| (id, aspects)).collect();
        let Storage::RadosGw(gateway) = &storage else {
            // All but the metadata is in croit's list.
            close.extend(later.into_iter().map(|id| (id, less)));
            return self.look_closely(&view, close, records).await;
        };
        let close = self.look_closely(&view, close, records);
        let (mut states, listed) = join(close, listed(gateway, &later)).await;
        let (mut seen, mut unseen) = (ById::new(), Vec::new());
        for id in later {
            match self.memory.recall(&id).filter(|_| listed.contains(id.as_str())) {
                Some(state) => drop(seen.insert(id, Ok(Some(state)))),
                None => unseen.push((id, less)),
            }
        }
        states.extend(self.look_closely(&view, unseen, records).await);
        states.extend(seen);
        states
    }

    async fn look_closely(
        &self,
        view: &View,
        ids: Vec<(BackendId, Aspects)>,
        records: &dyn Records,
    ) -> ById<Option<ResourceState>> {
        let read = |(id, aspects): (BackendId, Aspects)| async move {
            let state = self.inspect_one(view, &id, aspects, records).await;
            (id, state)
        };
        let reads: Vec<_> = ids.into_iter().map(read).collect();
        stream::iter(reads).buffer_unordered(AT_A_TIME).collect().await
    }
}

/// Which of the users the gateway lists, as far as the list is worth reading.
async fn listed(gateway: &RadosGwClient, ids: &[BackendId]) -> BTreeSet<String> {
    let wanted: BTreeSet<&str> = ids.iter().map(BackendId::as_str).collect();
    let mut found = BTreeSet::new();
    let mut list = gateway.users().list(PageSize::default());
    for _page in 0..ids.len().div_ceil(USERS_PER_PAGE) {
        if found.len() == wanted.len() {
            break;
        }
        let page: Result<_> = list.next_page().await;
        // Who is not found is asked for.
        let Ok(Some(page)) = page else { break };
        let names = page.items.iter().map(ListedUid::as_str).filter(|name| wanted.contains(name));
        found.extend(names.map(str::to_owned));
    }
    found
}
