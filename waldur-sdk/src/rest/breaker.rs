//! Leaves a service alone that is down or refuses our credentials (faults.md rows 41, 44).

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Environment;
use crate::error::{Effect, Error, ErrorKind, Result};

/// A circuit breaker for what one run asks of one service, over all of its rows. Clones are the same breaker.
///
/// - Refused credentials open it at once and for good: every further request with them brings the account nearer to
///   being locked.
/// - So many failures in a row that say something of the service, and nothing of what was asked
///   ([`Error::is_outage`]), open it until something gets through again: one probe at a time, after pauses that double,
///   and none before the time that `Retry-After` asks for.
///
/// What is not sent meanwhile fails as what opened it did, and has done nothing. A breaker remembers nothing from one run
/// to the next: each begins with a new one.
///
/// ```
/// # use waldur_sdk::{Error, ErrorKind, rest::{Breaker, Environment}};
/// let breaker = Breaker::new(2, Environment::default());
/// for _ in 0..2 {
///     assert!(breaker.check().is_ok());
///     breaker.note(Some(&Error::new(ErrorKind::Unavailable, "down for maintenance")));
/// }
/// assert_eq!(breaker.check().map_err(|error| error.kind()), Err(ErrorKind::Unavailable));
/// ```
#[derive(Clone)]
pub struct Breaker(Arc<Inner>);

struct Inner {
    in_a_row: usize,
    environment: Environment,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Failures of the service since something got through.
    failures: usize,
    last: Option<Error>,
    open: Option<Open>,
}

struct Open {
    /// What is not tried fails with this: one error, however many it is told of.
    untried: Error,
    probes: u32,
    /// Whether a probe is on its way.
    probing: bool,
    /// No probe before this; `None` for none at all.
    next: Option<Instant>,
}

impl Breaker {
    /// The pause before the first probe, which doubles with each.
    const FIRST_PAUSE: Duration = Duration::from_secs(1);

    /// How often the pause doubles: to about a minute.
    const DOUBLINGS: u32 = 6;

    /// After so long nobody waits for a probe any more: whoever made it may have been dropped.
    const PROBE_LASTS: Duration = Duration::from_secs(180);

    /// A breaker that `in_a_row` failures of the service open; twice as many as are asked for at a time are no accident.
    pub fn new(in_a_row: usize, environment: Environment) -> Self {
        Self(Arc::new(Inner { in_a_row: in_a_row.max(1), environment, state: Mutex::default() }))
    }

    /// Whether the next call may be made. Where it is a probe, the one after it has to wait.
    ///
    /// # Errors
    /// Of the kind of what opened the breaker, which is its source.
    pub fn check(&self) -> Result<()> {
        let mut state = self.state();
        let Some(open) = &mut state.open else { return Ok(()) };
        let now = self.0.environment.instant();
        if open.next.is_none_or(|next| now < next) {
            return Err(open.untried.clone());
        }
        (open.probing, open.next) = (true, now.checked_add(Self::PROBE_LASTS));
        Ok(())
    }

    /// Why nothing is to be asked for now, if so. No probe is granted.
    pub fn cause(&self) -> Option<Error> {
        self.state().open.as_ref().map(|open| open.untried.clone())
    }

    /// Learns what came of a call: `None` for a success. One failure that is told of many rows, as a clone for each, counts
    /// once.
    pub fn note(&self, failure: Option<&Error>) {
        let mut state = self.state();
        if state.open.as_ref().is_some_and(|open| open.next.is_none()) {
            return;
        }
        // Its own word, come back from a caller.
        if state.open.as_ref().zip(failure).is_some_and(|(open, error)| open.untried.is_same(error)) {
            return;
        }
        let Some(error) = failure.filter(|error| !is_answer(error)) else {
            *state = State::default();
            return;
        };
        match error.kind() {
            // The caller's own doing says nothing of the service.
            ErrorKind::Cancelled | ErrorKind::DeadlineExceeded => {}
            ErrorKind::Unauthenticated => state.open = Some(Open::new(error, None)),
            _ if state.last.as_ref().is_some_and(|last| last.is_same(error)) => {}
            _ => {
                state.last = Some(error.clone());
                state.failures = state.failures.saturating_add(1);
                let opens = state.failures >= self.0.in_a_row;
                let now = self.0.environment.instant();
                match &mut state.open {
                    Some(open) => open.failed(error, now),
                    none if opens => {
                        let mut open = Open::new(error, Some(now));
                        open.wait(now, error.retry_after());
                        *none = Some(open);
                    }
                    None => {}
                }
            }
        }
    }

    /// Makes a call, if it may be made, and learns from it.
    ///
    /// # Errors
    /// As [`Self::check`], or the call's own.
    pub async fn run<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.check()?;
        let outcome = call.await;
        self.note(outcome.as_ref().err());
        outcome
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn new(cause: &Error, next: Option<Instant>) -> Self {
        Self { untried: untried(cause), probes: 0, probing: false, next }
    }

    /// One more call failed. Those that were on their way already are no probes.
    fn failed(&mut self, error: &Error, now: Instant) {
        self.untried = untried(error);
        if std::mem::take(&mut self.probing) {
            self.probes = self.probes.saturating_add(1);
            self.wait(now, error.retry_after());
        }
    }

    /// Puts the next probe off.
    fn wait(&mut self, now: Instant, asked: Option<Duration>) {
        let pause = Breaker::FIRST_PAUSE.saturating_mul(1 << self.probes.min(Breaker::DOUBLINGS));
        // A moment that the clock does not reach is never.
        self.next = now.checked_add(pause.max(asked.unwrap_or_default()));
    }
}

/// Whether a failure shows a service at work as well as a success does.
fn is_answer(error: &Error) -> bool {
    use ErrorKind as K;
    !error.is_outage() && !matches!(error.kind(), K::Unauthenticated | K::Cancelled | K::DeadlineExceeded)
}

fn untried(cause: &Error) -> Error {
    let text = match cause.kind() {
        ErrorKind::Unauthenticated => "not tried: the credentials were refused before",
        _ => "not tried: what came before failed one after the other, so the service counts as down",
    };
    let error = Error::new(cause.kind(), text).with_operation(cause.operation()).with_effect(Effect::NotApplied);
    let error = match cause.retryable_override() {
        Some(yes) => error.with_retryable(yes),
        None => error,
    };
    error.with_source(cause.clone())
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = self.cause();
        f.debug_struct("Breaker").field("open", &cause.map(|cause| cause.kind())).finish_non_exhaustive()
    }
}
