//! A request as the handlers see it.

use std::{cell::Cell, collections::BTreeSet};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    answer::Answer,
    words::{Generation, Word},
};
use crate::types::UserUuid;

/// A method that the fake knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    /// `HEAD` is `GET` without a body.
    pub(super) fn of(method: &http::Method) -> Option<Self> {
        match method.as_str() {
            "GET" | "HEAD" => Some(Self::Get),
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            "PATCH" => Some(Self::Patch),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// An authenticated request to a known path.
pub(super) struct Incoming<'a> {
    pub(super) generation: Generation,
    pub(super) verb: Verb,
    /// Scheme, host and path prefix: what hyperlinks in answers begin with, without a slash at the end.
    pub(super) origin: &'a str,
    /// The path below the prefix.
    pub(super) path: &'a str,
    pub(super) query: &'a [(String, String)],
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a Bytes,
    pub(super) user: UserUuid,
    /// The segments that stand in place of `{}` in the route.
    pub(super) ids: Vec<String>,
    pub(super) fields: Fielded<'a>,
}

/// The names that `field=` asks for.
pub(super) struct Fielded<'a> {
    names: BTreeSet<&'a str>,
    /// Whether rows are made in full all the same.
    in_full: Cell<bool>,
}

impl<'a> Fielded<'a> {
    pub(super) fn of(query: &'a [(String, String)]) -> Self {
        let names: BTreeSet<_> =
            query.iter().filter(|(name, _)| name == "field").map(|(_, value)| value.as_str()).collect();
        Self { in_full: Cell::new(names.is_empty()), names }
    }
}

impl Incoming<'_> {
    /// The id in the path, in either spelling and case (recorded: 040, 041). Something else names nothing (047).
    pub(super) fn id(&self) -> Option<Uuid> {
        Uuid::try_parse(self.ids.first()?).ok()
    }

    /// A hyperlink to a path of the API.
    pub(super) fn link(&self, path: &str, uuid: impl std::fmt::Display) -> String {
        format!("{}/api/{path}/{uuid}/", self.origin)
    }

    /// Whether a row has to have a member.
    pub(super) fn wants(&self, member: &str) -> bool {
        self.fields.in_full.get() || self.fields.names.contains(member)
    }

    /// Makes rows with all their members.
    pub(super) fn in_full<T>(&self, make: impl FnOnce() -> T) -> T {
        let before = self.fields.in_full.replace(true);
        let row = make();
        self.fields.in_full.set(before);
        row
    }

    pub(super) fn all<'q>(&'q self, name: &str) -> impl Iterator<Item = &'q str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The last of the values of a parameter, which is the one that counts.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as data: JSON or a form. No body at all is an empty object.
    pub(super) fn data(&self) -> Result<Value, Answer> {
        let media = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if self.body.is_empty() {
            return Ok(Value::Object(Map::new()));
        }
        match media.split(';').next().unwrap_or_default().trim() {
            "application/json" => serde_json::from_slice(self.body).map_err(|error| parse_error(self.body, &error)),
            "application/x-www-form-urlencoded" => {
                let text = String::from_utf8_lossy(self.body);
                Ok(Value::Object(pairs(&text).into_iter().map(|(name, value)| (name, value.into())).collect()))
            }
            // Recorded: 029.
            other => {
                let detail = format!("Unsupported media type \"{other}\" in request.");
                Err(Answer::detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, &detail))
            }
        }
    }

    /// The body as an object (recorded: 033).
    pub(super) fn fields(&self) -> Result<Fields, Answer> {
        match self.data()? {
            Value::Object(fields) => Ok(Fields { fields, errors: Map::new() }),
            Value::Null => Err(Answer::field_error("non_field_errors", "No data provided")),
            other => {
                let text = format!("Invalid data. Expected a dictionary, but got {}.", python_type(&other));
                Err(Answer::field_error("non_field_errors", &text))
            }
        }
    }
}

/// Splits a query or a form; `+` is a space (recorded: 331).
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    let decode = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// The words of Python's JSON parser (recorded: 030, 203). Positions agree where a value is missing.
fn parse_error(body: &[u8], error: &serde_json::Error) -> Answer {
    // Python reads them, and Waldur does not let them in.
    if let Some(word) = ["NaN", "Infinity"].into_iter().find(|word| String::from_utf8_lossy(body).contains(word)) {
        let text = format!("JSON parse error - Out of range float values are not JSON compliant: '{word}'");
        return Answer::detail(StatusCode::BAD_REQUEST, &text);
    }
    let (line, mut column) = (error.line(), error.column());
    if error.is_eof() {
        column += 1;
    }
    let before: usize = body.split(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(|line| line.len() + 1).sum();
    let place = before + column.saturating_sub(1);
    let text = format!("JSON parse error - Expecting value: line {line} column {column} (char {place})");
    Answer::detail(StatusCode::BAD_REQUEST, &text)
}

pub(super) fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// The members of a body and what is wrong with them, collected before anything is refused.
pub(super) struct Fields {
    fields: Map<String, Value>,
    errors: Map<String, Value>,
}

impl Fields {
    /// The members of an object within a body; of anything else, none.
    pub(super) fn of(value: Value) -> Self {
        let fields = if let Value::Object(fields) = value { fields } else { Map::new() };
        Self { fields, errors: Map::new() }
    }

    /// What was wrong.
    pub(super) fn into_errors(self) -> Value {
        Value::Object(self.errors)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    pub(super) fn wrong(&mut self, name: &str, text: impl Into<Value>) {
        self.errors.insert(name.to_owned(), Value::Array(vec![text.into()]));
    }

    pub(super) fn wrong_within(&mut self, name: &str, errors: Value) {
        self.errors.insert(name.to_owned(), errors);
    }

    /// A member that must be there, whatever it is, but not `null` (recorded: 159, 168).
    pub(super) fn required(&mut self, name: &str) -> Option<Value> {
        match self.fields.get(name) {
            None => {
                self.wrong(name, "This field is required.");
                None
            }
            Some(Value::Null) => {
                self.wrong(name, "This field may not be null.");
                None
            }
            Some(value) => Some(value.clone()),
        }
    }

    /// Text as the server takes it: numbers become text, white space around it goes (recorded: 161).
    pub(super) fn text(&mut self, name: &str, longest: usize) -> Option<String> {
        let text = match self.fields.get(name)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Null => {
                self.wrong(name, "This field may not be null.");
                return None;
            }
            _ => {
                self.wrong(name, "Not a valid string.");
                return None;
            }
        };
        if text.chars().count() > longest {
            self.wrong(name, format!("Ensure this field has no more than {longest} characters."));
            return None;
        }
        Some(text)
    }

    /// Text that must be there and say something (recorded: 055, 056).
    pub(super) fn required_text(&mut self, name: &str, longest: usize) -> Option<String> {
        self.required(name)?;
        let text = self.text(name, longest)?;
        if text.is_empty() {
            self.wrong(name, "This field may not be blank.");
            return None;
        }
        Some(text)
    }

    /// A word of a vocabulary (recorded: 056).
    pub(super) fn choice<T: Word>(&mut self, name: &str) -> Option<T> {
        let word = match self.fields.get(name)? {
            Value::Null => return None,
            Value::String(word) => word.clone(),
            other => other.to_string(),
        };
        let choice = T::read(&word);
        if choice.is_none() {
            self.wrong(name, format!("\"{word}\" is not a valid choice."));
        }
        choice
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        match self.fields.get(name)? {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => {
                self.wrong(name, "Must be a valid boolean.");
                None
            }
        }
    }

    /// The id in a hyperlink to an object: the last segment of a path that begins as `path` does. The host does not
    /// count (recorded: 104 to 107, 284).
    pub(super) fn link(&mut self, name: &str, path: &str) -> Option<Uuid> {
        let Some(text) = self.fields.get(name)?.as_str() else {
            let kind = self.fields.get(name).map_or("NoneType", python_type);
            self.wrong(name, format!("Incorrect type. Expected URL string, received {kind}."));
            return None;
        };
        let uuid = text
            .strip_suffix('/')
            .and_then(|rest| rest.split_once("/api/"))
            .filter(|(_, rest)| rest.starts_with(path))
            .and_then(|(_, rest)| Uuid::try_parse(rest.rsplit('/').next()?).ok());
        if uuid.is_none() {
            self.wrong(name, "Invalid hyperlink - No URL match.");
        }
        uuid
    }

    /// A hyperlink's object is not there, or none of the caller's business.
    pub(super) fn wrong_link(&mut self, name: &str) {
        self.wrong(name, "Invalid hyperlink - Object does not exist.");
    }

    /// Refuses the request if anything was wrong.
    pub(super) fn check(&mut self) -> Result<(), Answer> {
        if self.errors.is_empty() { Ok(()) } else { Err(Answer::invalid(std::mem::take(&mut self.errors))) }
    }
}
