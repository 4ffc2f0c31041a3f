//! Spans and events with `tracing` (feature `tracing`): names and numbers of a call, never a query, a header or a body.

use http::StatusCode;

use super::prepared::Prepared;
use crate::error::ErrorKind;

/// The span `HTTP {METHOD}` of one attempt, with OpenTelemetry's attribute names. Nothing without the feature.
pub(super) struct AttemptSpan {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

#[cfg(not(feature = "tracing"))]
impl AttemptSpan {
    pub(super) fn new(_call: &Prepared, _attempt: u32) -> Self {
        Self {}
    }

    pub(super) async fn around<F: Future>(&self, exchange: F) -> F::Output {
        exchange.await
    }

    pub(super) fn end(&self, _status: Option<StatusCode>, _error: Option<ErrorKind>) {
        let Self {} = self;
    }
}

#[cfg(feature = "tracing")]
impl AttemptSpan {
    pub(super) fn new(call: &Prepared, attempt: u32) -> Self {
        use tracing::field::Empty;
        // The name of a span is fixed where it is written, hence one place for each method.
        macro_rules! span {
            ($name:literal) => {
                tracing::debug_span!(
                    $name,
                    "http.request.method" = call.method.as_str(),
                    "url.template" = call.template,
                    "server.address" = call.url.host_str().unwrap_or_default(),
                    "http.response.status_code" = Empty,
                    "http.request.resend_count" = attempt.saturating_sub(1),
                    "error.type" = Empty,
                    operation = call.operation,
                )
            };
        }
        let span = match call.method.as_str() {
            "GET" => span!("HTTP GET"),
            "HEAD" => span!("HTTP HEAD"),
            "POST" => span!("HTTP POST"),
            "PUT" => span!("HTTP PUT"),
            "PATCH" => span!("HTTP PATCH"),
            "DELETE" => span!("HTTP DELETE"),
            _ => span!("HTTP"),
        };
        Self { span }
    }

    pub(super) async fn around<F: Future>(&self, exchange: F) -> F::Output {
        use tracing::Instrument;
        exchange.instrument(self.span.clone()).await
    }

    pub(super) fn end(&self, status: Option<StatusCode>, error: Option<ErrorKind>) {
        if let Some(status) = status {
            self.span.record("http.response.status_code", status.as_u16());
        }
        if let Some(error) = error {
            self.span.record("error.type", tracing::field::debug(error));
        }
    }
}

/// An [`Observer`](super::Observer) that writes one event for every attempt: a repeat as `INFO`, everything else as
/// `DEBUG`. The spans need no observer.
#[cfg(feature = "tracing")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingObserver;

#[cfg(feature = "tracing")]
impl super::Observer for TracingObserver {
    fn on_attempt(&self, event: &super::AttemptEvent<'_>) {
        macro_rules! event {
            ($level:ident, $text:literal) => {
                tracing::$level!(
                    operation = event.operation,
                    "http.request.method" = event.method.as_str(),
                    "url.template" = event.template,
                    "server.address" = event.host,
                    "http.response.status_code" = event.status.map(|status| status.as_u16()),
                    "http.request.resend_count" = event.attempt.saturating_sub(1),
                    "error.type" = event.error.map(tracing::field::debug),
                    elapsed_ms = u64::try_from(event.elapsed.as_millis()).unwrap_or(u64::MAX),
                    retry_in_ms = event.retry_in.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
                    $text
                )
            };
        }
        if event.retry_in.is_some() {
            event!(info, "the attempt failed and will be repeated");
        } else {
            event!(debug, "the attempt ended");
        }
    }
}
