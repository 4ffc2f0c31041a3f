//! A server small enough to be obviously right: names and values, with versions.
#![allow(dead_code)] // each test binary uses its part

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use waldur_sdk::rest::{Environment, HttpTransport, RequestMeta, TransportError};

/// `GET`, `PUT` (with `If-Match` if wanted), `DELETE` on a path; `POST` makes a new path `<path>-<n>`.
#[derive(Clone, Default)]
pub(crate) struct Toy(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    entries: BTreeMap<String, String>,
    version: u64,
    made: u64,
    log: Vec<String>,
}

impl Toy {
    pub(crate) fn entries(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().entries.clone().into_iter().collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().entries.keys().cloned().collect()
    }

    pub(crate) fn value(&self, path: &str) -> Option<String> {
        self.0.lock().unwrap().entries.get(path).cloned()
    }

    /// What was carried out, in order: `PUT /x`.
    pub(crate) fn log(&self) -> Vec<String> {
        self.0.lock().unwrap().log.clone()
    }
}

#[async_trait]
impl HttpTransport for Toy {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let mut state = self.0.lock().unwrap();
        let path = request.uri().path().to_owned();
        let body = String::from_utf8_lossy(request.body()).into_owned();
        state.log.push(format!("{} {path}", request.method()));
        let version = state.version.to_string();
        let expected = request.headers().get("if-match");
        let (status, body) = match *request.method() {
            Method::GET => match state.entries.get(&path) {
                Some(value) => (StatusCode::OK, value.clone()),
                None => (StatusCode::NOT_FOUND, String::new()),
            },
            Method::PUT if expected.is_some_and(|expected| *expected != *version) => {
                (StatusCode::PRECONDITION_FAILED, String::new())
            }
            Method::PUT => {
                state.version += 1;
                state.entries.insert(path, body);
                (StatusCode::NO_CONTENT, String::new())
            }
            Method::POST => {
                state.version += 1;
                state.made += 1;
                let name = format!("{path}-{}", state.made);
                state.entries.insert(name.clone(), body);
                (StatusCode::CREATED, name)
            }
            _ => {
                state.version += 1;
                state.entries.remove(&path);
                (StatusCode::NO_CONTENT, String::new())
            }
        };
        Ok(Response::builder().status(status).header("etag", version).body(body.into()).unwrap())
    }
}

pub(crate) fn request(method: Method, path: &str, body: &str) -> Request<Bytes> {
    Request::builder().method(method).uri(path).body(Bytes::from(body.to_owned())).unwrap()
}

pub(crate) fn named(operation: &'static str, method: Method, path: &str, body: &str) -> Request<Bytes> {
    let mut request = request(method, path, body);
    request.extensions_mut().insert(RequestMeta::new(operation, "/{name}"));
    request
}

pub(crate) async fn get(transport: &impl HttpTransport, path: &str) -> Option<String> {
    let answer = transport.send(request(Method::GET, path, "")).await.unwrap();
    answer.status().is_success().then(|| String::from_utf8(answer.into_body().to_vec()).unwrap())
}

pub(crate) async fn put(transport: &impl HttpTransport, path: &str, body: &str) {
    transport.send(request(Method::PUT, path, body)).await.unwrap();
}

pub(crate) async fn post(transport: &impl HttpTransport, path: &str, body: &str) -> String {
    let answer = transport.send(request(Method::POST, path, body)).await.unwrap();
    String::from_utf8(answer.into_body().to_vec()).unwrap()
}

pub(crate) fn virtual_time() -> Environment {
    Environment::default()
        .with_timer(tokio::time::sleep)
        .with_monotonic(|| tokio::time::Instant::now().into_std())
        .with_random(|| 0)
}
