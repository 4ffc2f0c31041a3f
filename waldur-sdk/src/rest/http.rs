//! The pipeline of every call: credentials, one attempt, judgement, pause, again.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use secrecy::SecretString;
use url::Url;

use super::{
    Authenticator, Environment, HttpTransport, Idempotency, RequestMeta, RetryPolicy, TransportError,
    TransportErrorKind,
    observe::{AttemptEvent, Observer},
    redact,
    retry::{self, Attempt, Budget},
};
use crate::error::{Error, ErrorKind, HttpContext, Result};

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

    pub(super) async fn run(&self, authenticator: &dyn Authenticator, call: &Prepared) -> Result<Response<Bytes>> {
        let begin = self.environment.instant();
        let idempotent = call.idempotency.allows(&call.method);
        let mut renewed = false;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let timeout = call.remaining(self.environment.instant())?;
            let mut request = call.request(attempt, timeout)?;
            let generation = authenticator.authenticate(self, &mut request).await.map_err(|error| call.name(error))?;
            let sent = self.environment.instant();
            let outcome = self.attempt(request, timeout).await;
            let elapsed = self.environment.instant().saturating_duration_since(sent);
            let (error, judged) = match outcome {
                Ok(answer) if answer.status().is_success() => {
                    self.budget.refund();
                    self.report(call, attempt, Some(answer.status()), elapsed, None, None);
                    return Ok(answer);
                }
                Ok(answer) => {
                    let refused = matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
                    if refused && !renewed && authenticator.refused(generation, &answer).await {
                        renewed = true;
                        attempt -= 1;
                        self.report(call, attempt + 1, Some(answer.status()), elapsed, None, Some(Duration::ZERO));
                        continue;
                    }
                    let asked = retry::retry_after(answer.headers(), self.environment.now());
                    let judged = Attempt::Status { status: answer.status(), retry_after: asked };
                    (call.status_error(&answer, asked, attempt), judged)
                }
                Err(failure) => {
                    let judged = Attempt::Failed(failure.kind());
                    (call.transport_error(failure, attempt), judged)
                }
            };
            let pause = self.pause(begin, call, attempt, &error, judged, idempotent);
            self.report(call, attempt, error.status(), elapsed, Some(error.kind()), pause);
            match pause {
                Some(pause) => self.environment.sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    /// One exchange, cut off at `timeout` on this pipeline's own timer, whatever the transport does.
    async fn attempt(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, TransportError> {
        match select(self.transport.send(request), self.environment.sleep(timeout)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), _)) => Err(TransportError::new(TransportErrorKind::Timeout)),
        }
    }

    /// How long to wait before the next attempt; `None` when there is none.
    fn pause(
        &self,
        begin: Instant,
        call: &Prepared,
        attempt: u32,
        error: &Error,
        judged: Attempt,
        idempotent: bool,
    ) -> Option<Duration> {
        let price = retry::price(judged, idempotent)?;
        if attempt >= self.policy.max_attempts {
            return None;
        }
        let pause = self.policy.pause(attempt, error.retry_after(), &self.environment);
        let now = self.environment.instant();
        let too_late = now.saturating_duration_since(begin).saturating_add(pause) >= self.policy.max_elapsed
            || call.deadline.is_some_and(|deadline| now.checked_add(pause).is_none_or(|then| then >= deadline));
        (!too_late && self.budget.take(price)).then_some(pause)
    }

    fn report(
        &self,
        call: &Prepared,
        attempt: u32,
        status: Option<StatusCode>,
        elapsed: Duration,
        error: Option<ErrorKind>,
        retry_in: Option<Duration>,
    ) {
        self.observer.on_attempt(&AttemptEvent {
            operation: call.operation,
            method: &call.method,
            host: call.url.host_str().unwrap_or_default(),
            template: call.template,
            attempt,
            status,
            error,
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

/// A call that is complete and can be sent as often as needed.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) operation: &'static str,
    pub(super) template: &'static str,
    pub(super) shown_url: String,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) idempotency: Idempotency,
    pub(super) timeout: Duration,
    pub(super) deadline: Option<Instant>,
    pub(super) max_body: usize,
    pub(super) secrets: Vec<SecretString>,
}

impl Prepared {
    /// The time of the next attempt: the call's timeout, or what the deadline leaves.
    fn remaining(&self, now: Instant) -> Result<Duration> {
        match self.deadline {
            None => Ok(self.timeout),
            Some(deadline) if deadline > now => Ok(self.timeout.min(deadline.saturating_duration_since(now))),
            Some(_) => Err(self.name(Error::new(ErrorKind::DeadlineExceeded, "the deadline passed before this call"))),
        }
    }

    fn request(&self, attempt: u32, timeout: Duration) -> Result<Request<Bytes>> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self
            .url
            .as_str()
            .parse()
            .map_err(|_| self.name(Error::config("the URL of this call is not valid, or too long")))?;
        *request.headers_mut() = self.headers.clone();
        request.extensions_mut().insert(RequestMeta {
            operation: self.operation,
            template: self.template,
            attempt,
            timeout,
            max_body: self.max_body,
        });
        Ok(request)
    }

    fn name(&self, error: Error) -> Error {
        if error.operation().is_empty() { error.with_operation(self.operation) } else { error }
    }

    pub(super) fn context(&self) -> HttpContext {
        HttpContext::new(self.method.clone(), self.shown_url.clone())
    }

    fn transport_error(&self, failure: TransportError, attempt: u32) -> Error {
        let kind = match failure.kind() {
            TransportErrorKind::Connect => ErrorKind::Connect,
            TransportErrorKind::Tls => ErrorKind::Tls,
            TransportErrorKind::Proxy => ErrorKind::Proxy,
            TransportErrorKind::Timeout => ErrorKind::Timeout,
            TransportErrorKind::Interrupted => ErrorKind::Transport,
            TransportErrorKind::TooLarge => ErrorKind::TooLarge,
            TransportErrorKind::InvalidRequest => ErrorKind::Config,
        };
        let mut http = self.context();
        http.attempts = attempt;
        let error = Error::new(kind, failure.kind().to_string()).with_operation(self.operation).with_http(http);
        match failure.into_source() {
            Some(source) => error.with_source(source),
            None => error,
        }
    }

    pub(super) fn answered(&self, answer: &Response<Bytes>) -> HttpContext {
        let mut http = self.context();
        http.status = Some(answer.status());
        http.request_id = ["x-request-id", "x-amz-request-id", "x-openstack-request-id"].iter().find_map(|name| {
            let id = answer.headers().get(*name)?.to_str().ok()?;
            Some(redact::escape(id.get(..id.len().min(128))?))
        });
        http.body = (!answer.body().is_empty()).then(|| redact::excerpt(answer.body(), &self.secrets));
        http
    }

    fn status_error(&self, answer: &Response<Bytes>, asked: Option<Duration>, attempt: u32) -> Error {
        let status = answer.status();
        let html = looks_like_html(answer.body());
        let kind = match status.as_u16() {
            300..=399 => ErrorKind::Redirected,
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::PermissionDenied,
            // A page of a proxy says nothing about the object.
            404 | 410 if html => ErrorKind::WrongContent,
            404 | 410 => ErrorKind::NotFound,
            407 => ErrorKind::Proxy,
            409 | 412 | 423 => ErrorKind::Conflict,
            413 => ErrorKind::QuotaExceeded,
            429 => ErrorKind::RateLimited,
            501 => ErrorKind::Unsupported,
            408 | 425 | 503 => ErrorKind::Unavailable,
            500..=599 => ErrorKind::Server,
            400..=499 => ErrorKind::InvalidRequest,
            _ => ErrorKind::Other,
        };
        let mut http = self.answered(answer);
        http.retry_after = asked;
        http.attempts = attempt;
        Error::new(kind, format!("the server answered {status}")).with_operation(self.operation).with_http(http)
    }
}

/// Whether a body is a page for people instead of an answer of an API.
pub(super) fn looks_like_html(body: &[u8]) -> bool {
    let text = body.trim_ascii_start();
    text.first() == Some(&b'<') && !text.starts_with(b"<?xml") && {
        let head: Vec<u8> = text.iter().take(64).map(u8::to_ascii_lowercase).collect();
        head.starts_with(b"<!doctype") || head.starts_with(b"<html") || head.windows(5).any(|part| part == b"<html")
    }
}
