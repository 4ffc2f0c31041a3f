//! Requests as Harbor reads them, and answers as it prints them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};

use super::refused::Refused;

/// Below what every path begins with.
pub(super) const BASE: &str = "/api/v2.0/";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-harbor-csrf-token");

/// Undoes percent-encoding, once. What is not an encoded byte stays as it is.
pub(super) fn decode(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let encoded = (*byte == b'%').then(|| digit(behind.first()).zip(digit(behind.get(1)))).flatten();
        match encoded.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(value) => {
                decoded.push(value);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => decoded.push(*byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// One request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// Below [`BASE`], decoded once; `None` for anything else.
    pub(super) path: Option<String>,
    /// Decoded, in the order in which they were sent.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    pub(super) fn read(request: Request<Bytes>) -> Self {
        let (parts, body) = request.into_parts();
        let pair = |token: &str| {
            let (name, value) = token.split_once('=').unwrap_or((token, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        };
        let query = parts.uri.query().unwrap_or_default();
        Self {
            path: parts.uri.path().strip_prefix(BASE).map(decode),
            query: query.split('&').filter(|token| !token.is_empty()).map(pair).collect(),
            method: parts.method,
            headers: parts.headers,
            body,
        }
    }

    /// The segments of the path. A name that holds a slash has to be encoded twice: the first time is undone before the
    /// path is taken apart.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.as_deref().unwrap_or_default().split('/').collect()
    }

    /// The whole path, as error messages have it.
    pub(super) fn full_path(&self) -> String {
        format!("{BASE}{}", self.path.as_deref().unwrap_or_default())
    }

    /// A query parameter; the last one when it came twice.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Refused> {
        let value = self.parameter(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Refused::invalid(&[format!("{name} in query is required")]))
    }

    /// A yes or no among the query parameters.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.parameter(name).map(is_true)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Does the caller say that a project in the path is a name, even if it looks like an id?
    pub(super) fn is_name(&self) -> bool {
        self.header("x-is-resource-name").is_some_and(is_true)
    }

    /// Does the caller want the name of what was made, and not its id?
    pub(super) fn wants_name(&self) -> bool {
        self.header("x-resource-name-in-location").is_some_and(is_true)
    }

    /// Basic credentials, whether they are right or not.
    pub(super) fn login(&self) -> Option<(String, String)> {
        let encoded = self.header("authorization")?.strip_prefix("Basic ")?;
        let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
        decoded.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
    }

    pub(super) fn has_cookie(&self) -> bool {
        self.headers.contains_key(header::COOKIE)
    }

    /// Does it come with a session? Only then does Harbor look for a token on writes.
    pub(super) fn has_session(&self) -> bool {
        let cookies = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies.flat_map(|line| line.split(';')).any(|cookie| cookie.trim_start().starts_with("sid="))
    }

    pub(super) fn csrf_token(&self) -> Option<&str> {
        self.header(CSRF_TOKEN.as_str())
    }

    pub(super) fn reads_only(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

/// `true` as the server spells it.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "TRUE" | "true" | "True")
}

/// What went well.
#[derive(Debug)]
pub(super) enum Reply {
    /// 200 without a body.
    Empty,
    /// 200 with one.
    Json(Value),
    /// 200 in plain text.
    Text(&'static str),
    /// A page of a list.
    Page { rows: Vec<Value>, total: usize, links: Option<String> },
    /// 201, and where; the path is whole.
    Created(String, Option<Value>),
}

impl Reply {
    /// 201 for something below [`BASE`].
    pub(super) fn created(place: &str) -> Self {
        Self::Created(format!("{BASE}{place}"), None)
    }
}

/// An answer.
pub(super) type Outcome = Result<Reply, Refused>;

/// What the answer to any request carries.
pub(super) struct Envelope {
    pub(super) request_id: String,
    pub(super) set_cookie: Option<String>,
    pub(super) csrf_token: Option<String>,
    pub(super) is_head: bool,
}

/// What goes out. A refusal of `HEAD` keeps its content type.
pub(super) fn print(outcome: Outcome, envelope: &Envelope) -> Response<Bytes> {
    let mut answer = match outcome {
        Ok(Reply::Empty) => Response::default(),
        Ok(Reply::Json(body)) => with_body(200, "application/json", &body),
        Ok(Reply::Text(text)) => {
            let mut answer = Response::new(Bytes::from_static(text.as_bytes()));
            put(&mut answer, header::CONTENT_TYPE, "text/plain");
            answer
        }
        Ok(Reply::Page { rows, total, links }) => {
            let mut answer = with_body(200, "application/json", &Value::Array(rows));
            answer.headers_mut().insert("x-total-count", HeaderValue::from(total));
            if let Some(links) = links {
                put(&mut answer, header::LINK, &links);
            }
            answer
        }
        Ok(Reply::Created(location, body)) => {
            let mut answer = body.map_or_else(Response::default, |body| with_body(201, "application/json", &body));
            *answer.status_mut() = StatusCode::CREATED;
            put(&mut answer, header::LOCATION, &location);
            answer
        }
        Err(refused) if refused.code().is_empty() => {
            let mut answer = Response::default();
            *answer.status_mut() = status(refused.status());
            put(&mut answer, header::CONTENT_TYPE, "application/json");
            answer
        }
        Err(refused) => {
            let body = json!({ "errors": [{ "code": refused.code(), "message": refused.message() }] });
            with_body(refused.status(), "application/json; charset=utf-8", &body)
        }
    };
    if envelope.is_head {
        *answer.body_mut() = Bytes::new();
    }
    put(&mut answer, REQUEST_ID, &envelope.request_id);
    if let Some(cookie) = &envelope.set_cookie {
        put(&mut answer, header::SET_COOKIE, cookie);
    }
    if let Some(token) = &envelope.csrf_token {
        put(&mut answer, CSRF_TOKEN, token);
    }
    answer
}

/// Every body ends with a line break, and brackets and ampersands in texts are escaped, as the server's library does it.
fn with_body(code: u16, kind: &'static str, body: &Value) -> Response<Bytes> {
    let mut text = body.to_string();
    for (plain, escaped) in [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026")] {
        if text.contains(plain) {
            text = text.replace(plain, escaped);
        }
    }
    text.push('\n');
    let mut answer = Response::new(Bytes::from(text));
    *answer.status_mut() = status(code);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What no header can hold is left out.
fn put(answer: &mut Response<Bytes>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        answer.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn what_is_encoded_is_decoded_once() {
        for (text, decoded) in
            [("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("%c3%bc", "ü"), ("100%", "100%"), ("%zz", "%zz"), ("%4", "%4")]
        {
            assert_eq!(decode(text), decoded, "{text}");
        }
    }
}
