//! Waldur's lists (core.md §1.3): page numbers, the size of the list in a header, the next page in another.

use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    error::{Error, ErrorKind, Result},
    rest::{BadRow, Call, Page, PageToken, Pager, redact},
};

/// What every version of the server accepts: servers of 2024 cut larger pages to 300, today's to 100.
const PAGE_SIZE: u32 = 100;

/// The pages of a list. `explain` is one of [`answer`](super::answer)'s.
pub(super) fn pages<T>(
    operation: &'static str,
    call: Call,
    explain: fn(Error) -> Error,
    key: fn(&T) -> String,
) -> Pager<T>
where
    T: DeserializeOwned + Send + 'static,
{
    bare(operation, call.query("page_size", PAGE_SIZE), explain, key)
}

/// The pages of a list that takes no page size; the server decides whether there is more than one.
pub(super) fn bare<T>(
    operation: &'static str,
    call: Call,
    explain: fn(Error) -> Error,
    key: fn(&T) -> String,
) -> Pager<T>
where
    T: DeserializeOwned + Send + 'static,
{
    Pager::new(key, move |token: Option<PageToken>| {
        let first = token.is_none();
        let call = call.clone().query_opt("page", token.map(|token| token.0));
        async move {
            let (rows, headers) = match call.send_with_headers::<Vec<Value>>().await {
                Ok(answer) => answer,
                // The list has become shorter meanwhile; the count says whether something is missing.
                Err(error) if error.is_not_found() && !first => return Ok(Page::new(Vec::new(), None)),
                Err(error) => return Err(explain(error)),
            };
            let next = next_page(&headers).map_err(|error| error.with_operation(operation))?;
            let (items, bad) = decode(operation, rows);
            Ok(Page::new(items, next).with_bad(bad).with_total(total(&headers)))
        }
    })
}

/// Reads each row for itself, so that one that cannot be read loses no other.
fn decode<T: DeserializeOwned>(operation: &'static str, rows: Vec<Value>) -> (Vec<T>, Vec<BadRow>) {
    let (mut items, mut bad) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let id = row.get("uuid").and_then(Value::as_str).map(|text| {
            Uuid::try_parse(text.trim()).map_or_else(|_| redact::escape(text), |uuid| uuid.simple().to_string())
        });
        match serde_path_to_error::deserialize(row) {
            Ok(item) => items.push(item),
            Err(cause) => {
                let text = cause.inner().to_string();
                // The text may quote the row, but not when it only names what is not there.
                let what = if text.starts_with("missing field") { text } else { "wrong type or value".to_owned() };
                let message = format!("a row does not decode at `{}`: {what}", cause.path());
                bad.push(BadRow::new(id, Error::new(ErrorKind::Decode, message).with_operation(operation)));
            }
        }
    }
    (items, bad)
}

fn total(headers: &HeaderMap) -> Option<u64> {
    headers.get("x-result-count")?.to_str().ok()?.trim().parse().ok()
}

/// The number of the next page. Nothing else of the link is used: behind a proxy it names a host that is not ours, and
/// wherever it points, credentials go to no other origin than the configured one.
fn next_page(headers: &HeaderMap) -> Result<Option<PageToken>> {
    let Some(url) = headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok()).find_map(next_link)
    else {
        return Ok(None);
    };
    let query = url.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or_default());
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "page")
        .and_then(|(_, page)| page.parse::<u64>().ok())
        .map(|page| Some(PageToken(page.to_string())))
        .ok_or_else(|| Error::new(ErrorKind::Inconsistent, "the link to the next page names no page number"))
}

/// The target of `rel="next"` (RFC 8288 §3).
fn next_link(value: &str) -> Option<&str> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, parameters) = after.split_once('>')?;
        // A comma inside of a target stands before its `>`; those after it separate links.
        let (parameters, following) = parameters.split_once(',').unwrap_or((parameters, ""));
        let is_next =
            parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, relation)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && relation
                        .trim()
                        .trim_matches('"')
                        .split_ascii_whitespace()
                        .any(|word| word.eq_ignore_ascii_case("next"))
            });
        if is_next {
            return Some(target);
        }
        rest = following;
    }
    None
}
