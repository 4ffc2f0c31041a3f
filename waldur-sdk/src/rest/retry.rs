//! What is repeated, when and how often.
//!
//! | what happened | idempotent call | other call |
//! |---|---|---|
//! | not connected: nothing was sent | repeat | repeat |
//! | no answer in time, connection broke | repeat (dearer) | no |
//! | 429 | repeat | repeat: the server says that it did nothing |
//! | 503 | repeat | only with `Retry-After` |
//! | 408, 425, 500, 502, 504 | repeat | no |
//! | 401 | one renewal of the credentials, not counted | the same |
//! | TLS, redirect, other 4xx, wrong or too large body | no | no |
//!
//! A client that reads more from an error's body
//! ([`RestClient::with_error_reader`](super::RestClient::with_error_reader)) overrules the table. What it calls not
//! retryable is not repeated. What it calls retryable is repeated if the call is idempotent or was not carried out.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, Method, StatusCode, header};
use jiff::Timestamp;

use super::{Environment, TransportErrorKind};
use crate::error::{Effect, Error};

/// How often and how patiently calls are repeated.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Sendings in all, the first included. Default 4.
    pub max_attempts: u32,
    /// Upper bound of the first pause; doubles each time. Default 200 ms.
    pub initial_backoff: Duration,
    /// Upper bound of every pause, without what the server asks for. Default 10 s.
    pub max_backoff: Duration,
    /// No new attempt starts later than this after the first. Default 120 s: an attempt that hung for the default
    /// timeout of 60 s is repeated once.
    pub max_elapsed: Duration,
    /// Tokens shared by all calls of one back end; a retry costs 5, after a timeout 10; an answer that is no reason to
    /// repeat gives 1 back. Default 100.
    pub budget: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            initial_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
            max_elapsed: Duration::from_secs(120),
            budget: 100,
        }
    }
}

impl RetryPolicy {
    /// Every call is sent once.
    pub fn none() -> Self {
        Self { max_attempts: 1, ..Self::default() }
    }

    /// Replaces [`Self::max_attempts`]; 0 counts as 1.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Replaces [`Self::max_elapsed`].
    #[must_use]
    pub fn with_max_elapsed(mut self, elapsed: Duration) -> Self {
        self.max_elapsed = elapsed;
        self
    }

    /// Replaces [`Self::budget`].
    #[must_use]
    pub fn with_budget(mut self, tokens: u32) -> Self {
        self.budget = tokens;
        self
    }

    /// The pause after attempt number `attempt` (from 1): full jitter, on top of what the server asked for. It asks all of
    /// its callers alike, so without the jitter they would all come back at the same moment.
    pub fn pause(&self, attempt: u32, asked: Option<Duration>, environment: &Environment) -> Duration {
        let doubled = self.initial_backoff.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let ceiling = doubled.min(self.max_backoff);
        // The product of a huge ceiling may round beyond what a Duration holds.
        let backoff = Duration::try_from_secs_f64(ceiling.as_secs_f64() * environment.fraction()).unwrap_or(ceiling);
        asked.unwrap_or_default().saturating_add(backoff.min(ceiling))
    }
}

/// Whether a call may be repeated although its first sending may have been carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Idempotency {
    /// `GET`, `HEAD`, `PUT`, `DELETE`, `OPTIONS`: yes; `POST`, `PATCH`: no.
    #[default]
    FromMethod,
    /// Yes: a repeat does no harm.
    Idempotent,
    /// No, whatever the method.
    NotIdempotent,
}

impl Idempotency {
    /// Resolves the rule for a method.
    pub fn allows(self, method: &Method) -> bool {
        match self {
            Self::FromMethod => method.is_idempotent(),
            Self::Idempotent => true,
            Self::NotIdempotent => false,
        }
    }
}

/// What one sending came to, as far as repeating is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attempt {
    Status { status: StatusCode, retry_after: Option<Duration> },
    Failed(TransportErrorKind),
}

/// The price of the repeat, or `None` when there must be none.
pub(super) fn price(attempt: Attempt, idempotent: bool, failure: &Error) -> Option<u32> {
    const PLAIN: u32 = 5;
    const AFTER_TIMEOUT: u32 = 10;
    let harmless = idempotent || failure.effect() == Effect::NotApplied;
    if failure.retryable_override() == Some(true) && harmless {
        return Some(PLAIN);
    }
    if !failure.is_retryable() {
        return None;
    }
    match attempt {
        Attempt::Failed(TransportErrorKind::Connect | TransportErrorKind::Local) => Some(PLAIN),
        Attempt::Failed(TransportErrorKind::Timeout | TransportErrorKind::Interrupted) => {
            idempotent.then_some(AFTER_TIMEOUT)
        }
        Attempt::Failed(_) => None,
        Attempt::Status { status, retry_after } => match status.as_u16() {
            429 => Some(PLAIN),
            503 => (idempotent || retry_after.is_some()).then_some(PLAIN),
            408 | 425 | 500 | 502 | 504 => idempotent.then_some(PLAIN),
            _ => None,
        },
    }
}

/// The tokens that all retries towards one back end share, so that an outage is not made worse.
#[derive(Debug)]
pub(super) struct Budget {
    tokens: AtomicU32,
    full: u32,
}

impl Budget {
    pub(super) fn new(full: u32) -> Self {
        Self { tokens: AtomicU32::new(full), full }
    }

    pub(super) fn take(&self, price: u32) -> bool {
        self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(price)).is_ok()
    }

    pub(super) fn refund(&self) {
        let full = self.full;
        // An Err only says that the budget is full already.
        let _full =
            self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| (left < full).then_some(left + 1));
    }
}

/// Reads `Retry-After` in both forms (RFC 9110 §10.2.3): seconds, or a date measured against the server's own `Date`
/// (against `now` when that is missing, or more than a day away from it). A date in the past is zero; anything
/// unreadable is `None`.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    const PLAUSIBLE: Duration = Duration::from_secs(24 * 60 * 60);
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let local = SystemTime::from(now);
    let server = headers
        .get(header::DATE)
        .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok())
        .filter(|server| server.duration_since(local).unwrap_or_else(|past| past.duration()) <= PLAUSIBLE)
        .unwrap_or(local);
    Some(until.duration_since(server).unwrap_or(Duration::ZERO))
}
