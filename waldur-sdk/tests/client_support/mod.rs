//! A transport that answers from a closure and remembers what it was asked.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_wraps
)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use waldur_sdk::{
    client::{AgentMode, WaldurClient},
    rest::{Environment, Http, HttpTransport, RetryPolicy, TransportError},
};

pub const TOKEN: &str = "canary-7f3a9c51";

/// A request as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: String,
    pub origin: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: BTreeMap<String, String>,
    pub body: Option<Value>,
}

impl Sent {
    /// All values of a query parameter.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a query parameter that is there at most once.
    pub fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is sent {} times", all.len());
        all.first().copied()
    }
}

pub type Answer = Result<Response<Bytes>, TransportError>;

type Answering = dyn Fn(&Sent, usize) -> Answer + Send + Sync;

#[derive(Clone)]
pub struct Script {
    answer: Arc<Answering>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Script {
    /// Answers with `answer(request, number of requests before it)`.
    pub fn new(answer: impl Fn(&Sent, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), sent: Arc::default() }
    }

    /// Answers everything with one body.
    pub fn always(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::new(move |_, _| answer(status, &[], body.clone()))
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    pub fn only(&self) -> Sent {
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:#?}");
        sent.into_iter().next().unwrap()
    }

    /// A pipeline over this transport under virtual time.
    pub fn http(&self, retry: RetryPolicy) -> Http {
        let environment = Environment::default()
            .with_timer(tokio::time::sleep)
            .with_monotonic(|| tokio::time::Instant::now().into_std())
            .with_random(|| 0);
        Http::new(self.clone()).with_environment(environment).with_retry(retry)
    }

    /// A client that sends everything once.
    pub fn client(&self) -> WaldurClient {
        self.client_with(RetryPolicy::none())
    }

    pub fn client_with(&self, retry: RetryPolicy) -> WaldurClient {
        WaldurClient::builder("https://waldur.example.org/api/")
            .token(TOKEN)
            .agent_mode(AgentMode::OrderProcess)
            .agent_version("9.9")
            .http(self.http(retry))
            .build()
            .unwrap()
    }
}

#[async_trait]
impl HttpTransport for Script {
    async fn send(&self, request: Request<Bytes>) -> Answer {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        let sent = Sent {
            method: parts.method.to_string(),
            origin: format!("{}://{}", parts.uri.scheme_str().unwrap(), parts.uri.authority().unwrap()),
            path: parts.uri.path().to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: parts.headers.iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned())).collect(),
            body: (!body.is_empty()).then(|| serde_json::from_slice(&body).unwrap()),
        };
        let number = {
            let mut all = self.sent.lock().unwrap();
            all.push(sent.clone());
            all.len() - 1
        };
        (self.answer)(&sent, number)
    }
}

pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> Answer {
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(Bytes::from(body.into())).unwrap())
}

/// A page of a list of `total` entries, with the headers of a Waldur at `origin`.
pub fn page(origin: &str, request: &Sent, total: usize, rows: &[Value]) -> Answer {
    let asked: usize = request.one("page").map_or(1, |page| page.parse().unwrap());
    let size: usize = request.one("page_size").unwrap().parse().unwrap();
    let last = total.div_ceil(size).max(1);
    let link =
        |rel: &str, page: usize| format!("<{origin}{}?page={page}&page_size={size}>; rel=\"{rel}\"", request.path);
    let mut links = vec![link("first", 1)];
    if asked > 1 {
        links.push(link("prev", asked - 1));
    }
    if asked < last {
        links.push(link("next", asked + 1));
    }
    links.push(link("last", last));
    let headers = [("x-result-count", total.to_string()), ("link", links.join(", "))];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    answer(200, &headers, Value::from(rows).to_string())
}
