//! One at a time for each key, without an async mutex.

use std::{
    any::Any,
    collections::{HashMap, VecDeque},
    fmt,
    hash::Hash,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::{FutureExt, Shared};

use super::BoxFuture;

/// Runs operations on one key one after the other, in the order in which they were first polled; operations on
/// different keys run side by side. For servers that lose or refuse concurrent writes to one object.
///
/// An async mutex would do the same, until a task that holds it is no longer polled. Then all that wait for it hang,
/// perhaps also the task that should poll the first one ("futurelock"). Here a caller that waits also drives the
/// operation before its own, so none depends on another being polled:
///
/// - If a caller goes away after its operation began, those who wait behind it finish the operation. If nobody waits,
///   it is dropped, as any future would be.
/// - If a caller goes away before its operation began, it never begins.
/// - An operation that panics panics in its own caller; the next one begins.
///
/// An operation may thus run inside another caller's task: it must not wait for a further operation on the same key.
/// Clones share the keys. A key without operations takes no memory.
pub struct Serial<K> {
    lanes: Lanes<K>,
}

type Lanes<K> = Arc<Mutex<HashMap<K, Lane>>>;
type Turn = Shared<BoxFuture<'static, ()>>;
type Outcome<T> = Result<T, Box<dyn Any + Send>>;

/// The operations on one key.
#[derive(Default)]
struct Lane {
    jobs: VecDeque<Job>,
    next_id: u64,
    callers: usize,
}

struct Job {
    id: u64,
    turn: Turn,
    begun: bool,
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static> Serial<K> {
    /// No keys yet.
    pub fn new() -> Self {
        Self { lanes: Lanes::default() }
    }

    /// Runs `operation` after all earlier ones on `key`. The place in the line is taken at the first poll.
    pub async fn run<T: Send + 'static>(&self, key: K, operation: impl Future<Output = T> + Send + 'static) -> T {
        let slot: Arc<Mutex<Option<Outcome<T>>>> = Arc::default();
        let ours = slot.clone();
        let turn: BoxFuture<'static, ()> = Box::pin(async move {
            let outcome = AssertUnwindSafe(operation).catch_unwind().await;
            *lock(&ours) = Some(outcome);
        });
        let ticket = Ticket::take(&self.lanes, key, turn.shared());
        while let Some((id, front)) = ticket.front() {
            front.await;
            ticket.finished(id);
        }
        let outcome = lock(&slot).take();
        // The line moves past our turn only when it has run to its end.
        match outcome.unwrap_or_else(|| Err(Box::new("an operation ended without an outcome"))) {
            Ok(value) => value,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// How many keys have operations now.
    pub fn busy(&self) -> usize {
        lock(&self.lanes).len()
    }
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static> Default for Serial<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Clone for Serial<K> {
    fn clone(&self) -> Self {
        Self { lanes: self.lanes.clone() }
    }
}

impl<K> fmt::Debug for Serial<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serial").field("busy", &lock(&self.lanes).len()).finish_non_exhaustive()
    }
}

/// A caller's place in the line of its key.
struct Ticket<K: Eq + Hash> {
    lanes: Lanes<K>,
    key: K,
    id: u64,
}

impl<K: Eq + Hash + Clone> Ticket<K> {
    fn take(lanes: &Lanes<K>, key: K, turn: Turn) -> Self {
        let id = {
            let mut lanes = lock(lanes);
            let lane = lanes.entry(key.clone()).or_default();
            let id = lane.next_id;
            lane.next_id += 1;
            lane.callers += 1;
            lane.jobs.push_back(Job { id, turn, begun: false });
            id
        };
        Self { lanes: lanes.clone(), key, id }
    }

    /// The operation whose turn it is, until ours is over.
    fn front(&self) -> Option<(u64, Turn)> {
        let mut lanes = lock(&self.lanes);
        let lane = lanes.get_mut(&self.key)?;
        let front = lane.jobs.front_mut().filter(|front| front.id <= self.id)?;
        front.begun = true;
        Some((front.id, front.turn.clone()))
    }

    /// Takes a finished operation out of the line, unless another caller has.
    fn finished(&self, id: u64) {
        let mut lanes = lock(&self.lanes);
        if let Some(lane) = lanes.get_mut(&self.key)
            && lane.jobs.front().is_some_and(|front| front.id == id)
        {
            lane.jobs.pop_front();
        }
    }
}

impl<K: Eq + Hash> Drop for Ticket<K> {
    fn drop(&mut self) {
        // Operations are dropped after the lock is released: their own drop may come back here.
        let mut dropped = VecDeque::new();
        let mut lanes = lock(&self.lanes);
        if let Some(lane) = lanes.get_mut(&self.key) {
            lane.callers -= 1;
            if lane.callers == 0 {
                dropped = lanes.remove(&self.key).unwrap_or_default().jobs;
            } else if let Some(place) = lane.jobs.iter().position(|job| job.id == self.id && !job.begun) {
                dropped.extend(lane.jobs.remove(place));
            }
        }
        drop(lanes);
        drop(dropped);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
