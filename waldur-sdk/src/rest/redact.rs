//! Nothing secret leaves through an error, a log or a `Debug`.

use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::error::write_visible;

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

const SECRET_PARTS: [&str; 12] = [
    "secret",
    "password",
    "passwd",
    "passcode",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
    "assertion",
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

/// The beginning of a body for an error: secrets removed by field name and by value, hidden characters escaped, at
/// most [`EXCERPT_LIMIT`] bytes. A body that is no JSON (a page, XML, a form, JSON cut short) is scrubbed as text.
pub fn excerpt(body: &[u8], secrets: &[SecretString]) -> String {
    // Working on more than this for the sake of an excerpt would be work for an attacker to ask for.
    const WORK_LIMIT: usize = 64 * 1024;
    let mut text = if body.len() <= WORK_LIMIT
        && let Ok(mut json) = serde_json::from_slice::<Value>(body)
    {
        redact_json(&mut json);
        json.to_string()
    } else {
        scrub(&String::from_utf8_lossy(body.get(..WORK_LIMIT).unwrap_or(body)))
    };
    for secret in secrets {
        remove(&mut text, secret.expose_secret());
    }
    let mut text = escape(&text);
    truncate(&mut text, EXCERPT_LIMIT);
    text
}

/// Removes a secret as it is, as JSON writes it and as a URL writes it.
fn remove(text: &mut String, secret: &str) {
    if secret.len() < 4 {
        remove_word(text, secret);
        return;
    }
    let quoted = Value::from(secret).to_string();
    for form in [secret, quoted.trim_matches('"'), &super::path::encode(secret)] {
        if text.contains(form) {
            *text = text.replace(form, REDACTED);
        }
    }
}

/// Removes a short secret, as are names of people, where it stands alone: elsewhere it would tear words apart.
fn remove_word(text: &mut String, secret: &str) {
    if secret.is_empty() {
        return;
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text.as_str());
    while let Some((before, after)) = rest.split_once(secret) {
        out.push_str(before);
        let joins = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
        let is_word = !joins(out.chars().next_back()) && !joins(after.chars().next());
        out.push_str(if is_word { REDACTED } else { secret });
        rest = after;
    }
    out.push_str(rest);
    *text = out;
}

/// Replaces the values of secret-sounding members, at every depth, and what follows a secret-sounding name in texts.
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
        Value::String(text) => *text = scrub(text),
        _ => {}
    }
}

/// Removes the values of secret-sounding names from a text of unknown grammar: `name=value`, `name: value`,
/// `"name": "value"`, `<name>value</name>`. Where the end of a value cannot be told, everything after it goes.
pub fn scrub(text: &str) -> String {
    let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(in_word) {
        let (before, from_word) = rest.split_at(start);
        let (word, after) = from_word.split_at(from_word.find(|c| !in_word(c)).unwrap_or(from_word.len()));
        out.push_str(before);
        out.push_str(word);
        rest = after;
        if is_secret_name(word)
            && let Some((between, tail)) = split_value(after, opens_tag(&out, word))
        {
            out.push_str(between);
            out.push_str(REDACTED);
            rest = tail;
        }
    }
    out + rest
}

/// Whether a text ends with `<word` or `<prefix:word`.
fn opens_tag(text: &str, word: &str) -> bool {
    let prefix = text.rsplit_once('<').and_then(|(_, tag)| tag.strip_suffix(word));
    prefix.is_some_and(|prefix| prefix.is_empty() || (prefix.ends_with(':') && !prefix.contains([' ', '>', '/'])))
}

/// What stands between a name and its value, and what stands after the value.
fn split_value(after_name: &str, is_tag: bool) -> Option<(&str, &str)> {
    let separator = if is_tag {
        after_name.find('>')? + 1
    } else {
        let unquoted = after_name.trim_start_matches(['\\', '"', '\'']).trim_start();
        let value = unquoted.strip_prefix([':', '='])?.trim_start_matches('>').trim_start();
        after_name.len() - value.len()
    };
    let (between, value) = after_name.split_at_checked(separator)?;
    let end = if is_tag {
        value.find('<')
    } else if let Some(quote) = ["\\\"", "\"", "'"].into_iter().find(|quote| value.starts_with(quote)) {
        closing(value, quote)
    } else if value.starts_with(['{', '[']) {
        None
    } else {
        value.find(['&', '"', '\'', '<', '>', ',', ';', '}', ']', '\n', '\r'])
    };
    Some((between, value.get(end.unwrap_or(value.len())..).unwrap_or_default()))
}

/// The index after the closing quote of a text that begins with `quote`.
fn closing(text: &str, quote: &str) -> Option<usize> {
    let mut from = quote.len();
    loop {
        let end = from + text.get(from..)?.find(quote)?;
        let escaped = text.get(from..end)?.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
        from = end + quote.len();
        if !escaped {
            return Some(from);
        }
    }
}

/// Escapes what can break or disguise a log line: control characters, line separators, zero-width characters and
/// bidirectional overrides.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Writing into a String cannot fail.
    let _infallible = write_visible(&mut out, text);
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
