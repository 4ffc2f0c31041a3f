//! Lists by page numbers, whose end is proven by count (harbor.md §2.1).
//!
//! `Link` headers are not read: Harbor writes their URLs undecoded, commas and all.

use http::HeaderMap;
use serde::de::DeserializeOwned;
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{Call, Page, PageToken, Pager},
};

/// The largest page that Harbor gives; more is refused.
pub(super) const PAGE_SIZE: u64 = 100;

/// How many pages are asked for at a time, once it is known how many there are.
const PAGES_AT_A_TIME: usize = 8;

/// A list with more pages than this is taken for one without end: a million entries.
const MAX_PAGES: usize = 10_000;

/// The pages of a list, several at a time from the second on.
pub(super) fn pages<W, T, K>(call: Call, id: &'static str, keep: K, key: fn(&T) -> String) -> Pager<T>
where
    W: DeserializeOwned + Send + 'static,
    T: Send + 'static,
    K: Fn(W) -> T + Clone + Send + 'static,
{
    Pager::new(key, move |token: Option<PageToken>| {
        let (call, keep) = (call.clone(), keep.clone());
        async move { page(call, id, number(token.as_ref())?).await.map(|page: Page<W>| page.map(keep)) }
    })
    .max_pages(MAX_PAGES)
    .pages_at_a_time(PAGES_AT_A_TIME)
}

fn number(token: Option<&PageToken>) -> Result<u64> {
    let number = token.map_or(Ok(1), |token| token.0.parse());
    number.map_err(|_| Error::new(ErrorKind::Config, "the page to go on at is not a number"))
}

/// How many entries the whole list has.
pub(super) fn total(headers: &HeaderMap) -> Option<u64> {
    headers.get("x-total-count")?.to_str().ok()?.trim().parse().ok()
}

/// One page. It goes on as long as the count says so; without one, as long as pages are full. An empty page is the
/// last, whatever the count says: the pager compares them.
async fn page<W: DeserializeOwned>(call: Call, id: &'static str, number: u64) -> Result<Page<W>> {
    let (rows, headers) = call.query("page", number).query("page_size", PAGE_SIZE).send_rows::<W>(id).await?;
    let total = total(&headers);
    let read = (rows.items.len() + rows.bad.len()) as u64;
    let goes_on = read > 0 && total.map_or(read >= PAGE_SIZE, |total| number.saturating_mul(PAGE_SIZE) < total);
    let next = goes_on.then(|| PageToken((number + 1).to_string()));
    Ok(rows.into_page(next).with_total(total))
}
