//! Pages of names.

use std::num::NonZeroU16;

use serde::Deserialize;
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{Call, Page, PageToken, Rows},
    types::lenient,
};

use super::ListedUid;

/// How many names a page has: 1 to 1000. The gateway cuts what is more, and never ends a list with pages of 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(NonZeroU16);

impl PageSize {
    /// The largest page that the gateway gives.
    pub const MAX: u16 = 1000;

    /// A page of `names`.
    ///
    /// # Errors
    /// `Config` for 0 and for more than [`Self::MAX`].
    pub fn new(names: u16) -> Result<Self> {
        NonZeroU16::new(names)
            .filter(|names| names.get() <= Self::MAX)
            .map(Self)
            .ok_or_else(|| Error::config("page size: must be 1 to 1000"))
    }
}

impl Default for PageSize {
    /// [`Self::MAX`].
    fn default() -> Self {
        Self(NonZeroU16::new(Self::MAX).unwrap_or(NonZeroU16::MIN))
    }
}

/// `truncated` is a boolean in one listing and text in the other (radosgw-api.md §4).
#[derive(Deserialize)]
struct Rest {
    #[serde(deserialize_with = "lenient::boolean")]
    truncated: Option<bool>,
    count: u64,
    #[serde(default, deserialize_with = "lenient::text")]
    marker: Option<String>,
}

/// One page of `call`, which lists users.
pub(super) async fn page_of_uids(call: Call, size: PageSize, token: Option<PageToken>) -> Result<Page<ListedUid>> {
    let call = call.query("max-entries", size.0).query_opt("marker", token.map(|token| token.0));
    let (rows, rest): (Rows<String>, Rest) = call.must_exist().send_rows_in("keys", "").await?;
    let broken = |text: &str| Error::new(ErrorKind::Inconsistent, text);
    if rest.count != (rows.items.len() + rows.bad.len()) as u64 {
        return Err(broken("a page of the list has another number of entries than it says"));
    }
    let next = match (rest.truncated, rest.marker) {
        (Some(false), _) => None,
        (Some(true), Some(marker)) => Some(PageToken(marker)),
        (Some(true), None) => return Err(broken("the list goes on, but does not say where")),
        (None, _) => return Err(broken("the list does not say whether it goes on")),
    };
    let uids = rows.items.into_iter().map(ListedUid::new).collect();
    Ok(Page::new(uids, next).with_bad(rows.bad))
}
