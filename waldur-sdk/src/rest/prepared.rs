//! A call that is complete and can be sent as often as needed, and the errors that come of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use secrecy::SecretString;
use url::Url;

use super::{ErrorReader, Idempotency, Intakes, RequestMeta, TransportError, TransportErrorKind, redact};
use crate::error::{Error, ErrorKind, HttpContext, Result};

/// A complete call.
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
    pub(super) secret_answer: bool,
    pub(super) must_exist: bool,
    pub(super) empty_not_found: bool,
    pub(super) error_reader: Option<ErrorReader>,
    /// Who takes the answer in while it arrives.
    pub(super) intakes: Option<Arc<dyn Intakes>>,
}

/// An answer and what is needed to speak of it.
pub(super) struct Answered {
    pub(super) response: Response<Bytes>,
    /// How often the request was sent.
    pub(super) attempts: u32,
    /// The credentials that were sent, which a server may echo.
    pub(super) sensitive: Vec<HeaderValue>,
}

impl Prepared {
    /// What the deadline leaves.
    pub(super) fn left(&self, now: Instant) -> Result<Duration> {
        match self.deadline {
            None => Ok(Duration::MAX),
            Some(deadline) if deadline > now => Ok(deadline.saturating_duration_since(now)),
            Some(_) => Err(self.too_late()),
        }
    }

    pub(super) fn too_late(&self) -> Error {
        let mut http = self.context();
        http.attempts = 0;
        let error = Error::new(ErrorKind::DeadlineExceeded, "the deadline passed before this call was sent");
        error.with_operation(self.operation).with_http(http)
    }

    pub(super) fn request(&self, attempt: u32) -> Result<Request<Bytes>> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self
            .url
            .as_str()
            .parse()
            .map_err(|_| self.name(Error::config("the URL of this call is not valid, or too long")))?;
        *request.headers_mut() = self.headers.clone();
        self.stamp(&mut request, attempt, self.timeout);
        if let Some(intakes) = &self.intakes {
            request.extensions_mut().insert(intakes.fresh());
        }
        Ok(request)
    }

    /// Writes down what travels beside the request.
    pub(super) fn stamp(&self, request: &mut Request<Bytes>, attempt: u32, timeout: Duration) {
        let (operation, template, max_body) = (self.operation, self.template, self.max_body);
        request.extensions_mut().insert(RequestMeta { operation, template, attempt, timeout, max_body });
    }

    /// Names the operation, unless the error has one.
    pub(super) fn name(&self, error: Error) -> Error {
        if error.operation().is_empty() { error.with_operation(self.operation) } else { error }
    }

    fn context(&self) -> HttpContext {
        HttpContext::new(self.method.clone(), self.shown_url.clone())
    }

    pub(super) fn transport_error(&self, failure: TransportError, attempts: u32) -> Error {
        let kind = match failure.kind() {
            TransportErrorKind::Connect => ErrorKind::Connect,
            TransportErrorKind::Local => ErrorKind::Local,
            TransportErrorKind::Tls => ErrorKind::Tls,
            TransportErrorKind::Proxy => ErrorKind::Proxy,
            TransportErrorKind::Timeout => ErrorKind::Timeout,
            TransportErrorKind::Interrupted => ErrorKind::Transport,
            TransportErrorKind::TooLarge => ErrorKind::TooLarge,
            TransportErrorKind::InvalidRequest => ErrorKind::Config,
        };
        let mut http = self.context();
        http.attempts = attempts;
        let error = Error::new(kind, failure.kind().to_string()).with_operation(self.operation).with_http(http);
        match failure.into_source() {
            Some(source) => error.with_source(source),
            None => error,
        }
    }

    /// The request and its answer, without the answer's body.
    pub(super) fn bare_context(&self, answered: &Answered) -> HttpContext {
        let headers = answered.response.headers();
        let mut http = self.context();
        http.status = Some(answered.response.status());
        http.attempts = answered.attempts;
        http.request_id = ["x-request-id", "x-amz-request-id", "x-openstack-request-id"].iter().find_map(|name| {
            let mut id = redact::escape(headers.get(*name)?.to_str().ok()?);
            redact::truncate(&mut id, 128);
            Some(id)
        });
        http
    }

    /// The request and its answer with the beginning of the body, where that may be shown.
    pub(super) fn answered_context(&self, answered: &Answered) -> HttpContext {
        let mut http = self.bare_context(answered);
        let body = answered.response.body();
        let hidden = self.secret_answer && answered.response.status().is_success();
        if !body.is_empty() && !hidden {
            let mut secrets = self.secrets.clone();
            answered.sensitive.iter().for_each(|value| echoes(value, &mut secrets));
            http.body = Some(redact::excerpt(body, &secrets));
        }
        http
    }

    /// An error about a successful answer.
    pub(super) fn answer_error(&self, answered: &Answered, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, message).with_operation(self.operation).with_http(self.answered_context(answered))
    }

    pub(super) fn status_error(&self, answered: &Answered, retry_after: Option<Duration>) -> Error {
        let status = answered.response.status();
        let kind = match status.as_u16() {
            300..=399 => ErrorKind::Redirected,
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::PermissionDenied,
            404 | 410 if self.must_exist => ErrorKind::Config,
            404 | 410 if self.proves_absence(answered) => ErrorKind::NotFound,
            // A page of a proxy says nothing about the object.
            404 | 410 => ErrorKind::WrongContent,
            405 | 501 => ErrorKind::Unsupported,
            407 => ErrorKind::Proxy,
            409 | 412 => ErrorKind::Conflict,
            423 => ErrorKind::NotReady,
            429 => ErrorKind::RateLimited,
            408 | 425 | 503 => ErrorKind::Unavailable,
            500..=599 => ErrorKind::Server,
            400..=499 => ErrorKind::InvalidRequest,
            _ => ErrorKind::Other,
        };
        let mut http = self.answered_context(answered);
        http.retry_after = retry_after;
        let message = if kind == ErrorKind::Config {
            format!("no such API at this base URL: the server answered {status}")
        } else {
            format!("the server answered {status}")
        };
        let error = Error::new(kind, message).with_operation(self.operation).with_http(http);
        match &self.error_reader {
            Some(reader) => reader.read(&answered.response, error),
            None => error,
        }
    }
}

/// The forms in which a server may echo a credential: the header's last word and, for basic credentials, the password.
fn echoes(value: &HeaderValue, secrets: &mut Vec<SecretString>) {
    let Some(word) = value.to_str().ok().and_then(|text| text.split_ascii_whitespace().next_back()) else { return };
    if let Ok(pair) = BASE64_STANDARD.decode(word)
        && let Some((_, password)) = String::from_utf8_lossy(&pair).split_once(':')
    {
        secrets.push(password.into());
    }
    secrets.push(word.into());
}
