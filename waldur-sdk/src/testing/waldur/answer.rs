//! What the server says, word for word as recorded.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

/// An answer, or the refusal that takes its place.
pub(super) type Outcome = Result<Answer, Answer>;

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Empty,
    Json(Value),
    Page(&'static str),
}

/// Recorded: 022, 023, 025.
const NOT_FOUND: &str = "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Not Found</title>\n</head>\n<body>\n  \
    <h1>Not Found</h1><p>The requested resource was not found on this server.</p>\n</body>\n</html>\n";

/// Recorded: 031, 054, 137.
const SERVER_ERROR: &str = "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Server Error (500)</title>\n\
    </head>\n<body>\n  <h1>Server Error (500)</h1><p></p>\n</body>\n</html>\n";

/// Recorded: 112, 178, 236, 271.
const FORBIDDEN: &str = "You do not have permission to perform this action.";

impl Answer {
    fn new(status: StatusCode, body: Body) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    pub(super) fn json(status: StatusCode, body: impl Into<Value>) -> Self {
        Self::new(status, Body::Json(body.into()))
    }

    pub(super) fn ok(body: impl Into<Value>) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// A success without a word (recorded: 127, 131, 138).
    pub(super) fn empty(status: StatusCode) -> Self {
        Self::new(status, Body::Empty)
    }

    pub(super) fn status_text(text: &str) -> Self {
        Self::ok(json!({ "status": text }))
    }

    pub(super) fn detail(status: StatusCode, detail: &str) -> Self {
        Self::json(status, json!({ "detail": detail }))
    }

    /// The path does not exist: a page, not JSON.
    pub(super) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, Body::Page(NOT_FOUND))
    }

    /// The object does not exist, or is none of the caller's business.
    pub(super) fn no_such(model: &str) -> Self {
        Self::detail(StatusCode::NOT_FOUND, &format!("No {model} matches the given query."))
    }

    /// The server's own mistake: a page.
    pub(super) fn server_error() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Body::Page(SERVER_ERROR))
    }

    pub(super) fn forbidden() -> Self {
        Self::detail(StatusCode::FORBIDDEN, FORBIDDEN)
    }

    /// Recorded: 002, 006 to 010, 352.
    pub(super) fn unauthenticated(detail: &str) -> Self {
        Self::detail(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, "Token")
    }

    /// Recorded: 066, 095, 115, 191.
    pub(super) fn method_not_allowed(method: &str) -> Self {
        Self::detail(StatusCode::METHOD_NOT_ALLOWED, &format!("Method \"{method}\" not allowed."))
    }

    /// The object's state forbids it (recorded: 109, 119, 121, 129, 339).
    pub(super) fn wrong_state(valid: &[&str]) -> Self {
        Self::detail(StatusCode::CONFLICT, &format!("Valid states for operation: {}.", valid.join(", ")))
    }

    pub(super) fn invalid(errors: impl Into<Value>) -> Self {
        Self::json(StatusCode::BAD_REQUEST, errors)
    }

    /// One field is wrong.
    pub(super) fn field_error(field: &str, text: &str) -> Self {
        Self::invalid(Value::Object(Map::from_iter([(field.to_owned(), json!([text]))])))
    }

    /// Sentences without a field (recorded: 296, 298, 314).
    pub(super) fn sentence(text: &str) -> Self {
        Self::invalid(json!([text]))
    }

    /// Recorded: 079 to 081.
    pub(super) fn invalid_page() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "Invalid page.")
    }

    /// The real server answers here and the fake does not.
    pub(super) fn unserved(what: &str) -> Self {
        Self::detail(StatusCode::NOT_IMPLEMENTED, &format!("FakeWaldur does not serve {what}."))
    }

    /// The fake's own data do not fit together, e.g. a row refers to another that a test never made.
    pub(super) fn broken() -> Self {
        let text = "FakeWaldur: its data do not fit together; does a seeded row name one that was never made?";
        Self::detail(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    /// Recorded: 019.
    pub(super) fn redirect(location: String) -> Self {
        Self::new(StatusCode::MOVED_PERMANENTLY, Body::Page("")).with(header::LOCATION, location)
    }

    #[must_use]
    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn into_response(self, head: bool) -> Response<Bytes> {
        let (content_type, body) = match self.body {
            Body::Empty => (None, Bytes::new()),
            Body::Json(value) => (Some("application/json"), value.to_string().into()),
            Body::Page(page) => (Some("text/html; charset=utf-8"), Bytes::from_static(page.as_bytes())),
        };
        let mut response = Response::new(if head { Bytes::new() } else { body });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}
