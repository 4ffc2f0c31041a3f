//! What is known of all units together: alive, ready, counted; and the endpoints that tell it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::json;
use waldur_sdk::rest::{HttpTransport, TransportError};

use super::{
    metrics::{CONTENT_TYPE, Metrics},
    pulse::{Pulse, Vitals},
};

/// All units of a process. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Board {
    metrics: Metrics,
    pulses: Arc<Mutex<Vec<Arc<Pulse>>>>,
    lost: Arc<AtomicBool>,
}

impl Board {
    /// A board without units, which counts in `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// These units work from now on.
    pub(super) fn replace(&self, pulses: Vec<Arc<Pulse>>) {
        *self.pulses.lock().unwrap_or_else(PoisonError::into_inner) = pulses;
    }

    /// A unit's loop is gone, and nobody asked it to end.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    fn vitals(&self) -> Vec<Vitals> {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|pulse| pulse.vitals()).collect()
    }

    /// Whether every unit either rests or moves.
    pub fn is_alive(&self) -> bool {
        !self.lost.load(Ordering::Relaxed) && self.vitals().iter().all(|unit| !unit.stuck)
    }

    /// Whether the last pass of any unit reached its systems, or there is no unit at all.
    pub fn is_ready(&self) -> bool {
        let units = self.vitals();
        units.is_empty() || units.iter().any(|unit| unit.ready)
    }
}

/// `/livez`, `/readyz` and `/metrics`. They tell names of offerings, and are meant for loopback or a guarded network.
#[async_trait]
impl HttpTransport for Board {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".to_owned()));
        }
        Ok(match request.uri().path() {
            "/livez" => self.verdict("alive", self.is_alive()),
            "/readyz" => self.verdict("ready", self.is_ready()),
            "/metrics" => answer(StatusCode::OK, CONTENT_TYPE, self.metrics.text()),
            _ => answer(StatusCode::NOT_FOUND, "text/plain", "/livez, /readyz, /metrics\n".to_owned()),
        })
    }
}

impl Board {
    fn verdict(&self, word: &str, yes: bool) -> Response<Bytes> {
        let status = if yes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        answer(status, "application/json", format!("{:#}\n", json!({ word: yes, "units": self.vitals() })))
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
