//! Trying again within one pass: orders and reports alike.

use std::time::{Duration, Instant};

use crate::{
    backend::OpContext,
    error::{Error, ErrorClass},
    rest::{Environment, RetryPolicy},
};

/// How often and how long within one pass, unless the operator says otherwise.
pub(super) fn within_a_pass() -> RetryPolicy {
    let mut retry = RetryPolicy::default().with_max_attempts(10).with_max_elapsed(Duration::from_secs(60));
    retry.initial_backoff = Duration::from_secs(1);
    retry.max_backoff = Duration::from_secs(15);
    retry
}

/// How long to wait before what failed is tried again, up to the policy's attempts and time, counted from `since`; `None`
/// when it is not, in this pass. What is still failing then waits for the next.
pub(super) fn pause(
    retry: &RetryPolicy,
    environment: &Environment,
    cx: &OpContext,
    since: Instant,
    attempt: u32,
    error: &Error,
) -> Option<Duration> {
    if error.class() != ErrorClass::Transient || attempt >= retry.max_attempts || cx.is_cancelled() {
        return None;
    }
    let pause = retry.pause(attempt, error.retry_after(), environment);
    let now = environment.instant();
    let too_late = now.saturating_duration_since(since).saturating_add(pause) >= retry.max_elapsed
        || cx.deadline.is_some_and(|deadline| now.checked_add(pause).is_none_or(|next| next >= deadline));
    (!too_late).then_some(pause)
}
