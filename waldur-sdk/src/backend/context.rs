//! What every operation is given beside its request.

use std::{
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};

use crate::{
    error::{Error, ErrorKind, Result},
    rest::{Breaker, Environment},
};

/// Deadline, cancellation and progress of one operation. Cheap to clone; grows without breaking implementors.
#[derive(Clone)]
#[non_exhaustive]
pub struct OpContext {
    /// No request is begun after this.
    pub deadline: Option<Instant>,
    /// Ties log lines of one operation together, e.g. the order's UUID.
    pub correlation_id: String,
    cancellation: Cancellation,
    waldur: Option<Breaker>,
    progress: Arc<dyn ProgressObserver>,
}

impl OpContext {
    /// A context without deadline whose cancellation nobody holds.
    pub fn new(correlation_id: impl Into<String>) -> Self {
        Self {
            deadline: None,
            correlation_id: correlation_id.into(),
            cancellation: Cancellation::default(),
            waldur: None,
            progress: Arc::new(()),
        }
    }

    /// No request is begun after `deadline`.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Stops at the next safe point once `cancellation` is triggered.
    #[must_use]
    pub fn with_cancellation(mut self, cancellation: Cancellation) -> Self {
        self.cancellation = cancellation;
        self
    }

    /// Tells `observer` about every step.
    #[must_use]
    pub fn with_progress(mut self, observer: impl ProgressObserver) -> Self {
        self.progress = Arc::new(observer);
        self
    }

    /// The same context for a run whose calls to Waldur stop by `breaker`.
    pub(crate) fn with_waldur_breaker(&self, breaker: Breaker) -> Self {
        Self { waldur: Some(breaker), ..self.clone() }
    }

    /// What the calls to Waldur stop by, if anything.
    pub(crate) fn waldur_breaker(&self) -> Option<Breaker> {
        self.waldur.clone()
    }

    /// The same context for a part of the work, under its own correlation id.
    #[must_use]
    pub fn child(&self, correlation_id: impl Into<String>) -> Self {
        Self { correlation_id: correlation_id.into(), ..self.clone() }
    }

    /// Whether the caller asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    /// A safe point: call it between two effects.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] once the caller asked to stop.
    pub fn checkpoint(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::new(ErrorKind::Cancelled, "stopped on request")) } else { Ok(()) }
    }

    /// Sleeps, but not on once the caller asked to stop: every pause between two attempts or two looks is a safe point.
    ///
    /// # Errors
    /// As [`Self::checkpoint`].
    pub async fn pause(&self, environment: &Environment, duration: Duration) -> Result<()> {
        let stop = std::pin::pin!(self.cancellation.cancelled());
        match select(environment.sleep(duration), stop).await {
            Either::Left(_) | Either::Right(_) => self.checkpoint(),
        }
    }

    /// Reports a step that has begun, in a word or two (`"reserve"`, `"quota"`).
    pub fn step(&self, step: &'static str) {
        self.progress.on_step(&Step { correlation_id: &self.correlation_id, step, done: None, total: None });
    }

    /// Reports how far a long step is.
    pub fn advance(&self, step: &'static str, done: u64, total: Option<u64>) {
        self.progress.on_step(&Step { correlation_id: &self.correlation_id, step, done: Some(done), total });
    }
}

impl fmt::Debug for OpContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpContext")
            .field("correlation_id", &self.correlation_id)
            .field("deadline", &self.deadline)
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// A switch that asks running work to stop at its next safe point. Clones share the switch.
///
/// Dropping a run's future is always allowed too: what it leaves half done, the next run finishes.
#[derive(Clone, Default)]
pub struct Cancellation(Arc<Switch>);

#[derive(Default)]
struct Switch {
    on: AtomicBool,
    waiting: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    last: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Cancellation {
    /// Asks to stop.
    pub fn cancel(&self) {
        self.0.on.store(true, Ordering::Release);
        // Woken after the lock is released: a waker may run what waits at once.
        let wakers = std::mem::take(&mut self.0.queue().wakers);
        wakers.into_values().for_each(Waker::wake);
    }

    /// Whether somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.on.load(Ordering::Acquire)
    }

    /// Completes when somebody asks to stop.
    pub async fn cancelled(&self) {
        let mut place = Place { switch: &self.0, number: None };
        poll_fn(|cx| {
            let mut queue = place.switch.queue();
            // Looked at under the lock: whoever cancels after this finds the waker.
            if place.switch.on.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            let number = *place.number.get_or_insert_with(|| {
                queue.last += 1;
                queue.last
            });
            let before = queue.wakers.insert(number, cx.waker().clone());
            // Dropping a waker runs code of others; not under the lock.
            drop(queue);
            drop(before);
            Poll::Pending
        })
        .await;
    }
}

impl Switch {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancellation").field(&self.is_cancelled()).finish()
    }
}

/// A place among those who wait for the switch; given up when the wait is dropped.
struct Place<'a> {
    switch: &'a Switch,
    number: Option<u64>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let waker = self.switch.queue().wakers.remove(&number);
            drop(waker);
        }
    }
}

/// Watches the steps of long work. Called in the caller's task; must not block.
pub trait ProgressObserver: Send + Sync + 'static {
    /// A step began, or went on.
    fn on_step(&self, step: &Step<'_>);
}

impl ProgressObserver for () {
    fn on_step(&self, _step: &Step<'_>) {}
}

impl<P: ProgressObserver + ?Sized> ProgressObserver for Arc<P> {
    fn on_step(&self, step: &Step<'_>) {
        (**self).on_step(step);
    }
}

/// One step of a long operation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Step<'a> {
    /// Whose step, e.g. the order's UUID.
    pub correlation_id: &'a str,
    /// The step, in a word or two.
    pub step: &'static str,
    /// How many parts are done, in a step that counts.
    pub done: Option<u64>,
    /// How many parts there are, if known.
    pub total: Option<u64>,
}
