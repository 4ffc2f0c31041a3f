//! Filters, order, pages and `field=` (core.md §1.3, §1.7; recorded: 071 to 086, 149 to 153, 328 to 337).

use http::{HeaderName, StatusCode, header};
use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    answer::{Answer, Outcome},
    incoming::Incoming,
    words::{Generation, Word},
};

const RESULT_COUNT: HeaderName = HeaderName::from_static("x-result-count");

/// How the server writes a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A row as JSON, with the names of members that this kind of row may have and this one leaves out.
pub(super) struct Shown {
    pub(super) members: Map<String, Value>,
    pub(super) left_out: &'static [&'static str],
    /// Whether `field=` means anything here.
    pub(super) selectable: bool,
}

impl From<Map<String, Value>> for Shown {
    fn from(members: Map<String, Value>) -> Self {
        Self { members, left_out: &[], selectable: true }
    }
}

impl Shown {
    /// Keeps what `field=` asks for. Unknown names are ignored; if none is known, everything stays (recorded: 092,
    /// 329, 330).
    fn select(mut self, call: &Incoming<'_>) -> Value {
        if self.is_selected(call) {
            self.members.retain(|name, _| call.wants(name));
        }
        Value::Object(self.members)
    }

    fn is_selected(&self, call: &Incoming<'_>) -> bool {
        let known = |name: &str| self.members.contains_key(name) || self.left_out.contains(&name);
        self.selectable && call.all("field").any(known)
    }
}

/// A row as `field=` asks for it, made once more if nothing is known of what it asks for.
fn shown<S: Into<Shown>>(call: &Incoming<'_>, show: impl Fn() -> Option<S>) -> Option<Value> {
    let row: Shown = show()?.into();
    let is_whole = row.is_selected(call) || call.all("field").next().is_none();
    let row = if is_whole { row } else { call.in_full(show)?.into() };
    Some(row.select(call))
}

/// One row, as `field=` asks for it.
pub(super) fn one(call: &Incoming<'_>, row: Option<impl Into<Shown>>) -> Outcome {
    Ok(Answer::ok(row.ok_or_else(Answer::broken)?.into().select(call)))
}

/// As [`one`], of a row that is made as `field=` asks for it.
pub(super) fn one_of<S: Into<Shown>>(call: &Incoming<'_>, show: impl Fn() -> Option<S>) -> Outcome {
    Ok(Answer::ok(shown(call, show).ok_or_else(Answer::broken)?))
}

/// A page of rows. The rows are all that the filters let through, in their order; only those on the page are shown.
pub(super) fn page<R, S: Into<Shown>>(call: &Incoming<'_>, rows: &[R], show: impl Fn(&R) -> Option<S>) -> Outcome {
    let size = page_size(call);
    let last = rows.len().div_ceil(size).max(1);
    let number = match call.last("page") {
        None => 1,
        Some("last") => last,
        Some(text) => {
            text.parse().ok().filter(|number| (1..=last).contains(number)).ok_or_else(Answer::invalid_page)?
        }
    };
    let shown: Option<Vec<Value>> =
        rows.iter().skip((number - 1) * size).take(size).map(|row| shown(call, || show(row))).collect();
    Ok(Answer::ok(shown.ok_or_else(Answer::broken)?)
        .with(RESULT_COUNT, rows.len().to_string())
        .with(header::LINK, links(call, number, last)))
}

/// Rows without pages.
pub(super) fn whole(rows: Option<Vec<Map<String, Value>>>) -> Outcome {
    let rows = rows.ok_or_else(Answer::broken)?;
    Ok(Answer::json(StatusCode::OK, rows.into_iter().map(Value::Object).collect::<Vec<_>>()))
}

/// 10 unless asked otherwise; what is too much is cut without a word (recorded: 084), what is no size is ignored.
fn page_size(call: &Incoming<'_>) -> usize {
    // core.md §1.3: 300 on the old server, 100 by the documentation of the new one.
    let cap = match call.generation {
        Generation::V2024 => 300,
        Generation::V8 => 100,
    };
    let asked = call.last("page_size").and_then(|text| text.parse().ok()).filter(|size| *size > 0);
    asked.unwrap_or(10).min(cap)
}

/// First, previous, next, last. The query keeps all its parameters, sorted by name; page 1 has no number (recorded:
/// 077, 078, 336).
fn links(call: &Incoming<'_>, number: usize, last: usize) -> String {
    let link = |target: usize, rel: &str| {
        let mut query: Vec<(&str, String)> = call
            .query
            .iter()
            .filter(|(name, _)| name != "page")
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        if target > 1 {
            query.push(("page", target.to_string()));
        }
        query.sort_by_key(|(name, _)| *name);
        let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string().replace("%20", "+");
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("<{}{}{mark}{}>; rel=\"{rel}\"", call.origin, call.path, query.join("&"))
    };
    let mut links = vec![link(1, "first")];
    if number > 1 {
        links.push(link(number - 1, "prev"));
    }
    if number < last {
        links.push(link(number + 1, "next"));
    }
    links.push(link(last, "last"));
    links.join(", ")
}

/// The filters of a list. All mistakes are collected and refused together by [`check`](Self::check).
pub(super) struct Filters<'a> {
    call: &'a Incoming<'a>,
    errors: Map<String, Value>,
}

impl<'a> Filters<'a> {
    pub(super) fn new(call: &'a Incoming<'a>) -> Self {
        Self { call, errors: Map::new() }
    }

    fn wrong(&mut self, name: &str, text: impl Into<String>) {
        self.errors.insert(name.to_owned(), json!([text.into()]));
    }

    /// Text; an empty value is no filter.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.call.last(name).filter(|text| !text.is_empty())
    }

    /// A UUID in either spelling (recorded: 070, 071); an empty value is no filter (335).
    pub(super) fn uuid(&mut self, name: &str) -> Option<Uuid> {
        let uuid = Uuid::try_parse(self.text(name)?).ok();
        if uuid.is_none() {
            self.wrong(name, "Enter a valid UUID.");
        }
        uuid
    }

    /// Any of several UUIDs; none is no filter.
    pub(super) fn uuids(&mut self, name: &str) -> Vec<Uuid> {
        let texts: Vec<&str> = self.call.all(name).filter(|text| !text.is_empty()).collect();
        let uuids: Vec<Uuid> = texts.iter().filter_map(|text| Uuid::try_parse(text).ok()).collect();
        if uuids.len() < texts.len() {
            self.wrong(name, "Enter a valid UUID.");
        }
        uuids
    }

    /// Any of several words; none is no filter. A word that is none, an empty one included, is refused (recorded: 073,
    /// 074, 328, 335).
    pub(super) fn words<T: Word>(&mut self, name: &str) -> Vec<T> {
        let mut words = Vec::new();
        for text in self.call.all(name) {
            if let Some(word) = T::read(text) {
                words.push(word);
            } else {
                self.wrong(name, not_a_choice(text));
                break;
            }
        }
        words
    }

    /// `true` or `false`; anything else is no filter.
    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        match self.call.last(name)?.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// An instant; without an offset it is taken for UTC (recorded: 076, 331, 332).
    pub(super) fn instant(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.text(name)?;
        let instant = text.parse::<Timestamp>().ok().or_else(|| {
            // A space where the offset's sign was is not a date and a time with something behind them.
            let local = text.parse::<DateTime>().ok().filter(|_| !text.contains(' '))?;
            local.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
        });
        if instant.is_none() {
            self.wrong(name, "Enter a valid date/time.");
        }
        instant
    }

    /// A calendar date (recorded: 216); an empty value is no filter.
    pub(super) fn date(&mut self, name: &str) -> Option<Date> {
        let date = self.text(name)?.parse().ok();
        if date.is_none() {
            self.wrong(name, "Enter a valid date.");
        }
        date
    }

    /// The orders asked for by `o=`: names, and whether they fall. A comma separates them.
    pub(super) fn order(&mut self, allowed: &[&str]) -> Vec<(&'a str, bool)> {
        let mut order = Vec::new();
        for part in self.text("o").into_iter().flat_map(|text| text.split(',')) {
            let name = part.strip_prefix('-').unwrap_or(part);
            if allowed.contains(&name) {
                order.push((name, part.starts_with('-')));
            } else {
                self.wrong("o", not_a_choice(part));
                break;
            }
        }
        order
    }

    /// Refuses the request if a filter was wrong.
    pub(super) fn check(self) -> Result<(), Answer> {
        if self.errors.is_empty() { Ok(()) } else { Err(Answer::invalid(self.errors)) }
    }
}

fn not_a_choice(text: &str) -> String {
    format!("Select a valid choice. {text} is not one of the available choices.")
}

/// Sorts rows by what `o=` asked for; rows that are equal keep their order.
pub(super) fn sort<R, K: Ord>(rows: &mut [R], order: &[(&str, bool)], key: impl Fn(&R, &str) -> K) {
    // The last name first: each later sort keeps what the earlier ones did among equals.
    for (name, falling) in order.iter().rev() {
        rows.sort_by(|one, other| {
            let ordering = key(one, name).cmp(&key(other, name));
            if *falling { ordering.reverse() } else { ordering }
        });
    }
}
