//! What is known of all units together: alive, ready, counted; and the endpoints that tell it.

use std::sync::{Arc, Mutex, PoisonError};

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
}

impl Board {
    /// A board without units, which counts in `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// These units work from now on, and of these alone there are numbers.
    pub(super) fn replace(&self, pulses: Vec<Arc<Pulse>>) {
        self.metrics.only(pulses.iter().map(|pulse| pulse.labels().clone()).collect());
        *self.pulses.lock().unwrap_or_else(PoisonError::into_inner) = pulses;
    }

    /// The process was halted and goes on.
    pub(super) fn rouse(&self) {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|pulse| pulse.rouse());
    }

    /// How many units are ready, for people.
    pub(super) fn status(&self) -> String {
        let units = self.vitals();
        let (all, ready) = (units.len(), units.iter().filter(|unit| unit.ready).count());
        let stuck = units.iter().filter(|unit| unit.stuck).count();
        if stuck == 0 { format!("{ready} of {all} ready") } else { format!("{ready} of {all} ready, {stuck} stuck") }
    }

    fn vitals(&self) -> Vec<Vitals> {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|pulse| pulse.vitals()).collect()
    }

    /// Whether every unit either rests or moves.
    pub fn is_alive(&self) -> bool {
        self.vitals().iter().all(|unit| !unit.stuck)
    }

    /// Whether there is a unit, and the last pass of each reached Waldur and the back end. What has not had its first
    /// pass is not ready.
    pub fn is_ready(&self) -> bool {
        let units = self.vitals();
        !units.is_empty() && units.iter().all(|unit| unit.ready)
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
