//! A network that takes time.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use crate::{
    rest::{Environment, HttpTransport, TransportError},
    testing::Matcher,
};

/// Delays every exchange: half of the time passes before the request arrives, half before its answer is seen, so that
/// something else can happen on either side of the effect.
///
/// Sleeps on the [`Environment`]; under virtual time hours cost nothing.
#[derive(Clone)]
pub struct Latency {
    inner: Arc<dyn HttpTransport>,
    environment: Environment,
    round_trip: Duration,
    jitter: Duration,
    only: Option<Matcher>,
}

impl Latency {
    /// Every exchange takes `round_trip`, beside what `inner` itself takes.
    pub fn new(inner: impl HttpTransport, environment: Environment, round_trip: Duration) -> Self {
        Self { inner: Arc::new(inner), environment, round_trip, jitter: Duration::ZERO, only: None }
    }

    /// Adds between nothing and `most`, drawn from the environment for each exchange.
    #[must_use]
    pub fn with_jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }

    /// Delays only these requests.
    #[must_use]
    pub fn only(mut self, matcher: Matcher) -> Self {
        self.only = Some(matcher);
        self
    }
}

#[async_trait]
impl HttpTransport for Latency {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if self.only.as_ref().is_some_and(|only| !only.matches(&request)) {
            return self.inner.send(request).await;
        }
        let half = (self.round_trip + self.jitter.mul_f64(self.environment.fraction())) / 2;
        self.environment.sleep(half).await;
        let outcome = self.inner.send(request).await;
        self.environment.sleep(half).await;
        outcome
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency")
            .field("round_trip", &self.round_trip)
            .field("jitter", &self.jitter)
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}
