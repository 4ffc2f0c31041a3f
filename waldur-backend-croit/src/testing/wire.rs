//! Requests and answers the gateway's way.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::refused::Refused;

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
const HOST_ID: &str = "100c-default-default";
/// What the gateway prints for a number that it could not read: it never initialised it. Recorded:
/// t1_users/020-user-create-bad-maxbuckets; another run printed another number.
pub(super) const UNINITIALISED: i64 = 1_504_711_977;
/// The longest request target: 16 300 bytes pass, 16 384 answer a bare 400 (measured on 16.2.15).
const MAX_TARGET: usize = 16_384;

const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const STRICT_PATH: &AsciiSet = &STRICT.remove(b'/');

/// Undoes percent-encoding; `None` where a `%` is not followed by two hexadecimal digits.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
            decoded.push(u8::try_from(value).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// What the gateway makes of a piece of a URL before it signs: decoded, then encoded strictly. A piece that cannot
/// be decoded is empty.
pub(super) fn recode(text: &[u8]) -> String {
    percent_encode(&decode(text).unwrap_or_default(), STRICT).to_string()
}

/// The same for a path, where `/` stays.
pub(super) fn recode_path(path: &str) -> String {
    percent_encode(&decode(path.as_bytes()).unwrap_or_default(), STRICT_PATH).to_string()
}

/// The query, decoded. Of a name that comes twice, the last value counts (measured).
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments(BTreeMap<String, String>);

impl Arguments {
    fn parse(query: &str) -> Self {
        let mut arguments = BTreeMap::new();
        for token in query.split('&').filter(|token| !token.is_empty()) {
            // Decoded before it is split: `uid%3Dalice` is a uid (measured).
            let pair = decode(token.replace('+', " ").as_bytes()).unwrap_or_default();
            let pair = String::from_utf8_lossy(&pair);
            let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
            arguments.insert(name.to_owned(), value.to_owned());
        }
        Self(arguments)
    }

    /// The sub-resource: the first of the names that can be one, in the order in which they were sent. The others do
    /// not count, so `DELETE ?sync&caps` deletes the user (measured).
    fn sub_resource(query: &str) -> Option<&'static str> {
        query.split('&').find_map(|token| {
            let name = decode(token.split('=').next().unwrap_or_default().as_bytes())?;
            SUB_RESOURCES.into_iter().find(|known| known.as_bytes() == name)
        })
    }

    /// Is the name there, with or without a value?
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value, also when empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value; empty when absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// `true` in any case, `1` and nothing at all are true, `false` and `0` are false; any other word is taken for what
    /// it is when absent (measured).
    pub(super) fn flag(&self, name: &str, absent: bool) -> bool {
        match self.get(name) {
            Some("" | "1") => true,
            Some("0") => false,
            Some(word) if word.eq_ignore_ascii_case("true") => true,
            Some(word) if word.eq_ignore_ascii_case("false") => false,
            Some(_) | None => absent,
        }
    }

    /// A number as C reads it, or `unreadable`; `None` when absent.
    pub(super) fn number(&self, name: &str, unreadable: i64) -> Option<i64> {
        self.get(name).map(|text| strtoll(text).unwrap_or(unreadable))
    }
}

/// `strtoll` as the gateway uses it: leading space and a sign pass, nothing is 0, anything behind the digits or the
/// largest number and beyond is an error, the smallest number is a floor (radosgw-api.md §3, measured).
pub(super) fn strtoll(text: &str) -> Option<i64> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() {
        return (digits.len() == text.len()).then_some(0);
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match digits.parse::<i64>() {
        Ok(value) if negative => Some(-value),
        Ok(i64::MAX) => None,
        Ok(value) => Some(value),
        Err(_) => negative.then_some(i64::MIN),
    }
}

/// What can be a sub-resource, of whatever resource.
const SUB_RESOURCES: [&str; 9] = ["subuser", "key", "caps", "index", "policy", "quota", "list", "object", "sync"];

/// One request as the gateway sees it.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) method: Method,
    /// As sent.
    pub(super) path: String,
    /// As sent.
    pub(super) query: String,
    pub(super) arguments: Arguments,
    pub(super) sub_resource: Option<&'static str>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    authority: Option<String>,
}

impl Exchange {
    pub(super) fn read(request: Request<Bytes>) -> Self {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Self {
            arguments: Arguments::parse(&query),
            sub_resource: Arguments::sub_resource(&query),
            path: parts.uri.path().to_owned(),
            query,
            authority: parts.uri.authority().map(|authority| authority.as_str().to_owned()),
            method: parts.method,
            headers: parts.headers,
            body,
        }
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.path.len() + 1 + self.query.len() >= MAX_TARGET
    }

    /// A header's value as the gateway signs it: trimmed, inner runs of spaces made one (measured).
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let sent: Vec<_> = self.headers.get_all(name).iter().collect();
        if sent.is_empty() {
            return match name {
                // The HTTP stack adds these two on its own.
                "host" => self.authority.clone(),
                "content-length" => Some(self.body.len().to_string()),
                _ => None,
            };
        }
        let texts = sent.iter().map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        });
        Some(texts.collect::<Vec<_>>().join(","))
    }

    pub(super) fn is_signed(&self) -> bool {
        self.headers.get(header::AUTHORIZATION).is_some_and(|value| !value.is_empty())
    }

    fn format(&self) -> Format {
        match self.arguments.get("format") {
            Some("xml") => Format::Xml,
            Some(_) => Format::Json,
            None => match self.header("accept").as_deref() {
                Some("application/xml" | "text/xml") => Format::Xml,
                // S3 speaks XML.
                _ if !self.path.starts_with("/admin") => Format::Xml,
                _ => Format::Json,
            },
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Xml,
}

/// A value that can be printed as JSON and as XML, its members in the gateway's order.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Number(i64),
    Flag(bool),
    /// The name is that of one entry, in XML.
    List(&'static str, Vec<Node>),
    Map(Vec<(&'static str, Node)>),
}

impl Node {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn xml(&self, name: &str, out: &mut String) {
        out.extend(["<", name, ">"]);
        match self {
            Self::Text(text) => {
                for letter in text.chars() {
                    match letter {
                        '&' => out.push_str("&amp;"),
                        '<' => out.push_str("&lt;"),
                        '>' => out.push_str("&gt;"),
                        letter => out.push(letter),
                    }
                }
            }
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::List(item, nodes) => nodes.iter().for_each(|node| node.xml(item, out)),
            Self::Map(members) => members.iter().for_each(|(name, node)| node.xml(name, out)),
        }
        out.extend(["</", name, ">"]);
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::List(_, nodes) => serializer.collect_seq(nodes),
            Self::Map(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, node) in members {
                    map.serialize_entry(name, node)?;
                }
                map.end()
            }
        }
    }
}

/// An answer, before it is printed.
#[derive(Debug)]
pub(super) enum Reply {
    /// 200 without a body.
    Empty,
    /// 200; the name is that of the root in XML. User, bucket and usage answers carry no content type in JSON.
    Tree(&'static str, Node),
    /// The same, by `/admin/metadata`: always with a content type.
    Metadata(&'static str, Node),
    /// An error, behind the beginning of the answer that was `begun` (by its root): what a bad marker gives.
    Error { refused: Refused, bucket: Option<String>, begun: Option<&'static str> },
    /// 200 and a list of users that breaks off before the first.
    BrokenOff,
    /// A bare 400: no JSON, no body.
    Bare,
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Self {
        Self::Error { refused, bucket: None, begun: None }
    }
}

impl Reply {
    /// Prints the answer. `request_id` also names an error.
    pub(super) fn print(self, exchange: &Exchange, request_id: &str, now: Timestamp) -> Response<Bytes> {
        let format = exchange.format();
        let (status, typed, mut body) = match self {
            Self::Empty => (200, false, String::new()),
            Self::Tree(root, node) => (200, format == Format::Xml, printed(format, root, &node, true)),
            Self::Metadata(root, node) => (200, true, printed(format, root, &node, false)),
            Self::Error { refused, bucket, begun } => {
                let mut members = vec![("Code", Node::text(refused.code())), ("Message", Node::text(""))];
                members.extend(bucket.map(|bucket| ("BucketName", Node::Text(bucket))));
                members.push(("RequestId", Node::text(request_id)));
                members.push(("HostId", Node::text(HOST_ID)));
                let error = printed(format, "Error", &Node::Map(members), true);
                let begun = match (begun, format) {
                    (None, _) => "",
                    (Some("keys"), Format::Json) => "[",
                    (Some("keys"), Format::Xml) => "<keys>",
                    (Some(_), Format::Json) => r#"{"keys":["#,
                    (Some(_), Format::Xml) => "<result><keys>",
                };
                (refused.status(), true, format!("{begun}{error}"))
            }
            Self::BrokenOff if format == Format::Xml => (200, true, format!("{DECLARATION}<result><keys>")),
            Self::BrokenOff => (200, false, r#"{"keys":["#.to_owned()),
            Self::Bare => (400, false, String::new()),
        };
        if exchange.method == Method::HEAD {
            body.clear();
        }
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let length = response.body().len();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        headers.extend(HeaderValue::try_from(date).ok().map(|date| (header::DATE, date)));
        headers.extend(HeaderValue::try_from(request_id).ok().map(|id| (REQUEST_ID, id)));
        if typed {
            let media = if format == Format::Xml { "application/xml" } else { "application/json" };
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        }
        if status != 200 && typed {
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        response
    }
}

const REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-amz-request-id");

fn printed(format: Format, root: &str, node: &Node, declared: bool) -> String {
    match format {
        // Neither strings nor numbers can fail to print.
        Format::Json => serde_json::to_string(node).unwrap_or_default(),
        Format::Xml => {
            let declaration = if declared { DECLARATION } else { "" };
            let mut body = declaration.to_owned();
            node.xml(root, &mut body);
            body
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, number) in [
            ("5", Some(5)),
            (" 5", Some(5)),
            ("\t5", Some(5)),
            ("+5", Some(5)),
            ("007", Some(7)),
            ("-5", Some(-5)),
            ("", Some(0)),
            ("5 ", None),
            ("abc", None),
            ("1e6", None),
            ("0x10", None),
            ("-", None),
            ("9223372036854775806", Some(i64::MAX - 1)),
            ("9223372036854775807", None),
            ("9223372036854775808", None),
            ("-9223372036854775809", Some(i64::MIN)),
        ] {
            assert_eq!(strtoll(text), number, "{text:?}");
        }
    }

    #[test]
    fn arguments_are_decoded_before_they_are_split() {
        let arguments = Arguments::parse("uid%3Dalice&quota&a=1&a=2&&b=x+y&c=%zz");
        assert_eq!(arguments.get("uid"), Some("alice"));
        assert_eq!(arguments.get("quota"), Some(""));
        assert_eq!(arguments.get("a"), Some("2"));
        assert_eq!(arguments.get("b"), Some("x y"));
        assert!(!arguments.has("c"));
    }
}
