//! What Waldur says when it refuses.

use http::StatusCode;
use serde_json::Value;

use crate::{
    error::{Error, ErrorKind},
    rest::redact,
};

/// The longest text of a refusal that goes into a message, in bytes.
const LONGEST: usize = 300;

/// Adds the server's own words to the message: `{"detail": "…"}`, `{"field": ["…"]}` or a bare list (core.md §1.4).
pub(super) fn explain(error: Error) -> Error {
    match error.http().and_then(|http| words(http.body.as_deref()?)) {
        Some(words) => {
            let message = format!("{}: {words}", error.message());
            error.with_message(message)
        }
        None => error,
    }
}

/// As [`explain`], for calls that a server of 2024 does not have: its "no such page" becomes
/// [`ErrorKind::Unsupported`].
///
/// Waldur says so with a page of its web framework (recorded: 180_set_limits_provider, 022_unknown_path_post), while
/// an object that does not exist is JSON. The page of a proxy stays what it is: it says nothing about the server.
pub(super) fn explain_newer(error: Error) -> Error {
    const NO_SUCH_PAGE: &str = "The requested resource was not found on this server.";
    let unknown = match error.status() {
        Some(StatusCode::METHOD_NOT_ALLOWED) => true,
        Some(StatusCode::NOT_FOUND) => {
            error.kind() == ErrorKind::WrongContent
                && error.http().and_then(|http| http.body.as_deref()).is_some_and(|body| body.contains(NO_SUCH_PAGE))
        }
        _ => false,
    };
    if unknown {
        error.with_kind(ErrorKind::Unsupported).with_message("this Waldur does not offer the call: it is too old")
    } else {
        explain(error)
    }
}

fn words(body: &str) -> Option<String> {
    let body = serde_json::from_str(body).ok()?;
    let mut found = Vec::new();
    collect("", &body, &mut found);
    let mut words = redact::escape(&found.join("; "));
    redact::truncate(&mut words, LONGEST);
    (!words.is_empty()).then_some(words)
}

fn collect(place: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if place.is_empty() => found.push(text.clone()),
        Value::String(text) => found.push(format!("{place}: {text}")),
        Value::Array(items) => items.iter().for_each(|item| collect(place, item, found)),
        Value::Object(members) => {
            for (name, member) in members {
                let inner = match (place, name.as_str()) {
                    (_, "detail" | "non_field_errors") => place.to_owned(),
                    ("", name) => name.to_owned(),
                    (place, name) => format!("{place}.{name}"),
                };
                collect(&inner, member, found);
            }
        }
        _ => {}
    }
}
