//! Users that are there already.

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use waldur_sdk::{
    Result,
    backend::{Importable, Importer, OpContext},
    rest::{Complete, Page, PageToken, Pager},
    types::BackendId,
};

use super::{AT_A_TIME, Inner, S3Backend, change::quotas, storage::Storage};
use crate::{
    croit::UserList,
    radosgw::{PageSize, RadosGwClient},
    s3::Uid,
};

/// Users whose name begins as ours do under either naming, outside tenants; everybody else's are passed over. With an
/// empty prefix these are all users, the administrators included.
#[async_trait]
impl Importer for S3Backend {
    async fn list(&self, cx: &OpContext) -> Result<Complete<Importable>> {
        let this = self.0.clone();
        let storage = self.0.storage.until(cx.deadline);
        let pager = Pager::new(
            |item: &Importable| item.backend_id.to_string(),
            move |token: Option<PageToken>| {
                let (this, storage) = (this.clone(), storage.clone());
                async move {
                    match &storage {
                        Storage::RadosGw(client) => this.importable_page(client, token).await,
                        Storage::Croit(client) => this.importable_of(&client.users().all().await?),
                    }
                }
            },
        );
        pager.collect().await?.complete()
    }
}

impl Inner {
    async fn importable_page(&self, client: &RadosGwClient, token: Option<PageToken>) -> Result<Page<Importable>> {
        let users = client.users().list(PageSize::default());
        let mut users = match token {
            Some(token) => users.resume_at(token),
            None => users,
        };
        let Some(page) = users.next_page().await? else { return Ok(Page::new(Vec::new(), None)) };
        let ours: Vec<Uid> = page.items.iter().filter_map(|user| self.importable(user.as_str())).collect();
        let reads: Vec<_> = ours.into_iter().map(|uid| self.read_importable(client, uid)).collect();
        let items = stream::iter(reads).buffer_unordered(AT_A_TIME).try_collect::<Vec<_>>().await?;
        Ok(Page::new(items.into_iter().flatten().collect(), page.next).with_bad(page.bad))
    }

    /// croit tells everything about everybody in one listing.
    fn importable_of(&self, users: &UserList) -> Result<Page<Importable>> {
        let mut items = Vec::new();
        for user in users.iter().filter(|user| self.importable(&user.uid).is_some()) {
            let mut item = Importable::new(BackendId::new(user.uid.as_str())?);
            if self.ceilings.has_limits() {
                item.limits = self.ceilings.limits(quotas(&user.into())?.user_quota, self.storage.grain())?;
            }
            items.push(item);
        }
        Ok(Page::new(items, None).with_bad(users.bad().to_vec()))
    }

    fn importable(&self, name: &str) -> Option<Uid> {
        // What cannot be our uid was not made by us.
        let ours = name.starts_with(self.settings.naming.prefix()) || self.is_named_by_us(name);
        ours.then(|| Uid::new(name).ok())?
    }

    /// `None` when the user went away since the listing.
    async fn read_importable(&self, client: &RadosGwClient, uid: Uid) -> Result<Option<Importable>> {
        let mut item = Importable::new(BackendId::new(uid.name())?);
        if self.ceilings.has_limits() {
            let Some(user) = client.users().get(&uid).await? else { return Ok(None) };
            item.limits = self.ceilings.limits(quotas(&user.into())?.user_quota, self.storage.grain())?;
        }
        Ok(Some(item))
    }
}
