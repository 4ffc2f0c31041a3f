//! Waldur's lists (core.md §1.3): page numbers, the size of the list in a header, the next page in another.

use serde::de::DeserializeOwned;

use crate::{
    error::Error,
    rest::{Call, LinkPaging, Page, PageToken, Pager},
};

/// What every version of the server accepts: servers of 2024 cut larger pages to 300, today's to 100.
const PAGE_SIZE: u32 = 100;

const PAGING: LinkPaging = LinkPaging { parameter: "page", total: "x-result-count", id: "uuid" };

/// The pages of a list. `explain` is one of [`answer`](super::answer)'s.
pub(super) fn pages<T>(call: Call, explain: fn(Error) -> Error, key: fn(&T) -> String) -> Pager<T>
where
    T: DeserializeOwned + Send + 'static,
{
    bare(call.query("page_size", PAGE_SIZE), explain, key)
}

/// The pages of a list that takes no page size; the server decides whether there is more than one.
pub(super) fn bare<T>(call: Call, explain: fn(Error) -> Error, key: fn(&T) -> String) -> Pager<T>
where
    T: DeserializeOwned + Send + 'static,
{
    Pager::new(key, move |token: Option<PageToken>| {
        let first = token.is_none();
        let call = call.clone().query_opt("page", token.map(|token| token.0));
        async move {
            match call.send_page(&PAGING).await {
                // The list has become shorter meanwhile; the count says whether something is missing.
                Err(error) if error.is_not_found() && !first => Ok(Page::new(Vec::new(), None)),
                outcome => outcome.map_err(explain),
            }
        }
    })
}
