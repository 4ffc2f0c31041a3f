//! What croit answers.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// A refusal: status and text (croit-api.md §4).
#[derive(Clone, Debug)]
pub(super) struct Refusal(u16, String);

impl Refusal {
    pub(super) fn new(status: u16, text: impl Into<String>) -> Self {
        Self(status, text.into())
    }

    pub(super) fn no_such_user(uid: &str) -> Self {
        Self::new(404, format!("User {uid} not found."))
    }
}

pub(super) type Outcome = Result<Response<Bytes>, Refusal>;

impl From<Refusal> for Response<Bytes> {
    fn from(Refusal(status, text): Refusal) -> Self {
        with(status, &json!({ "code": status, "message": text }))
    }
}

pub(super) fn with(status: u16, body: &Value) -> Response<Bytes> {
    text(status, "application/json", body.to_string())
}

pub(super) fn text(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// 204: how croit says that something is done.
pub(super) fn done() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
