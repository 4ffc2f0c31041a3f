//! Layers in front of a fake: what happens in the middle of a run.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, header};
use serde_json::Value;
use waldur_sdk::{
    rest::{HttpTransport, RequestMeta, TransportError},
    testing::waldur::FakeWaldur,
};

fn is_of(request: &Request<Bytes>, operation: &str) -> bool {
    request.extensions().get::<RequestMeta>().is_some_and(|meta| meta.operation == operation)
}

/// Lets something happen just before the first request of an operation is carried out.
pub struct Before<F>(FakeWaldur, &'static str, Mutex<Option<F>>);

impl<F: FnOnce() + Send + 'static> Before<F> {
    pub fn new(waldur: &FakeWaldur, operation: &'static str, event: F) -> Self {
        Self(waldur.clone(), operation, Mutex::new(Some(event)))
    }
}

#[async_trait]
impl<F: FnOnce() + Send + 'static> HttpTransport for Before<F> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if is_of(&request, self.1) {
            let event = self.2.lock().unwrap().take();
            if let Some(event) = event {
                event();
            }
        }
        self.0.send(request).await
    }
}

/// Turns a list around: no server promises an order that nobody asked for.
pub struct Reversed(pub FakeWaldur, pub &'static str);

#[async_trait]
impl HttpTransport for Reversed {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let turns = is_of(&request, self.1);
        let mut answer = self.0.send(request).await?;
        if turns && let Ok(Value::Array(mut rows)) = serde_json::from_slice(answer.body()) {
            rows.reverse();
            *answer.body_mut() = Value::Array(rows).to_string().into();
            answer.headers_mut().remove(header::CONTENT_LENGTH);
        }
        Ok(answer)
    }
}

/// Changes each row of a list, or the one object.
pub struct Rows<F>(pub FakeWaldur, pub &'static str, pub F);

#[async_trait]
impl<F: Fn(&mut Value) + Send + Sync + 'static> HttpTransport for Rows<F> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let changes = is_of(&request, self.1);
        let mut answer = self.0.send(request).await?;
        if changes {
            let mut value: Value = serde_json::from_slice(answer.body()).unwrap();
            match &mut value {
                Value::Array(rows) => rows.iter_mut().for_each(&self.2),
                object => (self.2)(object),
            }
            *answer.body_mut() = value.to_string().into();
            answer.headers_mut().remove(header::CONTENT_LENGTH);
        }
        Ok(answer)
    }
}

/// A back end with a bug: it panics when it is asked about a month.
pub struct Panicking<T>(pub T, pub &'static str);

#[async_trait]
impl<T: HttpTransport> HttpTransport for Panicking<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        assert!(!request.uri().query().unwrap_or_default().contains(self.1), "a secret of the back end");
        self.0.send(request).await
    }
}

/// Carries out the first half of the first bulk report and answers that it failed.
pub struct HalfCommitted(FakeWaldur, &'static str, AtomicBool);

impl HalfCommitted {
    pub fn new(waldur: &FakeWaldur, operation: &'static str) -> Self {
        Self(waldur.clone(), operation, AtomicBool::new(true))
    }
}

#[async_trait]
impl HttpTransport for HalfCommitted {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if !is_of(&request, self.1) || !self.2.swap(false, Ordering::Relaxed) {
            return self.0.send(request).await;
        }
        let half = request.map(|body| {
            let mut body: Value = serde_json::from_slice(&body).unwrap();
            let usages = body["usages"].as_array_mut().unwrap();
            usages.truncate(usages.len() / 2);
            body.to_string().into()
        });
        assert!(self.0.send(half).await?.status().is_success());
        Ok(Response::builder().status(500).body(Bytes::new()).unwrap())
    }
}
