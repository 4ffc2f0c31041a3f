//! Lists, a page at a time.

use serde_json::Value;

use super::{
    refused::Refused,
    wire::{Asked, BASE, Reply},
};

/// The most rows of a page.
const MOST: i64 = 100;

/// Which page was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    number: i64,
    size: i64,
}

impl Page {
    pub(super) fn read(asked: &Asked) -> Result<Self, Refused> {
        let mut problems = Vec::new();
        let mut number = |name: &str, default: i64| {
            let Some(text) = asked.parameter(name).filter(|text| !text.is_empty()) else { return default };
            text.parse().unwrap_or_else(|_| {
                problems.push(format!("{name} in query must be of type int64: {text:?}"));
                default
            })
        };
        let page = Self { number: number("page", 1), size: number("page_size", 10) };
        if page.size > MOST {
            problems.push(format!("page_size in query should be less than or equal to {MOST}"));
        }
        if problems.is_empty() { Ok(page) } else { Err(Refused::invalid(&problems)) }
    }

    /// Of its number only the first page is known: what `usergroups/search` does from 2.14 on.
    pub(super) fn first(self) -> Self {
        Self { number: 1, ..self }
    }

    /// What is not positive gives everything, or the first page.
    fn bounds(self) -> (usize, usize) {
        match usize::try_from(self.size) {
            Ok(size) if size > 0 => {
                let before = usize::try_from(self.number).unwrap_or_default().saturating_sub(1);
                (before.saturating_mul(size), size)
            }
            _ => (0, usize::MAX),
        }
    }

    /// The rows of this page out of all of them.
    pub(super) fn cut<T>(self, rows: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        let (before, most) = self.bounds();
        rows.into_iter().skip(before).take(most)
    }

    /// A whole list, cut.
    pub(super) fn reply<T>(self, asked: &Asked, rows: &[T], render: impl FnMut(&T) -> Value) -> Reply {
        let total = rows.len();
        self.counted(asked, self.cut(rows).map(render).collect(), total)
    }

    /// Rows that were cut already, with a total of the server's own.
    pub(super) fn counted(self, asked: &Asked, rows: Vec<Value>, total: usize) -> Reply {
        Reply::Page { rows, total, links: self.links(asked, i64::try_from(total).unwrap_or(i64::MAX)) }
    }

    /// Names in order, values not encoded, a separator with a blank on either side.
    fn links(self, asked: &Asked, total: i64) -> Option<String> {
        let link = |page: i64, relation: &str| {
            let mut query = asked.query.clone();
            query.retain(|(name, _)| name != "page" && name != "page_size");
            query.extend([("page".to_owned(), page.to_string()), ("page_size".to_owned(), self.size.to_string())]);
            query.sort_by(|(one, _), (other, _)| one.cmp(other));
            let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            let path = asked.path.as_deref().unwrap_or_default();
            format!("<{BASE}{path}?{}>; rel=\"{relation}\"", query.join("&"))
        };
        let Self { number, size } = self;
        let previous = size != 0 && number > 1 && (number - 1).saturating_mul(size) < total;
        let next = size != 0 && number.saturating_mul(size) < total;
        let links = [previous.then(|| link(number - 1, "prev")), next.then(|| link(number + 1, "next"))];
        let links: Vec<String> = links.into_iter().flatten().collect();
        (!links.is_empty()).then(|| links.join(" , "))
    }
}
