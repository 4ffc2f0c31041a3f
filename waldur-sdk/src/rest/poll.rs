//! Waits until a condition holds. This is not a retry: a retry repeats a call that failed, this repeats a call that
//! succeeded and said "not yet".
//!
//! For what a service does in its own time: a server that is being built, a volume that is being copied, a deletion that
//! takes long. To see what our own write came to, use [`read_back`](crate::backend::read_back): it looks at once and for
//! seconds, and takes a wrong reading for a late one. If it may take longer than a pass, use neither, and answer with
//! [`Progress::Pending`](crate::backend::Progress::Pending).

use std::time::Duration;

use super::Environment;
use crate::error::{Error, ErrorKind, Result};

/// How often and how long to look. The pauses have no jitter: what is waited for belongs to one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PollPolicy {
    /// The first pause; doubles each time. Default 1 s.
    pub first_pause: Duration,
    /// The longest pause. Default 15 s.
    pub max_pause: Duration,
    /// No look begins later than this after the first; the last one begins then. Default 5 min.
    pub budget: Duration,
    /// How many looks may fail in a row with an error that is retryable. Default 3.
    pub tolerated_errors: u32,
}

impl Default for PollPolicy {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(1),
            max_pause: Duration::from_secs(15),
            budget: Duration::from_secs(300),
            tolerated_errors: 3,
        }
    }
}

impl PollPolicy {
    /// The defaults with another budget.
    pub fn within(budget: Duration) -> Self {
        Self { budget, ..Self::default() }
    }

    /// Replaces [`Self::first_pause`] and [`Self::max_pause`].
    #[must_use]
    pub fn with_pauses(mut self, first: Duration, max: Duration) -> Self {
        self.first_pause = first;
        self.max_pause = max;
        self
    }

    /// Replaces [`Self::tolerated_errors`].
    #[must_use]
    pub fn with_tolerated_errors(mut self, errors: u32) -> Self {
        self.tolerated_errors = errors;
        self
    }
}

/// What one look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollStep<T> {
    /// It is so.
    Done(T),
    /// Not yet; the text says what is (`"BUILD"`, `"3 of 5 nodes"`).
    Waiting(String),
}

/// An object looked for, where its absence is an answer too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation<T> {
    /// It is there.
    Present(T),
    /// It is proven absent (404 of the API).
    Gone,
}

impl<T> Observation<T> {
    /// Takes a 404 of the API for an answer.
    ///
    /// # Errors
    /// Every other error.
    pub fn of(outcome: Result<T>) -> Result<Self> {
        match outcome {
            Ok(value) => Ok(Self::Present(value)),
            Err(error) if error.is_not_found() => Ok(Self::Gone),
            Err(error) => Err(error),
        }
    }
}

/// Where a poll stands, after a look that did not end it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Waiting<'a> {
    /// How often it was looked.
    pub looks: u32,
    /// The time since the first look.
    pub elapsed: Duration,
    /// What [`PollStep::Waiting`] said last.
    pub state: &'a str,
    /// The error of this look, if it failed and is tolerated.
    pub error: Option<&'a Error>,
    /// The pause before the next look.
    pub pause: Duration,
}

/// Looks with `look` until it answers [`PollStep::Done`]. `progress` is told of every look that did not end it.
///
/// An error of `look` that is retryable is tolerated [`PollPolicy::tolerated_errors`] times in a row, and its
/// `Retry-After` respected; [`ErrorKind::NotReady`] is an answer, not an error. May be dropped at any time; a look that
/// has begun is not cut off by the budget.
///
/// # Errors
/// [`ErrorKind::NotReady`] when the budget ends, with the last state in its text and the last tolerated error as its
/// source; the error of `look` when it is not retryable, or one too many in a row.
pub async fn poll_until<T, Look, Looking>(
    environment: &Environment,
    policy: &PollPolicy,
    mut look: Look,
    mut progress: impl FnMut(&Waiting<'_>),
) -> Result<T>
where
    Look: FnMut() -> Looking,
    Looking: Future<Output = Result<PollStep<T>>>,
{
    let begin = environment.instant();
    let mut state = String::from("nothing is known yet");
    let (mut looks, mut errors, mut backoff) = (0_u32, 0_u32, policy.first_pause.min(policy.max_pause));
    loop {
        let failure = match look().await {
            Ok(PollStep::Done(value)) => return Ok(value),
            Ok(PollStep::Waiting(now)) => {
                state = now;
                None
            }
            Err(error) if error.kind() == ErrorKind::NotReady => {
                error.message().clone_into(&mut state);
                None
            }
            Err(error) if error.is_retryable() && errors < policy.tolerated_errors => Some(error),
            Err(error) => return Err(error),
        };
        looks = looks.saturating_add(1);
        errors = if failure.is_some() { errors + 1 } else { 0 };
        let elapsed = environment.instant().saturating_duration_since(begin);
        let left = policy.budget.saturating_sub(elapsed);
        if left.is_zero() {
            let error = Error::new(ErrorKind::NotReady, format!("not done after {} s: {state}", elapsed.as_secs()));
            return Err(match failure {
                Some(cause) => error.with_source(cause),
                None => error,
            });
        }
        let asked = failure.as_ref().and_then(Error::retry_after).unwrap_or_default();
        let pause = backoff.max(asked).min(left);
        progress(&Waiting { looks, elapsed, state: &state, error: failure.as_ref(), pause });
        environment.sleep(pause).await;
        backoff = backoff.saturating_mul(2).min(policy.max_pause);
    }
}
