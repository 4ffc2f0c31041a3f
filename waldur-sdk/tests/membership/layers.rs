//! Layers in front of a fake: lists that move while they are read.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, header};
use serde_json::Value;
use waldur_sdk::{
    rest::{HttpTransport, RequestMeta, TransportError},
    testing::waldur::FakeWaldur,
};

/// Changes the pages of one list: told which request of it this is, from 1, and the rows. The count in the header stays,
/// unless the change says another.
pub struct Pages<F> {
    waldur: FakeWaldur,
    operation: &'static str,
    asked: AtomicUsize,
    change: Mutex<F>,
}

impl<F: FnMut(usize, &mut Vec<Value>) -> Option<usize> + Send + 'static> Pages<F> {
    pub fn new(waldur: &FakeWaldur, operation: &'static str, change: F) -> Self {
        Self { waldur: waldur.clone(), operation, asked: AtomicUsize::new(0), change: Mutex::new(change) }
    }
}

#[async_trait]
impl<F: FnMut(usize, &mut Vec<Value>) -> Option<usize> + Send + 'static> HttpTransport for Pages<F> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let meant = request.extensions().get::<RequestMeta>().is_some_and(|meta| meta.operation == self.operation);
        let mut answer = self.waldur.send(request).await?;
        if meant && let Ok(Value::Array(mut rows)) = serde_json::from_slice(answer.body()) {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            let total = (self.change.lock().unwrap())(asked, &mut rows);
            *answer.body_mut() = Value::Array(rows).to_string().into();
            answer.headers_mut().remove(header::CONTENT_LENGTH);
            if let Some(total) = total {
                answer.headers_mut().insert("x-result-count", total.into());
            }
        }
        Ok(answer)
    }
}
