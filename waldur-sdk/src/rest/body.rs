//! What an answer's body is, and reading it as JSON.
//!
//! - A page for people is [`ErrorKind::WrongContent`], an empty body and everything that does not decode is
//!   [`ErrorKind::Decode`]; no error repeats a value.
//! - The body is UTF-8: a byte order mark is dropped, another charset in `Content-Type` is an error, never a guess.
//! - Of a member that appears twice, typed structs make an error (`serde`'s derive); a `serde_json::Value` keeps the last.
//! - Nesting deeper than 128 levels is an error (`serde_json`'s limit, never lifted).
//! - Integers are read exactly or not at all. A number with a fraction or an exponent, or beyond 64 bits, passes
//!   through `f64` in `serde_json`: amounts are read from their text, by types of their own.

use http::{HeaderMap, Method, header};
use serde::de::DeserializeOwned;

use super::{
    prepared::{Answered, Prepared},
    redact,
    rows::{Rows, decode_rows, decode_rows_in},
};
use crate::error::{Error, ErrorKind, Result};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

const A_PAGE: &str = "an HTML page came instead of the API's answer";

/// Whether a body is a page for people instead of an answer of an API.
fn is_page(body: &[u8]) -> bool {
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii_start();
    text.first() == Some(&b'<') && {
        let head = text.get(..512).unwrap_or(text).to_ascii_lowercase();
        let begins = ["<!doctype html", "<head", "<body"].iter().any(|tag| head.starts_with(tag.as_bytes()));
        begins || head.windows(5).any(|window| window == b"<html")
    }
}

/// Whether an error's body can come from an API: JSON, or XML. What a proxy or an ingress says in its place is a page, a
/// line of text or nothing at all. `None` of an empty one.
fn of_an_api(body: &[u8]) -> Option<bool> {
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii_start();
    Some(match text.first()? {
        b'{' | b'[' | b'"' => true,
        b'<' => !is_page(text),
        _ => false,
    })
}

impl Prepared {
    /// Whether a 404 is the API's own word, so that it proves an absence. An empty one is, where the API is known to say
    /// no more, where the method leaves no room for more, and of calls that neither ask for the object nor remove it:
    /// Waldur refuses some of those so (recorded: 061_component_update_404).
    pub(super) fn proves_absence(&self, answered: &Answered) -> bool {
        let asks_or_removes = matches!(self.method, Method::GET | Method::DELETE);
        of_an_api(answered.response.body()).unwrap_or(self.empty_not_found || !asks_or_removes)
    }

    /// Reads the whole answer as a `T`.
    pub(super) fn decode<T: DeserializeOwned>(&self, answered: &Answered) -> Result<T> {
        let json = self.json(answered)?;
        decode(json).map_err(|error| self.unreadable(answered, &format!("the answer {}", error.message())))
    }

    /// Reads the answer, or the array that is its member `member`, entry by entry.
    pub(super) fn rows<T: DeserializeOwned>(
        &self,
        answered: &Answered,
        member: Option<&str>,
        id: &str,
    ) -> Result<Rows<T>> {
        let json = self.json(answered)?;
        let rows = match member {
            None => decode_rows(json, id),
            Some(member) => decode_rows_in(json, member, id),
        };
        let mut rows = rows.map_err(|error| self.unreadable(answered, error.message()))?;
        for row in &mut rows.bad {
            // Without the body: its beginning is about other rows.
            row.error = row.error.clone().with_operation(self.operation).with_http(self.bare_context(answered));
        }
        Ok(rows)
    }

    /// A page for people is no answer of an API, whatever its status: a login form proves nothing about a deletion.
    pub(super) fn refuse_page(&self, answered: &Answered) -> Result<()> {
        if is_page(answered.response.body()) {
            return Err(self.answer_error(answered, ErrorKind::WrongContent, A_PAGE));
        }
        Ok(())
    }

    /// The text of an answer that claims to be JSON.
    fn json<'a>(&self, answered: &'a Answered) -> Result<&'a [u8]> {
        self.refuse_page(answered)?;
        self.refuse_coding(answered)?;
        let body = answered.response.body();
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        if body.trim_ascii().is_empty() {
            return Err(self.answer_error(answered, ErrorKind::Decode, "the answer is empty"));
        }
        Ok(body)
    }

    /// What [`Self::json`] refuses, for an answer that was taken in while it arrived and began with `head`.
    pub(super) fn refuse_streamed(&self, answered: &Answered, head: &[u8]) -> Result<()> {
        if is_page(head) {
            return Err(self.answer_error(answered, ErrorKind::WrongContent, A_PAGE));
        }
        self.refuse_coding(answered)?;
        if head.trim_ascii().is_empty() {
            return Err(self.answer_error(answered, ErrorKind::Decode, "the answer is empty"));
        }
        Ok(())
    }

    /// An answer is text in UTF-8, and not packed.
    fn refuse_coding(&self, answered: &Answered) -> Result<()> {
        let headers = answered.response.headers();
        // Nothing packed is ever asked for, so whoever packs is not the API, and what it packs may be a bomb.
        if let Some(coding) = headers.get(http::header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
            let coding = redact::escape(&String::from_utf8_lossy(coding.as_bytes()));
            let text = format!("the answer is packed ({coding}) without being asked to");
            return Err(self.answer_error(answered, ErrorKind::WrongContent, text));
        }
        if let Some(charset) = foreign_charset(headers) {
            let text = format!("the answer is in charset {}, not UTF-8", redact::escape(&charset));
            return Err(self.answer_error(answered, ErrorKind::Decode, text));
        }
        Ok(())
    }

    pub(super) fn unreadable(&self, answered: &Answered, message: &str) -> Error {
        // Text that says it is a page and is no JSON is a page, whatever it begins with.
        let html = content_type(answered.response.headers()).is_some_and(|text| text.starts_with("text/html"));
        let kind = if html { ErrorKind::WrongContent } else { ErrorKind::Decode };
        self.answer_error(answered, kind, message)
    }
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(header::CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase())
}

/// The charset that `Content-Type` names, unless it is UTF-8 or a part of it.
fn foreign_charset(headers: &HeaderMap) -> Option<String> {
    let text = content_type(headers)?;
    let charset = text.split(';').find_map(|part| part.trim().strip_prefix("charset="))?.trim_matches('"').to_owned();
    (!matches!(charset.as_str(), "" | "utf-8" | "utf8" | "us-ascii" | "ascii")).then_some(charset)
}

/// Reads one JSON text to its end. The error's message is a predicate ("does not decode at `a.b`: …") that quotes no
/// value.
pub(super) fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|_| {
        // Only what failed is read again to learn where: keeping the path costs as much as decoding.
        let mut again = serde_json::Deserializer::from_slice(json);
        let text = match serde_path_to_error::deserialize::<_, T>(&mut again) {
            Ok(_) => "has data after its end".to_owned(),
            Err(cause) => {
                let mut path = redact::escape(&cause.path().to_string());
                redact::truncate(&mut path, 200);
                format!("does not decode at `{path}`: {}", reason(cause.inner()))
            }
        };
        Error::new(ErrorKind::Decode, text)
    })
}

/// What `serde_json` says, without the value that it quotes: names of members and expected types are ours, values are
/// not.
fn reason(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let place = format!("line {}, column {}", error.line(), error.column());
    let text = error.to_string();
    let known = match error.classify() {
        Category::Eof => "it ends too early".to_owned(),
        Category::Io | Category::Syntax => "it is no valid JSON".to_owned(),
        Category::Data if text.starts_with("missing field `") || text.starts_with("duplicate field `") => {
            text.split('`').take(2).collect::<Vec<_>>().join("`") + "`"
        }
        Category::Data => match text.rsplit_once(", expected ") {
            Some((found, expected)) if found.starts_with("invalid ") => {
                format!("expected {}", expected.split(" at line ").next().unwrap_or_default())
            }
            _ => "the value is not of the expected type".to_owned(),
        },
    };
    format!("{known} ({place})")
}
