//! What the fake was asked.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;

use super::incoming::pairs;
use crate::{rest::RequestMeta, types::UserUuid};

/// One request that arrived, whatever became of it. Credentials are not kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The name that the client gave to the call, e.g. `orders.list`; `None` for a request that does not come from a
    /// [`RestClient`](crate::rest::RestClient).
    pub operation: Option<&'static str>,
    /// 1 for the first sending; `None` as above.
    pub attempt: Option<u32>,
    /// The method.
    pub method: Method,
    /// The path as it was sent, without the query.
    pub path: String,
    /// The decoded parameters of the query, in their order.
    pub query: Vec<(String, String)>,
    /// The `User-Agent`; empty when there was none.
    pub user_agent: String,
    /// Whose credentials it carried; `None` when it carried none that are valid.
    pub user: Option<UserUuid>,
    /// The JSON body; a form as an object; `null` for no body and for one that cannot be read.
    pub body: Value,
    /// What was answered.
    pub status: StatusCode,
}

impl RecordedRequest {
    /// The values of a parameter of the query, in their order.
    pub fn parameters(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// Whether the request was meant to change something: any method but `GET`, `HEAD` and `OPTIONS`.
    pub fn is_write(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    pub(super) fn new(parts: &http::request::Parts, body: &Bytes) -> Self {
        let meta = parts.extensions.get::<RequestMeta>();
        Self {
            operation: meta.map(|meta| meta.operation),
            attempt: meta.map(|meta| meta.attempt),
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: pairs(parts.uri.query().unwrap_or_default()),
            user_agent: text(&parts.headers, &header::USER_AGENT),
            user: None,
            body: readable(&parts.headers, body),
            status: StatusCode::OK,
        }
    }
}

fn text(headers: &HeaderMap, name: &http::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn readable(headers: &HeaderMap, body: &Bytes) -> Value {
    if text(headers, &header::CONTENT_TYPE).starts_with("application/x-www-form-urlencoded") {
        let form = pairs(&String::from_utf8_lossy(body));
        return Value::Object(form.into_iter().map(|(name, value)| (name, value.into())).collect());
    }
    serde_json::from_slice(body).unwrap_or_default()
}
