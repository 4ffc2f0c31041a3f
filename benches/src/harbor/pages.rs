//! Lists, a page at a time.

use http::{HeaderValue, header};
use serde_json::Value;

use super::wire::{self, Asked, Outcome, Refusal};

/// The parameters of paging.
pub(super) const PAGING: [&str; 2] = ["page", "page_size"];

/// The page of `rows` that was asked for.
pub(super) fn page<T>(asked: &Asked<'_>, rows: &[T], render: impl Fn(&T) -> Value) -> Outcome {
    counted(asked, rows, rows.len(), render)
}

/// As [`page`], with a total of the server's own.
pub(super) fn counted<T>(asked: &Asked<'_>, rows: &[T], total: usize, render: impl Fn(&T) -> Value) -> Outcome {
    let (page, size) = (number(asked, "page", 1)?, number(asked, "page_size", 10)?);
    if size > 100 {
        return Err(Refusal::unprocessable("page_size in query should be less than or equal to 100"));
    }
    // Recorded: what is not positive gives everything, or the first page.
    let (before, most) = match usize::try_from(size) {
        Ok(size) if size > 0 => {
            (usize::try_from(page).unwrap_or_default().saturating_sub(1).saturating_mul(size), size)
        }
        _ => (0, usize::MAX),
    };
    let mut answer = wire::json(&rows.iter().skip(before).take(most).map(render).collect());
    let headers = answer.headers_mut();
    headers.insert("x-total-count", HeaderValue::from(total));
    if let Some(links) = links(asked, page, size, i64::try_from(total).unwrap_or(i64::MAX)) {
        headers.insert(header::LINK, HeaderValue::try_from(links).map_err(|_| Refusal::unmodelled())?);
    }
    Ok(answer)
}

fn number(asked: &Asked<'_>, name: &str, default: i64) -> Result<i64, Refusal> {
    let Some(text) = asked.parameter(name) else { return Ok(default) };
    text.parse().map_err(|_| Refusal::unprocessable(&format!("{name} in query must be of type int64: \"{text}\"")))
}

/// Recorded: names in order, values not encoded, a separator with a blank on either side.
fn links(asked: &Asked<'_>, page: i64, size: i64, total: i64) -> Option<String> {
    let link = |page: i64, relation: &str| {
        let mut query = asked.query.clone();
        query.retain(|(name, _)| !PAGING.contains(&name.as_str()));
        query.extend([("page".to_owned(), page.to_string()), ("page_size".to_owned(), size.to_string())]);
        query.sort();
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("<{}{}?{}>; rel=\"{relation}\"", wire::BASE, asked.path.join("/"), query.join("&"))
    };
    let previous = page > 1 && (page - 1) * size <= total;
    let next = size != 0 && page * size < total;
    let links = [previous.then(|| link(page - 1, "prev")), next.then(|| link(page + 1, "next"))];
    let links: Vec<String> = links.into_iter().flatten().collect();
    (!links.is_empty()).then(|| links.join(" , "))
}
