//! Requests as the fake reads them, and answers as the server prints them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{PASSWORD, USER};

/// Below what every path begins with.
pub(super) const BASE: &str = "/api/v2.0/";

/// An answer, or a refusal.
pub(super) type Outcome = Result<Response<Bytes>, Refusal>;

/// A request.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// The segments below [`BASE`].
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    /// Whether it carries the administrator's login.
    pub(super) is_admin: bool,
    /// Whether it says that a project's path segment is a name although it looks like an id.
    pub(super) by_name: bool,
    /// Whether it wants to be told names instead of ids.
    pub(super) location_by_name: bool,
    body: &'a Bytes,
}

impl<'a> Asked<'a> {
    /// `None` for what is not the API.
    pub(super) fn read(parts: &'a Parts, body: &'a Bytes) -> Option<Self> {
        let path = parts.uri.path().strip_prefix(BASE)?;
        let query = parts.uri.query().unwrap_or_default();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let login = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let wanted = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")));
        Some(Self {
            method: &parts.method,
            path: path.trim_end_matches('/').split('/').map(decode).collect(),
            query: pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(pair).collect(),
            is_admin: login == wanted,
            by_name: parts.headers.get("x-is-resource-name").is_some_and(|value| value == "true"),
            location_by_name: parts.headers.get("x-resource-name-in-location").is_some_and(|value| value == "true"),
            body,
        })
    }

    /// The value of a parameter, unless it is empty.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// Refuses parameters that the fake would have to ignore.
    pub(super) fn knows_only(&self, known: &[&str]) -> Result<(), Refusal> {
        let all = self.query.iter().all(|(name, _)| known.contains(&name.as_str()));
        if all { Ok(()) } else { Err(Refusal::unmodelled()) }
    }

    /// The members of a JSON object in the body.
    pub(super) fn body(&self) -> Result<Map<String, Value>, Refusal> {
        serde_json::from_slice(self.body).map_err(|_| Refusal::unprocessable("parsing body failed"))
    }
}

fn pair((name, value): (&str, &str)) -> (String, String) {
    (decode(name), decode(&value.replace('+', " ")))
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// An answer that says why not.
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "CONFLICT", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub(super) fn unprocessable(problem: &str) -> Self {
        let message = format!("validation failure list:\n{problem}");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "UNPROCESSABLE_ENTITY", message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "unauthorized")
    }

    pub(super) fn method(method: &str, allowed: &str) -> Self {
        let message = format!("method {method} is not allowed, but [{allowed}] are");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message)
    }

    /// Recorded: some refusals have nothing to say.
    pub(super) fn wordless(status: StatusCode) -> Self {
        Self::new(status, "", "")
    }

    /// Something that the fake does not play.
    pub(super) fn unmodelled() -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "NOT_MODELLED", "FakeHarbor does not know this")
    }

    pub(super) fn is_unmodelled(&self) -> bool {
        self.status == StatusCode::NOT_IMPLEMENTED
    }
}

/// 200 with a body.
pub(super) fn json(body: &Value) -> Response<Bytes> {
    with_body(StatusCode::OK, "application/json", body)
}

/// 200 without a body.
pub(super) fn empty() -> Response<Bytes> {
    Response::default()
}

/// 201, and where.
pub(super) fn created(location: &str) -> Outcome {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::CREATED;
    let location = HeaderValue::try_from(format!("{BASE}{location}")).map_err(|_| Refusal::unmodelled())?;
    answer.headers_mut().insert(header::LOCATION, location);
    Ok(answer)
}

fn with_body(status: StatusCode, kind: &'static str, body: &Value) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// What goes out. Recorded: a refusal of `HEAD` keeps its content type.
pub(super) fn print(outcome: Outcome, is_head: bool) -> Response<Bytes> {
    let mut answer = outcome.unwrap_or_else(|refusal| {
        if refusal.code.is_empty() {
            let mut answer = with_body(refusal.status, "application/json", &Value::Null);
            *answer.body_mut() = Bytes::new();
            return answer;
        }
        let body = json!({ "errors": [{ "code": refusal.code, "message": refusal.message }] });
        with_body(refusal.status, "application/json; charset=utf-8", &body)
    });
    if is_head {
        *answer.body_mut() = Bytes::new();
    }
    answer
}
