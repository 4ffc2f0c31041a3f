//! Lists by page numbers, whose end is proven by count (harbor.md §2.1).
//!
//! `Link` headers are not read: Harbor writes their URLs undecoded, commas and all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::stream::{self, StreamExt as _};
use http::HeaderMap;
use serde::de::DeserializeOwned;
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{Call, Page, PageToken, Pager},
};

/// The largest page that Harbor gives; more is refused.
pub(super) const PAGE_SIZE: u64 = 100;

/// How many pages are asked for at a time, once it is known how many there are.
const AHEAD: usize = 8;

/// A list with more pages than this is taken for one without end: a million entries.
const MAX_PAGES: usize = 10_000;

/// A list whose pages are asked for one after the other, for who may stop early.
pub(super) fn in_turn<W, T>(call: Call, id: &'static str, keep: fn(W) -> T, key: fn(&T) -> String) -> Pager<T>
where
    W: DeserializeOwned + Send + 'static,
    T: Send + 'static,
{
    Pager::new(key, move |token: Option<PageToken>| {
        let call = call.clone();
        async move { page(call, id, number(token.as_ref())?).await.map(|page: Page<W>| page.map(keep)) }
    })
    .max_pages(MAX_PAGES)
}

/// A list that is read whole: the first page tells how many there are, the others are asked for several at a time, until
/// one does not come or is the last whatever the count says.
pub(super) fn whole<W, T, K>(call: Call, id: &'static str, keep: K, key: fn(&T) -> String) -> Pager<T>
where
    W: DeserializeOwned + Send + 'static,
    T: Send + 'static,
    K: Fn(W) -> T + Clone + Send + Sync + 'static,
{
    let ahead: Arc<Mutex<BTreeMap<u64, Result<Page<T>>>>> = Arc::default();
    Pager::new(key, move |token: Option<PageToken>| {
        let (call, ahead, keep) = (call.clone(), ahead.clone(), keep.clone());
        async move {
            let number = number(token.as_ref())?;
            if number > 1
                && let Some(page) = lock(&ahead).remove(&number)
            {
                return page;
            }
            let first: Page<W> = page(call.clone(), id, number).await?;
            if number == 1 {
                let last = first.total.map_or(1, |total| total.div_ceil(PAGE_SIZE)).min(MAX_PAGES as u64);
                let others: Vec<_> = (2..=last).map(|number| other(call.clone(), id, number, keep.clone())).collect();
                let mut others = stream::iter(others).buffered(AHEAD);
                while let Some((number, page)) = others.next().await {
                    let is_last = page.as_ref().map_or(true, |page| page.next.is_none());
                    lock(&ahead).insert(number, page);
                    if is_last {
                        break;
                    }
                }
            }
            Ok(first.map(keep))
        }
    })
    .max_pages(MAX_PAGES)
}

async fn other<W, T>(call: Call, id: &'static str, number: u64, keep: impl Fn(W) -> T) -> (u64, Result<Page<T>>)
where
    W: DeserializeOwned,
{
    (number, page(call, id, number).await.map(|page: Page<W>| page.map(keep)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
