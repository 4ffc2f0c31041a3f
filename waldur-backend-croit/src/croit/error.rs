//! croit's errors in the SDK's words. croit has hardly any codes of its own, and some of its 500s are ordinary refusals
//! (croit-api.md §4): those are recognised by call and text, and never repeated.

use bytes::Bytes;
use http::Response;
use serde::Deserialize;
use waldur_sdk::{Error, ErrorKind};

pub use crate::radosgw::error::{KEY_EXISTS, NO_SUCH_USER, USER_EXISTS, USER_HAS_BUCKETS};

/// The user has no such key.
pub const NO_SUCH_KEY: &str = "NoSuchKey";
/// A 404 that says something, though not in the form of croit's own refusals: alone it proves nothing of the user.
pub(crate) const UNCLEAR_ABSENCE: &str = "UnclearAbsence";
/// croit does not draw this graph (any more): nothing is said about the user.
pub const NO_SUCH_GRAPH: &str = "NoSuchGraph";

/// The text of an error body, in lower case: the first member of those that is one.
fn text(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        message: Option<serde_json::Value>,
        error: Option<serde_json::Value>,
        detail: Option<serde_json::Value>,
    }
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return String::from_utf8_lossy(body).to_ascii_lowercase();
    };
    let texts = [body.message, body.error, body.detail].into_iter().flatten();
    let text = texts.filter_map(|value| value.as_str().map(str::to_ascii_lowercase)).find(|text| !text.is_empty());
    text.unwrap_or_default()
}

/// Whether a body has the form of croit's refusals (croit-api.md §4). Gateways in front of it answer JSON, too, with a
/// `message` or a `detail` alone.
fn is_of_croit(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "code")]
        _code: i64,
        message: String,
    }
    serde_json::from_slice::<Body>(body).is_ok_and(|body| !body.message.trim().is_empty())
}

/// Whether a body is a JSON object with any of the words that croit's refusals may have, whole or not.
fn says_something(body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body) else { return false };
    let mut texts = ["message", "error", "detail", "Code"].into_iter().filter_map(|name| body.get(name)?.as_str());
    texts.any(|text| !text.trim().is_empty())
}

/// Puts a refusal of croit's into the SDK's words. Its own text is looked at and never passed on: it may hold what was
/// sent.
pub(super) fn read(answer: &Response<Bytes>, error: Error) -> Error {
    use ErrorKind as K;
    let operation = error.operation();
    let says = |what: &str| text(answer.body()).contains(what);
    let (kind, code, message) = match (answer.status().as_u16(), operation) {
        (401, _) => {
            return error.with_message("croit refused the token, or user and password; a token expires");
        }
        (409, "users.create") => (K::AlreadyExists, USER_EXISTS, "a user of that name or e-mail address exists"),
        (500, "users.create") if says("exists") => {
            (K::AlreadyExists, USER_EXISTS, "a user of that name or e-mail address exists")
        }
        (409, "keys.put") => (K::AlreadyExists, KEY_EXISTS, "that access key exists"),
        (500, "users.delete") if says("user with buckets") => {
            (K::Conflict, USER_HAS_BUCKETS, "the user still owns buckets")
        }
        (500, "keys.delete") if says("unable to find access key") => {
            (K::NotFound, NO_SUCH_KEY, "the user has no such key")
        }
        (404, "stats.user_data") if error.kind() == K::NotFound => {
            (K::Unsupported, NO_SUCH_GRAPH, "croit has no such graph; this says nothing about the user")
        }
        (404, _) if error.kind() == K::NotFound && is_of_croit(answer.body()) => {
            (K::NotFound, NO_SUCH_USER, "the user does not exist")
        }
        (404, _) if error.kind() == K::NotFound => {
            let told = "what answered 404 is not in the form of croit's own answers (an object with a number as its code, \
                        and a message), so nothing is known about the user";
            let error = error.with_kind(K::WrongContent).with_message(told);
            return if says_something(answer.body()) { error.with_code(UNCLEAR_ABSENCE) } else { error };
        }
        _ => return error,
    };
    error.with_kind(kind).with_code(code).with_message(message)
}
