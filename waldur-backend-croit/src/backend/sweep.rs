//! Looking at many users without asking for each (performance.md §3).
//!
//! No storage has one call that shows everything about all users: RadosGW's list has names and nothing else, croit's
//! has everything but keys and buckets. So a pass over many users sees from the list that each is there, and looks
//! closely at those whose turn it is. Each has its turn within [`ROUND`] passes. A quota that was changed by hand is
//! found then, and the summary of what is stored is published again. For the others, the answer is what was seen last,
//! without limits and metadata.
//!
//! As long as nothing else is known, turns go by the clock. So a process that has just begun, or that lives for a
//! single pass, goes on where another one would be.
//!
//! Two kinds of users are read one by one: those that were not seen before (without metadata until their turn comes),
//! and those that the list does not show, because absence needs its own proof. Nothing is changed because of this:
//! whoever changes a user reads it first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use futures_util::{
    future::join,
    stream::{FuturesUnordered, StreamExt as _},
};
use waldur_sdk::{
    Error, ErrorClass, ErrorKind,
    backend::{Aspects, ById, Inspection, OpContext, Records, ResourceState, Stamp, Status},
    types::{BackendId, Timestamp},
};

use super::{
    AT_A_TIME, Inner, status,
    storage::{Account, Storage, View},
    usage::{Listing, Past},
};
use crate::{
    radosgw::{ListedUid, PageSize, RadosGwClient},
    s3::{Quotas, Uid},
};

/// In so many passes each of many users has its turn: two and a half hours of the usual five minutes.
const ROUND: usize = 30;

/// The usual pause between two passes, in seconds.
const CYCLE: i64 = 5 * 60;

/// So many users are looked at closely, all of them.
const FEW: usize = 2 * AT_A_TIME;

/// For so many users that are asked about the list may have a page; a longer one costs more than it tells.
const USERS_PER_PAGE: usize = AT_A_TIME;

/// What was seen of users. Lost with the process; then each is looked at closely once more.
#[derive(Debug, Default)]
pub(super) struct Memory {
    seen: Mutex<Seen>,
    listing: Listing,
    past: Past,
}

#[derive(Debug, Default)]
struct Seen {
    pass: usize,
    users: BTreeMap<BackendId, Glimpse>,
    /// Users that are said to exist, and are on no list, and since when.
    hidden: BTreeMap<Uid, Instant>,
    /// In which pass each had its turn last.
    turns: BTreeMap<BackendId, usize>,
    /// Who does not wait for it.
    next: BTreeSet<BackendId>,
}

/// What was seen of one user.
#[derive(Clone, Copy, Debug)]
struct Glimpse {
    pass: usize,
    stamp: Option<Stamp>,
    foreign: bool,
    status: Status,
    /// What else was seen, until it was compared with what it is to be.
    news: Option<News>,
}

/// What was read of a user, and is to be kept in step.
#[derive(Clone, Copy, Debug)]
pub(super) struct News {
    pub(super) quotas: Option<Quotas>,
    pub(super) suspended: bool,
    /// For which resource it is marked as suspended by Waldur.
    pub(super) mark: Option<Stamp>,
}

impl Memory {
    /// What listing everybody's buckets is worth.
    pub(super) fn listing(&self) -> &Listing {
        &self.listing
    }

    /// What was stored in months that are over.
    pub(super) fn past(&self) -> &Past {
        &self.past
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a pass, and says whose turn it is: of those who wait longest, the ones from where the clock points at.
    fn begin(&self, ids: &[BackendId], now: Timestamp) -> BTreeSet<BackendId> {
        let mut seen = self.seen();
        seen.pass += 1;
        let pass = seen.pass;
        seen.users.retain(|_, glimpse| pass - glimpse.pass <= 2 * ROUND);
        seen.turns.retain(|_, last| pass - *last <= 2 * ROUND);
        let (share, mut by_name) = (ids.len().div_ceil(ROUND), ids.iter().collect::<Vec<_>>());
        by_name.sort_unstable();
        if !by_name.is_empty() {
            let start = share.saturating_mul(slot(now)) % by_name.len();
            by_name.rotate_left(start);
        }
        // The sort keeps the order otherwise.
        by_name.sort_by_key(|id| (!seen.next.contains(*id), seen.turns.get(*id).copied()));
        let turn: BTreeSet<_> = by_name.into_iter().take(share).cloned().collect();
        seen.next.retain(|id| !turn.contains(id));
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

    /// What was seen and not yet compared.
    pub(super) fn news(&self, id: &BackendId) -> Option<News> {
        self.seen().users.get(id)?.news
    }

    /// The same, once.
    pub(super) fn take_news(&self, id: &BackendId) -> Option<News> {
        self.seen().users.get_mut(id)?.news.take()
    }

    /// Takes a user for one that was never seen: it was changed.
    pub(super) fn forget(&self, id: &BackendId) {
        self.seen().users.remove(id);
    }

    /// The user beside this one that was said last to exist, and is on no list, and since when.
    pub(super) fn hidden_beside(&self, uid: &Uid) -> Option<(Uid, Instant)> {
        let seen = self.seen();
        let others = seen.hidden.iter().filter(|(hidden, _)| *hidden != uid);
        others.max_by_key(|(_, since)| **since).map(|(hidden, since)| (hidden.clone(), *since))
    }

    /// A user is to be looked at closely in the next pass, before whoever waits for its turn.
    pub(super) fn has_its_turn_next(&self, id: &BackendId) {
        self.seen().next.insert(id.clone());
    }

    /// A user is said to exist, and is on no list. However often that is said, it is so since the first time.
    pub(super) fn hides(&self, uid: &Uid, now: Instant) {
        self.seen().hidden.entry(uid.clone()).or_insert(now);
    }

    /// A user is on a list.
    pub(super) fn shows(&self, uid: &Uid) {
        self.seen().hidden.remove(uid);
    }

    /// Notices what was read of a user.
    pub(super) fn learn(&self, state: &ResourceState, account: &Account) {
        let mut seen = self.seen();
        let mark = status::marked(&account.name);
        let news = Some(News { quotas: account.quotas, suspended: account.suspended, mark });
        let pass = seen.pass;
        let glimpse = Glimpse { pass, stamp: state.stamp, foreign: state.foreign, status: state.status, news };
        seen.users.insert(state.id.clone(), glimpse);
    }
}

/// A number of a moment that says nothing of the next moment's, as far as whoever runs every so many minutes can tell.
fn scattered(now: Timestamp) -> usize {
    let scattered = now.as_second().unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    usize::try_from(scattered).unwrap_or_default()
}

/// Which of a round's shares has its turn at a moment. One after the other; and one more in each round and on each day, so
/// that whoever runs at the same minute of every hour or day comes to all of them too.
fn slot(now: Timestamp) -> usize {
    const DAY: usize = 24 * 12;
    let cycle = usize::try_from(now.as_second().div_euclid(CYCLE)).unwrap_or_default();
    (cycle + cycle / ROUND + cycle / DAY) % ROUND
}

impl Inner {
    /// What is told of many users, or of few.
    pub(super) async fn inspect_all(&self, cx: &OpContext, inspection: &Inspection<'_>) -> ById<Option<ResourceState>> {
        let Inspection { ids, aspects, records, .. } = *inspection;
        let storage = self.storage.until(cx.deadline).stopped_by(&self.breaker());
        let view = match self.view(&storage, ids, aspects).await {
            Ok(view) => view,
            Err(error) => return ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect(),
        };
        // Only a pass over everything wants metadata; who asks for less needs it of each.
        if !aspects.metadata || ids.len() <= FEW {
            let all: Vec<_> = ids.iter().map(|id| (id.clone(), aspects)).collect();
            return self.look_closely(cx, &view, all, records).await;
        }
        let turn = self.memory.begin(ids, storage.environment().now());
        let (now, later): (Vec<BackendId>, Vec<BackendId>) = ids.iter().cloned().partition(|id| turn.contains(id));
        let mut less = aspects;
        less.metadata = false;
        let mut close: Vec<_> = now.into_iter().map(|id| (id, aspects)).collect();
        let Storage::RadosGw(gateway) = &storage else {
            // All but the metadata is in croit's list.
            close.extend(later.into_iter().map(|id| (id, less)));
            return self.look_closely(cx, &view, close, records).await;
        };
        let close = self.look_closely(cx, &view, close, records);
        let (mut states, Listed { names: listed, gap }) = join(close, listed(gateway, &later)).await;
        if let Some(refused) = gap.as_ref().filter(|gap| is_refusal(gap)) {
            states.extend(later.into_iter().map(|id| (id, Err(refused.clone()))));
            return states;
        }
        let (mut seen, mut unseen) = (ById::new(), Vec::new());
        for id in later {
            match self.memory.recall(&id).filter(|_| listed.contains(id.as_str())) {
                Some(state) => drop(seen.insert(id, Ok(Some(state)))),
                None => unseen.push((id, less)),
            }
        }
        states.extend(self.look_closely(cx, &view, unseen, records).await);
        states.extend(seen);
        // Somebody is to learn why passes take long.
        if let Some(gap) = gap.filter(|gap| gap.class() != ErrorClass::Transient)
            && let Some(state) = states.values_mut().flatten().flatten().next()
        {
            state.warnings.push(no_list(gap));
        }
        states
    }

    async fn look_closely(
        &self,
        cx: &OpContext,
        view: &View,
        mut ids: Vec<(BackendId, Aspects)>,
        records: &dyn Records,
    ) -> ById<Option<ResourceState>> {
        let read = |(id, aspects): (BackendId, Aspects)| async move {
            let state = async {
                cx.checkpoint()?;
                self.inspect_one(view, &id, aspects, records).await
            };
            (state.await, id)
        };
        // Where one stop is made for all, it is not the same ones each time that nobody comes to.
        let begin = scattered(self.storage.environment().now()).checked_rem(ids.len()).unwrap_or_default();
        ids.rotate_left(begin);
        let (mut waiting, mut running, mut states) = (ids.into_iter(), FuturesUnordered::new(), ById::new());
        loop {
            // A reading is made when its turn comes: ten thousand that wait would weigh more than what they bring.
            running.extend(waiting.by_ref().take(AT_A_TIME.saturating_sub(running.len())).map(read));
            let Some((state, id)) = running.next().await else { return states };
            states.insert(id, state);
        }
    }
}

/// Which users a list shows, and why it did not show more, if it failed.
struct Listed {
    names: BTreeSet<String>,
    gap: Option<Error>,
}

/// Whoever is not let in to the list is not let in to the users.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::PermissionDenied)
}

fn no_list(cause: Error) -> Error {
    let text = format!("the list of users cannot be read, so each is asked for by itself: {}", cause.message());
    Error::new(cause.kind(), text).with_operation(cause.operation()).with_source(cause)
}

/// Which of the users the gateway lists, as far as the list is worth reading.
async fn listed(gateway: &RadosGwClient, ids: &[BackendId]) -> Listed {
    let wanted: BTreeSet<&str> = ids.iter().map(BackendId::as_str).collect();
    let mut found = BTreeSet::new();
    let mut list = gateway.users().list(PageSize::default());
    for _page in 0..ids.len().div_ceil(USERS_PER_PAGE) {
        if found.len() == wanted.len() {
            break;
        }
        // Who is not found is asked for.
        let page = match list.next_page().await {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(error) => return Listed { names: found, gap: Some(error) },
        };
        let names = page.items.iter().map(ListedUid::as_str).filter(|name| wanted.contains(name));
        found.extend(names.map(str::to_owned));
    }
    Listed { names: found, gap: None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ids() -> Vec<BackendId> {
        (0..500).map(|number| BackendId::new(format!("u-{number}")).unwrap()).collect()
    }

    fn minutes(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_800 + 60 * minutes).unwrap()
    }

    #[test]
    fn whoever_runs_once_looks_at_everybody_however_often_it_is_started() {
        // Minutes between two starts, and how many starts it takes at the most.
        for (pause, starts) in [(5, 60), (10, 60), (15, 60), (30, 60), (35, 65), (60, 85), (120, 80), (1440, 45)] {
            for first in [0, 35, 155] {
                let turns =
                    (0..starts).flat_map(|start| Memory::default().begin(&ids(), minutes(first + start * pause)));
                assert_eq!(turns.collect::<BTreeSet<_>>().len(), 500, "every {pause} minutes");
            }
        }
    }

    #[test]
    fn whoever_goes_on_looks_at_the_same_share_in_each_pass_and_at_everybody_in_each_round() {
        let memory = Memory::default();
        for round in 0..3 {
            let mut seen = BTreeSet::new();
            for pass in 0..30 {
                let turn = memory.begin(&ids(), minutes(5 * (30 * round + pass)));
                assert_eq!(turn.len(), 17);
                seen.extend(turn);
            }
            assert_eq!(seen.len(), 500);
        }
    }
}
