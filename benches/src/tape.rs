//! Requests kept word for word, to be sent again: what the fakes cost by themselves.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use waldur_sdk::rest::{HttpTransport, TransportError};

use crate::Result;

/// Keeps every request that goes through, credentials included: `testing::Recording` takes those out, and without
/// them no server answers. Clones share the tape.
#[derive(Clone, Debug)]
pub struct Tape<T> {
    inner: T,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl<T> Tape<T> {
    /// Keeps what goes through to `inner`.
    pub fn new(inner: T) -> Self {
        Self { inner, requests: Arc::default() }
    }

    /// The requests so far, in the order in which they were sent.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl<T: HttpTransport> HttpTransport for Tape<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        self.inner.send(request).await
    }
}

/// Sends `requests` one after the other and looks at nothing but the status.
///
/// # Errors
/// When an answer is no success.
pub async fn play(requests: Vec<Request<Bytes>>, transport: &impl HttpTransport) -> Result<()> {
    for request in requests {
        let status = transport.send(request).await?.status();
        if !status.is_success() {
            return Err(status.to_string().into());
        }
    }
    Ok(())
}
