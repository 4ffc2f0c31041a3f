//! Lists, entry by entry: an entry that cannot be read does not fail the others.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{BadRow, Complete, Page, PageToken, body, redact, scan};
use crate::error::{Error, ErrorKind, Result};

/// The entries of one answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rows<T> {
    /// The entries that could be read, in their order.
    pub items: Vec<T>,
    /// The entries that could not.
    pub bad: Vec<BadRow>,
}

impl<T> Rows<T> {
    /// Makes a page of the rows; `next` is the place of the one after it.
    pub fn into_page(self, next: Option<PageToken>) -> Page<T> {
        Page::new(self.items, next).with_bad(self.bad)
    }

    /// The proof that these are all there are, of a server that sends its whole list in one answer.
    ///
    /// # Errors
    /// The error of the first entry that could not be read.
    pub fn complete(self) -> Result<Complete<T>> {
        match self.bad.into_iter().next() {
            None => Ok(Complete::vouched_for(self.items)),
            Some(row) => Err(row.error),
        }
    }
}

/// Reads a JSON array entry by entry. An entry that is no `T` (a wrong type, a missing member, a number out of range,
/// broken UTF-8 in a member that `T` reads) becomes a [`BadRow`]; `id` names the member that tells which one it is. An
/// entry that is a plain string is its own id.
///
/// # Errors
/// [`Decode`](ErrorKind::Decode) when the text is not one whole array: a list cut short is never a short list.
pub fn decode_rows<T: DeserializeOwned>(json: &[u8], id: &str) -> Result<Rows<T>> {
    let entries = scan::elements(json).map_err(|_| broken("the answer is not one whole JSON array"))?;
    let mut rows = Rows { items: Vec::with_capacity(entries.len()), bad: Vec::new() };
    for (index, entry) in entries.into_iter().enumerate() {
        match body::decode(entry) {
            Ok(item) => rows.items.push(item),
            Err(error) => rows.bad.push(bad(entry, index, id, &error)),
        }
    }
    Ok(rows)
}

/// As [`decode_rows`], for an array that is the member `member` of the JSON object (`{"servers": […]}`).
///
/// # Errors
/// [`Decode`](ErrorKind::Decode) when the text is not one whole object, or has no such array.
pub fn decode_rows_in<T: DeserializeOwned>(json: &[u8], member: &str, id: &str) -> Result<Rows<T>> {
    let array = scan::member(json, member).map_err(|_| broken("the answer is not one whole JSON object"))?;
    let array = array.ok_or_else(|| broken(&format!("the answer has no list `{member}`")))?;
    decode_rows(array, id).map_err(|_| broken(&format!("the answer's `{member}` is not a list")))
}

/// The entry at `index` that could not be read.
pub(super) fn bad(entry: &[u8], index: usize, id: &str, error: &Error) -> BadRow {
    let message = format!("entry {index} of the list {}", error.message());
    BadRow::new(id_of(entry, id), error.clone().with_message(message))
}

fn broken(message: &str) -> Error {
    Error::new(ErrorKind::Decode, message)
}

/// The id of an entry that could not be read, as far as it can be told; fit for a log.
fn id_of(entry: &[u8], member: &str) -> Option<String> {
    let value = scan::member(entry, member).unwrap_or(Some(entry))?;
    let mut id = match serde_json::from_str(&String::from_utf8_lossy(value)).ok()? {
        Value::String(text) => redact::escape(&text),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    redact::truncate(&mut id, 255);
    Some(id)
}
