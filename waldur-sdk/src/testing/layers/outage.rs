//! A network that can be cut.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use crate::rest::{HttpTransport, TransportError, TransportErrorKind};

/// A switch around a transport: while it is off, no connection is made and nothing arrives. What
/// [`Subject::set_outage`](crate::testing::conformance::Subject::set_outage) needs.
///
/// Clones share the switch.
///
/// ```
/// use waldur_sdk::testing::Outage;
/// # fn example(fake: impl waldur_sdk::rest::HttpTransport) {
/// let outage = Outage::new(fake);
/// outage.set(true);
/// assert!(outage.is_on());
/// # }
/// ```
#[derive(Clone)]
pub struct Outage {
    inner: Arc<dyn HttpTransport>,
    on: Arc<AtomicBool>,
}

impl Outage {
    /// A way to `inner` that is open.
    pub fn new(inner: impl HttpTransport) -> Self {
        Self { inner: Arc::new(inner), on: Arc::default() }
    }

    /// Begins the outage, or ends it.
    pub fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Whether nothing gets through now.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl HttpTransport for Outage {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if self.is_on() {
            return Err(TransportError::new(TransportErrorKind::Connect));
        }
        self.inner.send(request).await
    }
}

impl fmt::Debug for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outage").field("on", &self.is_on()).finish_non_exhaustive()
    }
}
