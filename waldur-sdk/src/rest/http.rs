//! The pipeline of every call: credentials, one attempt, judgement, pause, again.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{HeaderValue, Request, Response, StatusCode};

use super::{
    Authenticator, Environment, HttpTransport, RetryPolicy, TokenGeneration, TransportError, TransportErrorKind,
    observe::{AttemptEvent, Observer},
    prepared::{Answered, Prepared},
    retry::{self, Attempt, Budget},
    trace::AttemptSpan,
};
use crate::error::{Effect, Error, ErrorKind, Result};

/// A transport with retries, budget, clocks and an observer, and no credentials: one per back end. Cheap to clone;
/// clones share the retry budget.
#[derive(Clone)]
pub struct Http {
    transport: Arc<dyn HttpTransport>,
    environment: Environment,
    policy: RetryPolicy,
    budget: Arc<Budget>,
    observer: Arc<dyn Observer>,
}

impl Http {
    /// The pipeline over `transport` with default policy and environment.
    pub fn new(transport: impl HttpTransport) -> Self {
        let policy = RetryPolicy::default();
        Self {
            transport: Arc::new(transport),
            environment: Environment::default(),
            budget: Arc::new(Budget::new(policy.budget)),
            policy,
            observer: Arc::new(()),
        }
    }

    /// The pipeline over connections of this crate's own ([`ReqwestTransport`](super::ReqwestTransport)), with default
    /// policy and environment. Needs a Tokio runtime once something is sent.
    ///
    /// ```
    /// use waldur_sdk::rest::{Http, HttpOptions};
    ///
    /// let http = Http::connect(&HttpOptions::default())?;
    /// # drop(http);
    /// # Ok::<(), waldur_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`ReqwestTransport::new`](super::ReqwestTransport::new).
    #[cfg(feature = "reqwest")]
    pub fn connect(options: &super::HttpOptions) -> Result<Self> {
        Ok(Self::new(super::ReqwestTransport::new(options)?))
    }

    /// Replaces sleep, clocks and randomness.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Replaces the retry policy, and with it the budget.
    #[must_use]
    pub fn with_retry(mut self, policy: RetryPolicy) -> Self {
        self.budget = Arc::new(Budget::new(policy.budget));
        self.policy = policy;
        self
    }

    /// Replaces the observer of attempts.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Sleep, clocks and randomness of this pipeline.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The retry policy of this pipeline.
    pub fn retry(&self) -> &RetryPolicy {
        &self.policy
    }

    /// Sends a call as often as the policy allows. Holds nothing between its awaits but the call itself, so it may be
    /// dropped at any of them.
    pub(super) async fn run(&self, authenticator: &dyn Authenticator, call: &Prepared) -> Result<Answered> {
        let mut course = Course { begin: self.environment.instant(), sent: 0, renewed: false, last: None };
        loop {
            let ready = match self.make_ready(authenticator, call, course.sent + 1).await {
                Ok(ready) => ready,
                Err(error) => return Err(course.interrupted(error)),
            };
            course.sent += 1;
            let begun = self.environment.instant();
            let span = AttemptSpan::new(call, course.sent);
            let outcome = span.around(self.exchange(ready.request, ready.timeout)).await;
            let elapsed = self.environment.instant().saturating_duration_since(begun);
            let (failure, attempt) = match outcome {
                Ok(response) => {
                    let answered = Answered { response, attempts: course.sent, sensitive: ready.sensitive };
                    let status = answered.response.status();
                    if status.is_success() {
                        self.budget.refund();
                        span.end(Some(status), None);
                        self.report(call, course.sent, Some(status), elapsed, None, None);
                        return Ok(answered);
                    }
                    let retry_after = retry::retry_after(answered.response.headers(), self.environment.now());
                    let failure = call.status_error(&answered, retry_after);
                    let may_renew = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
                    if may_renew && !course.renewed && authenticator.refused(ready.generation, &answered.response).await
                    {
                        span.end(Some(status), Some(failure.kind()));
                        self.report(call, course.sent, Some(status), elapsed, Some(&failure), Some(Duration::ZERO));
                        course.renewed = true;
                        course.last = Some(course.carry(failure));
                        continue;
                    }
                    (failure, Attempt::Status { status, retry_after })
                }
                Err(failure) => {
                    let attempt = Attempt::Failed(failure.kind());
                    (call.transport_error(failure, course.sent), attempt)
                }
            };
            if matches!(attempt, Attempt::Status { .. }) && !failure.is_retryable() {
                // A 404 or a 409 shows a server at work as well as a 200 does.
                self.budget.refund();
            }
            let pause = self.pause(&course, call, &failure, attempt);
            span.end(failure.status(), Some(failure.kind()));
            self.report(call, course.sent, failure.status(), elapsed, Some(&failure), pause);
            let failure = course.carry(failure);
            let Some(pause) = pause else { return Err(failure) };
            course.last = Some(failure);
            self.environment.sleep(pause).await;
        }
    }

    /// The next request with its credentials, and what the deadline leaves it.
    async fn make_ready(&self, authenticator: &dyn Authenticator, call: &Prepared, attempt: u32) -> Result<Ready> {
        let mut request = call.request(attempt)?;
        let left = call.left(self.environment.instant())?;
        let authenticated = match call.deadline {
            None => authenticator.authenticate(self, &mut request).await,
            // Fetching a token has a policy of its own, which knows nothing of this call's deadline.
            Some(_) => match select(authenticator.authenticate(self, &mut request), self.environment.sleep(left)).await
            {
                Either::Left((outcome, _)) => outcome,
                Either::Right(((), _)) => Err(call.too_late()),
            },
        };
        let generation = authenticated.map_err(|error| call.name(error))?;
        let timeout = call.timeout.min(call.left(self.environment.instant())?);
        call.stamp(&mut request, attempt, timeout);
        let sensitive = request.headers().values().filter(|value| value.is_sensitive()).cloned().collect();
        Ok(Ready { request, generation, timeout, sensitive })
    }

    /// One exchange, cut off at `timeout` on this pipeline's own timer, whatever the transport does.
    async fn exchange(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, TransportError> {
        match select(self.transport.send(request), self.environment.sleep(timeout)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), _)) => Err(TransportError::new(TransportErrorKind::Timeout)),
        }
    }

    /// How long to wait before the next attempt; `None` when there is none.
    fn pause(&self, course: &Course, call: &Prepared, failure: &Error, attempt: Attempt) -> Option<Duration> {
        let price = retry::price(attempt, call.idempotency.allows(&call.method), failure)?;
        if course.counted() >= self.policy.max_attempts {
            return None;
        }
        let pause = self.policy.pause(course.counted(), failure.retry_after(), &self.environment);
        let now = self.environment.instant();
        let too_late = now.saturating_duration_since(course.begin).saturating_add(pause) >= self.policy.max_elapsed
            || call.deadline.is_some_and(|deadline| now.checked_add(pause).is_none_or(|next| next >= deadline));
        (!too_late && self.budget.take(price)).then_some(pause)
    }

    fn report(
        &self,
        call: &Prepared,
        attempt: u32,
        status: Option<StatusCode>,
        elapsed: Duration,
        failure: Option<&Error>,
        retry_in: Option<Duration>,
    ) {
        self.observer.on_attempt(&AttemptEvent {
            operation: call.operation,
            method: &call.method,
            host: call.url.host_str().unwrap_or_default(),
            template: call.template,
            attempt,
            status,
            error: failure.map(Error::kind),
            elapsed,
            retry_in,
        });
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// An attempt about to be sent.
struct Ready {
    request: Request<Bytes>,
    generation: TokenGeneration,
    timeout: Duration,
    sensitive: Vec<HeaderValue>,
}

/// What a call has been through.
struct Course {
    begin: Instant,
    /// Every sending.
    sent: u32,
    /// One of them was owed to a renewal of the credentials and does not count as a repeat.
    renewed: bool,
    /// The error of the latest sending, with the effect of all of them.
    last: Option<Error>,
}

impl Course {
    fn counted(&self) -> u32 {
        self.sent.saturating_sub(u32::from(self.renewed))
    }

    /// An error of the latest sending, made to answer for the earlier ones too.
    fn carry(&self, error: Error) -> Error {
        let unknown = self.last.as_ref().is_some_and(|last| last.effect() == Effect::Unknown);
        if unknown { error.with_effect(Effect::Unknown) } else { error }
    }

    /// The error of a call whose next sending never left.
    fn interrupted(self, error: Error) -> Error {
        match self.last {
            None => error.with_effect(Effect::NotApplied),
            // The failure that was to be repeated says more than the missing time.
            Some(last) if error.kind() == ErrorKind::DeadlineExceeded => last,
            Some(last) => error.with_effect(last.effect()),
        }
    }
}
