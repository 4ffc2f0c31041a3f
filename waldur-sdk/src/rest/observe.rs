//! What the embedding service may watch.

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode};

use crate::error::ErrorKind;

/// Watches attempts: metrics, logs, audit. Called in the caller's task; must not block.
pub trait Observer: Send + Sync + 'static {
    /// One sending ended.
    fn on_attempt(&self, _event: &AttemptEvent<'_>) {}
}

impl Observer for () {}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn on_attempt(&self, event: &AttemptEvent<'_>) {
        (**self).on_attempt(event);
    }
}

/// One sending and what became of it. Holds nothing secret: no query, no ids, no bodies.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AttemptEvent<'a> {
    /// The name of the call, e.g. `orders.list`.
    pub operation: &'static str,
    /// The method.
    pub method: &'a Method,
    /// The server's host name.
    pub host: &'a str,
    /// The path's template.
    pub template: &'static str,
    /// 1 for the first sending; counts every one, also after a renewal of the credentials.
    pub attempt: u32,
    /// The status, if an answer came.
    pub status: Option<StatusCode>,
    /// What went wrong, if something did.
    pub error: Option<ErrorKind>,
    /// How long this sending took.
    pub elapsed: Duration,
    /// The pause before the next sending; `None` when this was the last.
    pub retry_in: Option<Duration>,
}
