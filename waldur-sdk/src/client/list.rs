//! Waldur's lists (core.md §1.3): page numbers, the size of the list in a header, the next page in another.

use serde::de::DeserializeOwned;

use crate::{
    error::{Error, ErrorKind, Result},
    rest::{Call, LinkPaging, Page, PageToken, Pager},
};

/// What the Python agent asks for, and every version of the server gives whole.
const PAGE_SIZE: u32 = 100;

/// The largest page that any version gives. Smaller limits cut it without a word (recorded: 084_orders_page_size_500), so
/// a page below this size proves nothing; one below [`PAGE_SIZE`] does, as no server cuts that.
const BULK_PAGE_SIZE: u32 = 300;

/// How many pages of one list are asked for at a time, once the first has told how many there are.
const PAGES_AT_A_TIME: usize = 8;

const PAGING: LinkPaging = LinkPaging { parameter: "page", total: "x-result-count", id: "uuid" };

/// The pages of a list. `explain` is one of [`answer`](super::answer)'s.
pub(super) fn pages<T>(call: Call, explain: fn(Error) -> Error, key: fn(&T) -> String) -> Pager<T>
where
    T: DeserializeOwned + Send + 'static,
{
    paged(call.query("page_size", PAGE_SIZE), true, explain, |row: T| row, key)
}

/// The pages of a list of small rows that is read whole and often: as few pages as the server allows.
pub(super) fn bulk<T>(call: Call, explain: fn(Error) -> Error, key: fn(&T) -> String) -> Pager<T>
where
    T: DeserializeOwned + Send + 'static,
{
    paged(call.query("page_size", BULK_PAGE_SIZE), true, explain, |row: T| row, key)
}

/// As [`bulk`], of rows that are read as `W` and kept as `T`.
pub(super) fn bulk_as<W, T>(
    call: Call,
    explain: fn(Error) -> Error,
    keep: fn(W) -> T,
    key: fn(&T) -> String,
) -> Pager<T>
where
    W: DeserializeOwned + Send + 'static,
    T: Send + 'static,
{
    paged(call.query("page_size", BULK_PAGE_SIZE), true, explain, keep, key)
}

/// The pages of a list that takes no page size; the server decides whether there is more than one.
pub(super) fn bare<T>(call: Call, explain: fn(Error) -> Error, key: fn(&T) -> String) -> Pager<T>
where
    T: DeserializeOwned + Send + 'static,
{
    paged(call, false, explain, |row: T| row, key)
}

fn paged<W, T>(
    call: Call,
    is_sized: bool,
    explain: fn(Error) -> Error,
    keep: fn(W) -> T,
    key: fn(&T) -> String,
) -> Pager<T>
where
    W: DeserializeOwned + Send + 'static,
    T: Send + 'static,
{
    Pager::new(key, move |token: Option<PageToken>| {
        let first = token.is_none();
        // A later page may be gone, whatever is to be said of the list.
        let call = if first { call.clone() } else { call.clone().need_not_exist() };
        let call = call.query_opt("page", token.map(|token| token.0));
        async move {
            match call.send_page(&PAGING).await {
                // The list has become shorter meanwhile; the pager knows from the count whether something is missing.
                Err(error) if error.is_not_found() && !first => Err(error),
                Err(error) => Err(explain(error)),
                Ok(page) => {
                    let page: Page<W> = page;
                    let is_open = is_sized && is_full(&page);
                    Ok(page.map(keep).with_open_end(is_open))
                }
            }
        }
    })
    .pages_at_a_time(PAGES_AT_A_TIME)
}

/// The only entry of a list, if there is one.
///
/// # Errors
/// [`Inconsistent`](ErrorKind::Inconsistent), said with `why`, when there are two: whichever were taken might be wrong.
pub(super) fn only<T>(mut entries: impl Iterator<Item = T>, why: impl FnOnce() -> String) -> Result<Option<T>> {
    let first = entries.next();
    match entries.next() {
        None => Ok(first),
        Some(_) => Err(Error::new(ErrorKind::Inconsistent, why())),
    }
}

/// Whether a last page has room for no more, as far as a server may have cut it.
fn is_full<T>(page: &Page<T>) -> bool {
    page.next.is_none() && page.items.len() + page.bad.len() >= PAGE_SIZE as usize
}
