//! The seam to the HTTP stack.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use crate::error::BoxError;

/// Anything that can carry one HTTP exchange: a real stack, a fake, or a layer around another transport.
///
/// # Contract
/// - Exactly one exchange per call: no retry, no redirect, no cookie store.
/// - The body of the answer is read at most up to [`RequestMeta::max_body`] bytes (of the decoded body); one byte more
///   is [`TransportErrorKind::TooLarge`], and reading stops there.
/// - The body of a 2xx answer may be handed over piece by piece instead, if an [`Intake`](super::Intake) is in the
///   request's extensions.
/// - A body that ends before its announced length is an error, never a short body.
/// - Any status is `Ok`; `Err` means that no complete answer came.
/// - Dropping the future abandons the exchange.
#[async_trait]
pub trait HttpTransport: Send + Sync + 'static {
    /// Carries one exchange. [`RequestMeta`] is in the extensions of requests that come from [`RestClient`].
    ///
    /// [`RestClient`]: super::RestClient
    ///
    /// # Errors
    /// When no complete answer came. [`TransportErrorKind`] says how far the request got, and decides whether it may be
    /// repeated.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError>;
}

#[async_trait]
impl<T: HttpTransport + ?Sized> HttpTransport for Arc<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        (**self).send(request).await
    }
}

#[async_trait]
impl<T: HttpTransport + ?Sized> HttpTransport for Box<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        (**self).send(request).await
    }
}

/// What travels beside a request, in its extensions, for transports and layers.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestMeta {
    /// The name of the call, e.g. `orders.list`: for spans and metrics.
    pub operation: &'static str,
    /// The path's template, e.g. `/api/marketplace-orders/{order}/`.
    pub template: &'static str,
    /// 1 for the first sending. Counts every sending, the one after a renewal of the credentials included.
    pub attempt: u32,
    /// How long this attempt may take in all. The client enforces it too, on its own timer.
    pub timeout: Duration,
    /// The largest body accepted, in bytes.
    pub max_body: usize,
}

impl RequestMeta {
    /// The default limit of a body: 8 MiB.
    pub const DEFAULT_MAX_BODY: usize = 8 * 1024 * 1024;

    /// Metadata of a first attempt.
    pub fn new(operation: &'static str, template: &'static str) -> Self {
        Self { operation, template, attempt: 1, timeout: Duration::from_secs(60), max_body: Self::DEFAULT_MAX_BODY }
    }
}

/// No complete answer came.
///
/// The source must not print the URL's query or any header.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct TransportError {
    kind: TransportErrorKind,
    source: Option<BoxError>,
}

impl TransportError {
    /// An error without a cause.
    pub fn new(kind: TransportErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// How far the exchange came.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    pub(crate) fn into_source(self) -> Option<BoxError> {
        self.source
    }
}

/// How far a failed exchange came; decides what may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// Not connected: nothing was sent.
    Connect,
    /// No file descriptors or ports left on this side to connect with: nothing was sent.
    Local,
    /// The TLS handshake was refused (certificate, name, version): nothing was sent, and a repeat would not help.
    /// A handshake that merely broke off is [`Self::Connect`].
    Tls,
    /// The proxy refused the tunnel, or could not be reached: nothing reached the server.
    Proxy,
    /// No complete answer in time; the request may have been carried out.
    Timeout,
    /// The connection broke; the request may have been carried out.
    Interrupted,
    /// The answer's body is larger than the limit.
    TooLarge,
    /// The request itself cannot be sent (invalid URL or header). Nothing was sent.
    InvalidRequest,
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "could not connect",
            Self::Local => "could not connect: this side has no file descriptors or ports left",
            Self::Tls => "TLS failed",
            Self::Proxy => "the proxy refused",
            Self::Timeout => "no answer in time",
            Self::Interrupted => "the connection broke",
            Self::TooLarge => "the answer is too large",
            Self::InvalidRequest => "the request cannot be sent",
        })
    }
}
