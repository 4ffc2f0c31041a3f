//! A transport that answers from a script, and a client over it.
#![allow(dead_code, clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use waldur_backend_croit::client::{RadosGwClient, S3Key};
use waldur_sdk::{
    rest::{BaseUrl, Environment, Http, HttpTransport, PlainHttp, RetryPolicy, TransportError, TransportErrorKind},
    types::Timestamp,
};

pub(crate) const ACCESS_KEY: &str = "ADMINACCESSKEY000001";
pub(crate) const SECRET_KEY: &str = "canary-admin-secret-key-never-to-be-seen";
/// What the clocks of the tests show.
pub(crate) const NOW: &str = "2026-11-22T12:00:00Z";

/// An answer of the script.
pub(crate) enum Answer {
    Reply(Response<Bytes>),
    Fail(TransportErrorKind),
}

pub(crate) fn reply(status: u16, body: impl Into<String>) -> Answer {
    let mut response = Response::new(Bytes::from(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Answer::Reply(response)
}

pub(crate) fn dated(status: u16, body: impl Into<String>, date: &str) -> Answer {
    let Answer::Reply(mut response) = reply(status, body) else { unreachable!() };
    response.headers_mut().insert("date", date.parse().unwrap());
    Answer::Reply(response)
}

/// The gateway's error body.
pub(crate) fn code(code: &str) -> String {
    format!(r#"{{"Code":"{code}","Message":"","RequestId":"tx1","HostId":"h1"}}"#)
}

/// What was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Sent {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    /// `METHOD /path?query`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

#[derive(Clone, Default)]
pub(crate) struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Script {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Self::default();
        script.answers.lock().unwrap().extend(answers);
        script
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.sent().iter().map(Sent::line).collect()
    }

    /// Every answer of the script was used.
    pub(crate) fn is_spent(&self) -> bool {
        self.answers.lock().unwrap().is_empty()
    }

    /// A client whose clocks stand at [`NOW`], that sleeps on the test's clock and draws no jitter.
    pub(crate) fn client(&self) -> RadosGwClient {
        self.client_with(RetryPolicy::default())
    }

    pub(crate) fn client_with(&self, policy: RetryPolicy) -> RadosGwClient {
        let http = Http::new(self.clone()).with_environment(environment()).with_retry(policy);
        let endpoint = BaseUrl::parse("endpoint", "http://localhost:7480", PlainHttp::LoopbackOnly).unwrap();
        RadosGwClient::new(http, &endpoint, &S3Key::new(ACCESS_KEY, SECRET_KEY.to_owned().into())).unwrap()
    }
}

pub(crate) fn environment() -> Environment {
    let now: Timestamp = NOW.parse().unwrap();
    Environment::default()
        .with_timer(tokio::time::sleep)
        .with_monotonic(|| tokio::time::Instant::now().into_std())
        .with_wall(move || now)
        .with_random(|| 0)
}

#[async_trait]
impl HttpTransport for Script {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let (parts, body) = request.into_parts();
        self.sent.lock().unwrap().push(Sent {
            method: parts.method.to_string(),
            target: parts.uri.path_and_query().unwrap().to_string(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        });
        let answer = self.answers.lock().unwrap().pop_front();
        match answer.unwrap_or(Answer::Fail(TransportErrorKind::InvalidRequest)) {
            Answer::Reply(response) => Ok(response),
            Answer::Fail(kind) => Err(TransportError::new(kind)),
        }
    }
}
