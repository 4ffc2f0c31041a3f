//! One value under the cursor: given a type, checked, and then required, optional or with a default.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Bound, RangeBounds},
};

use rust_decimal::{Decimal, prelude::ToPrimitive};
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use super::{
    problem::{Found, Rule, child, item},
    section::{Read, Report, Reported, Section},
};
use crate::{
    rest::{BaseUrl, PlainHttp, http_url, redact},
    types::lenient,
};

/// The value of one key, or its absence. Lax as core.md §6.1 says: `"yes"` and `1` are booleans, `"3"` and `3.0` whole
/// numbers; but a number is never text.
#[must_use = "give the value a type"]
pub struct Setting<'a> {
    path: String,
    value: Read<Option<&'a Value>>,
    found: Found,
    report: &'a mut Report,
}

/// Why a value did not become what it should.
enum Fault {
    Rule(Rule),
    Reported(Reported),
}

impl From<&'static str> for Fault {
    fn from(rule: &'static str) -> Self {
        Self::Rule(rule.into())
    }
}

impl<'a> Setting<'a> {
    pub(super) fn new(path: String, value: Option<&'a Value>, report: &'a mut Report) -> Self {
        Self { path, value: Ok(value), found: value.map_or(Found::Nothing, Found::of), report }
    }

    /// Takes `""` and white space for a missing key.
    pub fn blank_is_missing(mut self) -> Self {
        if self.found == Found::BlankText {
            self.value = self.value.map(|_| None);
        }
        self
    }

    /// Takes `null` for a missing key, also before a default.
    pub fn null_is_missing(mut self) -> Self {
        if self.found == Found::Null {
            self.value = self.value.map(|_| None);
        }
        self
    }

    /// Refuses `null`, also where the key is optional.
    pub fn not_null(mut self) -> Self {
        if self.found == Found::Null {
            self.value = Err(self.report.problem(self.path.clone(), NOT_NULL, self.found));
        }
        self
    }

    /// Text. Numbers and booleans are refused.
    pub fn text(self) -> Checked<'a, String> {
        self.convert(|value, _, _| Ok(text(value)?.to_owned()))
    }

    /// Text that nobody may see.
    pub fn secret(self) -> Checked<'a, SecretString> {
        self.convert(|value, _, _| Ok(SecretString::from(text(value)?)))
    }

    /// `true`/`false`, `yes`/`no`, `on`/`off`, `1`/`0`, also as text, in any case.
    pub fn boolean(self) -> Checked<'a, bool> {
        self.convert(|value, _, _| boolean(value).ok_or_else(|| "must be true or false".into()))
    }

    /// A whole number within `range`, also as text or as a float without fraction.
    pub fn integer<N>(self, range: impl RangeBounds<N>) -> Checked<'a, N>
    where
        N: Copy + PartialOrd + fmt::Display + TryFrom<i128>,
    {
        self.convert(|value, _, _| {
            number(value)
                .filter(Decimal::is_integer)
                .and_then(|number| N::try_from(number.to_i128()?).ok())
                .filter(|number| range.contains(number))
                .ok_or_else(|| Fault::Rule(integer_rule(&range)))
        })
    }

    /// Permission bits up to `max`: octal text (`0077`), or a number as it is, since an unquoted `0077` *is* 63 in
    /// YAML 1.1.
    pub fn octal(self, max: u32) -> Checked<'a, u32> {
        self.convert(|value, _, _| {
            let bits = match value {
                Value::String(text) => u32::from_str_radix(text.trim().trim_start_matches("0o"), 8).ok(),
                Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
                _ => None,
            };
            let rule = || Fault::Rule(format!("must be an octal number from 0 to {max:04o}, in quotes").into());
            bits.filter(|bits| *bits <= max).ok_or_else(rule)
        })
    }

    /// A number, also as text.
    pub fn decimal(self) -> Checked<'a, Decimal> {
        self.convert(|value, _, _| number(value).ok_or_else(|| "must be a number".into()))
    }

    /// A UUID with or without dashes.
    pub fn uuid<T: From<Uuid>>(self) -> Checked<'a, T> {
        self.text().try_map(|text| Uuid::try_parse(text.trim()).map(T::from).map_err(|_| "must be a UUID"))
    }

    /// The root of an API; see [`BaseUrl::parse`]. Where plain `http` is allowed beyond loopback, it is warned of.
    pub fn base_url(self, plain: PlainHttp) -> Checked<'a, BaseUrl> {
        self.link(plain, BaseUrl::check)
    }

    /// Any http(s) URL without user-info and fragment, taken as it is. Plain `http` is treated as by
    /// [`Self::base_url`].
    pub fn url(self, plain: PlainHttp) -> Checked<'a, HttpUrl> {
        self.link(plain, |text, plain| http_url(text, plain).map(HttpUrl))
    }

    /// One of some words, in any case.
    pub fn one_of<T: Clone>(self, words: &[(&'static str, T)]) -> Checked<'a, T> {
        self.convert(|value, _, _| {
            let word = value.as_str().unwrap_or_default().trim();
            let known = words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
            known.map(|(_, meaning)| meaning.clone()).ok_or_else(|| {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                Fault::Rule(format!("must be one of {}", words.join(", ")).into())
            })
        })
    }

    /// A map with keys of its own.
    pub fn section<T>(self, read: impl FnOnce(Section<'_>) -> Read<T>) -> Checked<'a, T> {
        self.convert(|value, path, report| {
            let members = value.as_object().ok_or(MAP)?;
            read(Section::new(members, path, report)).map_err(Fault::Reported)
        })
    }

    /// A map with keys of its own that may be missing: then it is read as an empty one, for its defaults. `null` is
    /// refused.
    ///
    /// # Errors
    /// When it is no map, or `read` fails.
    pub fn section_or_empty<T>(self, read: impl FnOnce(Section<'_>) -> Read<T>) -> Read<T> {
        if matches!(self.value, Ok(None)) {
            return read(Section::new(&Map::new(), &self.path, self.report));
        }
        self.section(read).required()
    }

    /// A list; `read` is given each item.
    pub fn list<T>(self, mut read: impl FnMut(Setting<'_>) -> Read<T>) -> Checked<'a, Vec<T>> {
        self.convert(|value, path, report| {
            let items = value.as_array().ok_or("must be a list")?;
            let read = |(index, value)| read(Setting::new(item(path, index), Some(value), report));
            all(items.iter().enumerate().map(read))
        })
    }

    /// A map whose keys are names; `read` is given each of them with its value, by name.
    pub fn map<T>(self, mut read: impl FnMut(&str, Setting<'_>) -> Read<T>) -> Checked<'a, BTreeMap<String, T>> {
        self.convert(|value, path, report| {
            let members = value.as_object().ok_or(MAP)?;
            all(members.iter().map(|(name, value)| {
                let value = read(name, Setting::new(child(path, name), Some(value), report))?;
                Ok((name.clone(), value))
            }))
        })
    }

    /// A list of maps that have a name, or, as older files write it, a map of them by name; `read` is given each with
    /// the name that it has there.
    pub fn named_list<T>(self, mut read: impl FnMut(Option<&str>, Setting<'_>) -> Read<T>) -> Checked<'a, Vec<T>> {
        if self.found != Found::Map {
            return self.list(|item| read(None, item));
        }
        self.report.warning(&*self.path, "is a map by name, the form of older files; write a list, each with its name");
        self.convert(|value, path, report| {
            let members = value.as_object().ok_or(MAP)?;
            let read =
                |(name, value): (&String, _)| read(Some(name), Setting::new(child(path, name), Some(value), report));
            all(members.iter().map(read))
        })
    }

    fn link<T>(self, plain: PlainHttp, parse: impl Fn(&str, PlainHttp) -> Result<T, &'static str>) -> Checked<'a, T> {
        self.convert(|value, path, report| {
            let text = text(value)?;
            let url = parse(text, plain)?;
            if parse(text, PlainHttp::LoopbackOnly).is_err() {
                report.warning(path, "plain http: whoever is on the way can read the credentials; use https");
            }
            Ok(url)
        })
    }

    fn convert<T>(self, make: impl FnOnce(&'a Value, &str, &mut Report) -> Result<T, Fault>) -> Checked<'a, T> {
        let Self { path, value, found, report } = self;
        let state = match value {
            Err(reported) => State::Wrong(reported),
            Ok(None) => State::Missing,
            Ok(Some(Value::Null)) => State::Null,
            Ok(Some(value)) => match make(value, &path, report) {
                Ok(value) => State::Given(value),
                Err(Fault::Reported(reported)) => State::Wrong(reported),
                Err(Fault::Rule(rule)) => State::Wrong(report.problem(path.clone(), rule, found)),
            },
        };
        Checked { path, state, found, report }
    }
}

impl fmt::Debug for Setting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting").field("path", &self.path).field("found", &self.found).finish_non_exhaustive()
    }
}

/// An absolute http(s) URL without user-info and fragment. `Debug` leaves the query out, which may hold a key.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl(Url);

impl HttpUrl {
    /// The URL.
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpUrl({})", redact::url(&self.0))
    }
}

/// A value of the right type that waits for its last word: required, optional, or with a default.
#[must_use = "say whether the value is required, optional or has a default"]
pub struct Checked<'a, T> {
    path: String,
    state: State<T>,
    found: Found,
    report: &'a mut Report,
}

enum State<T> {
    Missing,
    Null,
    Wrong(Reported),
    Given(T),
}

impl<'a, T> Checked<'a, T> {
    /// Checks a rule. A literal cannot repeat the value.
    pub fn check(self, rule: &'static str, holds: impl FnOnce(&T) -> bool) -> Self {
        self.try_map(|value| if holds(&value) { Ok(value) } else { Err(rule) })
    }

    /// Makes something else of the value, or names the rule that forbids it.
    ///
    /// `make` answers with the rule; the problem is reported with the place and the type of the value, never the value.
    pub fn try_map<U>(self, make: impl FnOnce(T) -> Result<U, &'static str>) -> Checked<'a, U> {
        let Self { path, state, found, report } = self;
        let state = match state {
            State::Missing => State::Missing,
            State::Null => State::Null,
            State::Wrong(reported) => State::Wrong(reported),
            State::Given(value) => match make(value) {
                Ok(value) => State::Given(value),
                Err(rule) => State::Wrong(report.problem(path.clone(), rule, found)),
            },
        };
        Checked { path, state, found, report }
    }

    /// The value must be there.
    ///
    /// # Errors
    /// When it is missing, `null` or wrong.
    pub fn required(self) -> Read<T> {
        match self.state {
            State::Given(value) => Ok(value),
            State::Wrong(reported) => Err(reported),
            State::Missing => Err(self.report.problem(self.path, "is required", self.found)),
            State::Null => Err(self.report.problem(self.path, NOT_NULL, self.found)),
        }
    }

    /// The value, or `default` when the key is missing. `null` is refused: it is not the same as leaving the key out.
    pub fn or(self, default: T) -> T {
        match self.state {
            State::Given(value) => return value,
            State::Missing | State::Wrong(_) => {}
            State::Null => {
                self.report.problem(self.path, NOT_NULL, self.found);
            }
        }
        default
    }

    /// As [`Self::or`], with the type's own default.
    pub fn or_default(self) -> T
    where
        T: Default,
    {
        self.or(T::default())
    }

    /// As [`Self::or`], with a warning when the key is missing, for a key that ought to be there.
    pub fn or_warn(self, default: T, text: impl Into<String>) -> T {
        if matches!(self.state, State::Missing) {
            self.report.warning(&*self.path, text);
        }
        self.or(default)
    }

    /// The value, if there is one; `null` is none.
    pub fn optional(self) -> Option<T> {
        self.given().ok().flatten()
    }

    /// As [`Self::optional`], telling a wrong value from a missing one, for rules that span several keys.
    ///
    /// # Errors
    /// When the value is wrong.
    pub fn given(self) -> Read<Option<T>> {
        match self.state {
            State::Given(value) => Ok(Some(value)),
            State::Missing | State::Null => Ok(None),
            State::Wrong(reported) => Err(reported),
        }
    }
}

impl<T> fmt::Debug for Checked<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checked").field("path", &self.path).field("found", &self.found).finish_non_exhaustive()
    }
}

const NOT_NULL: &str = "must not be null";
const MAP: &str = "must be a map";

fn text(value: &Value) -> Result<&str, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Bool(_) => Err("must be text, in quotes"),
        _ => Err("must be text"),
    }
}

fn boolean(value: &Value) -> Option<bool> {
    let word = match value {
        Value::Bool(yes) => return Some(*yes),
        Value::Number(_) => number(value)?.normalize().to_string(),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        _ => return None,
    };
    match word.as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
        "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
        _ => None,
    }
}

fn number(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(_) | Value::String(_) => lenient::decimal(value).ok().flatten(),
        _ => None,
    }
}

fn integer_rule<N: fmt::Display>(range: &impl RangeBounds<N>) -> Rule {
    let whole = "must be a whole number";
    let (low, high) = match (range.start_bound(), range.end_bound()) {
        (Bound::Included(low), Bound::Included(high)) => return format!("{whole} from {low} to {high}").into(),
        (low, high) => (bound(low, "at least", "more than"), bound(high, "at most", "less than")),
    };
    match (low, high) {
        (Some(low), Some(high)) => format!("{whole}, {low} and {high}").into(),
        (Some(only), None) | (None, Some(only)) => format!("{whole}, {only}").into(),
        (None, None) => whole.into(),
    }
}

fn bound<N: fmt::Display>(bound: Bound<&N>, included: &str, excluded: &str) -> Option<String> {
    match bound {
        Bound::Included(number) => Some(format!("{included} {number}")),
        Bound::Excluded(number) => Some(format!("{excluded} {number}")),
        Bound::Unbounded => None,
    }
}

/// Reads all items, also those behind a wrong one.
fn all<T, C: FromIterator<T>>(items: impl Iterator<Item = Read<T>>) -> Result<C, Fault> {
    let items: Vec<Read<T>> = items.collect();
    items.into_iter().collect::<Read<C>>().map_err(Fault::Reported)
}
