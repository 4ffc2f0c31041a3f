//! Nothing secret leaves through an error, a log or a `Debug`.

use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// The longest excerpt of a body that an error carries, in bytes.
pub const EXCERPT_LIMIT: usize = 2048;

/// Scheme, host and port of a URL, and nothing else of it.
pub fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

/// A URL for people: scheme, host, path. User-info, query and fragment are dropped.
pub fn url(url: &Url) -> String {
    format!("{}{}", origin(url), url.path())
}

const SECRET_PARTS: [&str; 10] = [
    "secret",
    "password",
    "passwd",
    "passcode",
    "token",
    "apikey",
    "accesskey",
    "credential",
    "authorization",
    "signature",
];

/// Whether a field, header or query parameter of this name holds a secret, by its name.
pub fn is_secret_name(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| name.contains(part)) || name == "cookie" || name == "setcookie"
}

/// The headers that may be shown, in order: names of secret ones are kept, values replaced.
pub fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let hidden = value.is_sensitive()
                || is_secret_name(name.as_str())
                || name == header::COOKIE
                || name.as_str().starts_with("x-amz-");
            let shown = if hidden { REDACTED.to_owned() } else { escape(&String::from_utf8_lossy(value.as_bytes())) };
            (name.to_string(), shown)
        })
        .collect()
}

/// The beginning of a body for an error: secrets removed by field name and by value, control and bidirectional
/// characters escaped, at most [`EXCERPT_LIMIT`] bytes.
pub fn excerpt(body: &[u8], secrets: &[SecretString]) -> String {
    // Parsing more than this for the sake of an excerpt would be work for an attacker to ask for.
    const PARSE_LIMIT: usize = 64 * 1024;
    let mut text = if body.len() <= PARSE_LIMIT
        && let Ok(mut json) = serde_json::from_slice::<Value>(body)
    {
        redact_json(&mut json);
        json.to_string()
    } else {
        String::from_utf8_lossy(body.get(..PARSE_LIMIT.min(body.len())).unwrap_or_default()).into_owned()
    };
    for secret in secrets {
        let secret = secret.expose_secret();
        if secret.len() >= 4 {
            text = text.replace(secret, REDACTED);
        }
    }
    truncate(&mut text, EXCERPT_LIMIT);
    escape(&text)
}

/// Replaces the values of secret-sounding members, at every depth.
pub fn redact_json(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if is_secret_name(name) && !member.is_null() {
                    *member = Value::String(REDACTED.to_owned());
                } else {
                    redact_json(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact_json),
        _ => {}
    }
}

/// Escapes control characters and the bidirectional overrides that can disguise a log line.
pub fn escape(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Cuts a text at a character boundary, at most `limit` bytes.
pub fn truncate(text: &mut String, limit: usize) {
    if text.len() > limit {
        let mut end = limit;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}
