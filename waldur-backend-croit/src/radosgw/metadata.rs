//! Metadata (radosgw-api.md §4).

use http::Method;
use waldur_sdk::rest::Pager;

use super::{
    ListedUid, RadosGwClient,
    listing::{self, PageSize},
};

/// Calls on metadata. Needs a capability that shows every user's secrets; prefer [`Users::list`](super::Users::list).
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a>(pub(super) &'a RadosGwClient);

impl Metadata<'_> {
    /// All users, in no particular order.
    pub fn users(&self, size: PageSize) -> Pager<ListedUid> {
        let client = self.0.clone();
        Pager::new(
            |uid: &ListedUid| uid.as_str().to_owned(),
            move |token| {
                let call = client.call(Method::GET, "metadata.users", "/metadata/user");
                listing::page_of_uids(call, size, token)
            },
        )
    }
}
