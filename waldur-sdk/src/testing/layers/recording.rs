//! What was said, for contract checks and replays, without the secrets.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    rest::{HttpTransport, RequestMeta, TransportError, TransportErrorKind, redact},
    testing::lock,
};

/// Keeps every request and its answer.
///
/// Secrets are taken out by the name of their header, query parameter, form field or JSON member
/// ([`redact::is_secret_name`]) before anything is stored. Clones, and layers made by [`Recording::around`], write
/// into the same record.
#[derive(Clone)]
pub struct Recording {
    inner: Arc<dyn HttpTransport>,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Exchange {
    /// The operation; empty for a request that no `RestClient` made.
    pub operation: &'static str,
    /// The path's template; empty likewise.
    pub template: &'static str,
    /// The method.
    pub method: Method,
    /// Scheme, host and port.
    pub origin: String,
    /// The path, encoded as it was sent.
    pub path: String,
    /// The query's pairs, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The request's headers, in order.
    pub headers: Vec<(String, String)>,
    /// The request's body.
    pub body: Body,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// An answer.
    Answered {
        /// The status.
        status: StatusCode,
        /// The headers, in order.
        headers: Vec<(String, String)>,
        /// The body.
        body: Body,
    },
    /// No complete answer.
    Failed(TransportErrorKind),
    /// The request is still under way, or its future was dropped.
    Unanswered,
}

/// A body in the form in which it can be checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// None.
    Empty,
    /// JSON, whatever the content type says.
    Json(Value),
    /// `application/x-www-form-urlencoded`: its pairs, decoded, in order.
    Form(Vec<(String, String)>),
    /// Other text.
    Text(String),
    /// Not UTF-8; the length in bytes.
    Binary(usize),
}

impl Exchange {
    pub(in crate::testing) fn of(request: &Request<Bytes>) -> Self {
        let meta = request.extensions().get::<RequestMeta>();
        let uri = request.uri();
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        Self {
            operation: meta.map_or("", |meta| meta.operation),
            template: meta.map_or("", |meta| meta.template),
            method: request.method().clone(),
            origin: uri.scheme_str().map(|scheme| format!("{scheme}://{host}{port}")).unwrap_or_default(),
            path: uri.path().to_owned(),
            query: pairs(uri.query().unwrap_or_default().as_bytes()),
            headers: redact::headers(request.headers()),
            body: Body::of(request.headers(), request.body()),
            outcome: Outcome::Unanswered,
        }
    }

    pub(in crate::testing) fn answered(mut self, answer: &Response<Bytes>) -> Self {
        self.outcome = Outcome::of(answer);
        self
    }

    /// The status, if an answer came.
    pub fn status(&self) -> Option<StatusCode> {
        match &self.outcome {
            Outcome::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// `{request: {method, url, headers, body}, response: {status, headers, body} or null}`: the shape in which
    /// exchanges with real servers are kept.
    pub fn to_json(&self) -> Value {
        let mut url = format!("{}{}", self.origin, self.path);
        if !self.query.is_empty() {
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
            url = format!("{url}?{query}");
        }
        let response = match &self.outcome {
            Outcome::Answered { status, headers, body } => {
                json!({ "status": status.as_u16(), "headers": headers, "body": body.to_json() })
            }
            _ => Value::Null,
        };
        json!({
            "name": self.operation,
            "request": {
                "method": self.method.as_str(),
                "url": url,
                "headers": self.headers,
                "body": self.body.to_json(),
            },
            "response": response,
        })
    }
}

impl Outcome {
    fn of(answer: &Response<Bytes>) -> Self {
        Self::Answered {
            status: answer.status(),
            headers: redact::headers(answer.headers()),
            body: Body::of(answer.headers(), answer.body()),
        }
    }
}

impl Body {
    fn of(headers: &HeaderMap, bytes: &Bytes) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        if let Ok(mut value) = serde_json::from_slice(bytes) {
            redact::redact_json(&mut value);
            return Self::Json(value);
        }
        let form = headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        if form {
            return Self::Form(pairs(bytes));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Binary(bytes.len()),
        }
    }

    /// The JSON, if it is any.
    pub fn as_json(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            _ => None,
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Empty => Value::Null,
            Self::Json(value) => value.clone(),
            Self::Form(pairs) => json!(pairs),
            Self::Text(text) => json!(text),
            Self::Binary(length) => json!({ "bytes": length }),
        }
    }
}

/// The pairs of a query or a form, secrets replaced.
fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded)
        .map(|(name, value)| {
            let value = if redact::is_secret_name(&name) { redact::REDACTED.to_owned() } else { value.into_owned() };
            (name.into_owned(), value)
        })
        .collect()
}

impl Recording {
    /// Records what goes through to `inner`.
    pub fn new(inner: impl HttpTransport) -> Self {
        Self { inner: Arc::new(inner), exchanges: Arc::default() }
    }

    /// A layer around another transport that writes into the same record.
    #[must_use]
    pub fn around(&self, other: impl HttpTransport) -> Self {
        Self { inner: Arc::new(other), exchanges: Arc::clone(&self.exchanges) }
    }

    /// The exchanges so far, in the order in which the requests left.
    pub fn exchanges(&self) -> Vec<Exchange> {
        lock(&self.exchanges).clone()
    }

    /// The exchanges of one operation.
    pub fn of(&self, operation: &str) -> Vec<Exchange> {
        lock(&self.exchanges).iter().filter(|exchange| exchange.operation == operation).cloned().collect()
    }
}

#[async_trait]
impl HttpTransport for Recording {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let number = {
            let mut exchanges = lock(&self.exchanges);
            exchanges.push(Exchange::of(&request));
            exchanges.len() - 1
        };
        let answer = self.inner.send(request).await;
        let outcome = match &answer {
            Ok(answer) => Outcome::of(answer),
            Err(error) => Outcome::Failed(error.kind()),
        };
        if let Some(exchange) = lock(&self.exchanges).get_mut(number) {
            exchange.outcome = outcome;
        }
        answer
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("exchanges", &lock(&self.exchanges).len()).finish_non_exhaustive()
    }
}
