//! What is wrong in a tree of settings: where, which rule, and the type of what was found. Never the value.

use std::{borrow::Cow, fmt};

use serde_json::Value;

use crate::{error::Error, rest::redact};

/// The type of what was found, all that an error may tell of a value (core.md C70).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Found {
    /// The key is not there.
    Nothing,
    /// The key is there without a value.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number without a fraction.
    Integer,
    /// A number with a fraction.
    Fraction,
    /// Text.
    Text,
    /// Text of nothing but white space, or of no character at all.
    BlankText,
    /// A list.
    List,
    /// A map.
    Map,
}

impl Found {
    /// The type of a value.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_f64() => Self::Fraction,
            Value::Number(_) => Self::Integer,
            Value::String(text) if text.trim().is_empty() => Self::BlankText,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Map,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "a whole number",
            Self::Fraction => "a number with a fraction",
            Self::Text => "text",
            Self::BlankText => "blank text",
            Self::List => "a list",
            Self::Map => "a map",
        })
    }
}

/// A broken rule. Made of literals, bounds and the names of keys, so that it cannot repeat a value.
pub(super) type Rule = Cow<'static, str>;

/// One thing that is wrong in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    path: String,
    rule: Rule,
    found: Found,
    misspelt: Option<String>,
}

impl Problem {
    pub(super) fn new(path: String, rule: impl Into<Rule>, found: Found) -> Self {
        Self { path, rule: rule.into(), found, misspelt: None }
    }

    /// Notes an unknown key that is probably meant to be this missing one.
    pub(super) fn suspect(&mut self, key: &str) {
        self.misspelt = Some(shown(key));
    }

    /// Where: `offerings[0].backend_settings.timeout`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is asked for: `must be a whole number from 1 to 600`.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The type of what is there instead.
    pub fn found(&self) -> Found {
        self.found
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the settings" } else { &self.path };
        write!(f, "{path}: {} (found {}", self.rule, self.found)?;
        if let Some(key) = &self.misspelt {
            write!(f, "; is the unknown key {key} meant to be it?")?;
        }
        f.write_str(")")
    }
}

/// The problems that an error of [`Report::finish`](super::Report::finish) carries, in the order of reading; empty for
/// any other error.
pub fn problems(error: &Error) -> Vec<&Problem> {
    let mut problems = Vec::new();
    let mut next = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<Link>());
    while let Some(link) = next {
        problems.push(&link.problem);
        next = link.next.as_deref();
    }
    problems
}

/// All problems as one error: each is the cause of the one before, so that [`Error::chain`] has a line for each.
pub(super) fn into_error(problems: Vec<Problem>) -> Error {
    let message = match problems.len() {
        1 => "1 problem in the settings".to_owned(),
        count => format!("{count} problems in the settings"),
    };
    let chain = problems.into_iter().rev().fold(None, |next, problem| Some(Box::new(Link { problem, next })));
    match chain {
        Some(first) => Error::config(message).with_source(*first),
        None => Error::config(message),
    }
}

#[derive(Debug)]
struct Link {
    problem: Problem,
    next: Option<Box<Self>>,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for Link {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.next.as_deref().map(|next| next as &(dyn std::error::Error + 'static))
    }
}

impl Drop for Link {
    // A chain of a hundred thousand would overflow the stack if each link dropped the next.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut link) = next {
            next = link.next.take();
        }
    }
}

/// Something that the operator should know, and that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    path: String,
    text: String,
}

impl Warning {
    /// A warning of whoever reads settings in another way than by a [`Section`](super::Section). The text must not
    /// repeat a value that may be secret.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Where.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// The path of a key below `parent`. Names that are no plain word are quoted and escaped: they come from a file.
pub(super) fn child(parent: &str, key: &str) -> String {
    let plain =
        !key.is_empty() && key.len() <= SHOWN && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    match (plain, parent.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{parent}.{key}"),
        (false, _) => format!("{parent}[{}]", shown(key)),
    }
}

/// The path of an item of the list at `parent`.
pub(super) fn item(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

/// The longest name of a key that is repeated, in bytes.
const SHOWN: usize = 64;

fn shown(key: &str) -> String {
    let mut text = redact::escape(key);
    redact::truncate(&mut text, SHOWN);
    format!("\"{text}\"")
}
