//! Users that are there already.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use waldur_sdk::{
    Result,
    backend::{Importable, Importer, OpContext},
    rest::{BadRow, Complete},
    types::BackendId,
};

use super::{
    AT_A_TIME, Inner, S3Backend,
    storage::{Account, Storage},
};
use crate::{
    croit::UserList,
    radosgw::{ListedUid, PageSize, RadosGwClient},
    s3::Uid,
};

/// Users outside tenants that carry a resource's stamp, or whose name begins as ours do under either naming; everybody
/// else's are passed over. Whose project a user without a stamp is for, its name does not say: slugs do not survive it.
#[async_trait]
impl Importer for S3Backend {
    async fn list(&self, cx: &OpContext) -> Result<Complete<Importable>> {
        match &self.0.storage.until(cx.deadline) {
            Storage::RadosGw(client) => self.0.importable_of_gateway(client).await,
            Storage::Croit(client) => self.0.importable_of_croit(&client.users().all().await?),
        }
    }
}

impl Inner {
    async fn importable_of_gateway(&self, client: &RadosGwClient) -> Result<Complete<Importable>> {
        let users = client.users().list(PageSize::default()).collect().await?.complete()?;
        let ours: Vec<Uid> = users.items().iter().filter_map(|user| self.may_be_ours(user.as_str())).collect();
        let read = |uid: Uid| async move {
            let item = match client.users().get(&uid).await {
                Ok(user) => user.and_then(|user| self.importable(&uid, &user.into())),
                Err(error) => BackendId::new(uid.name()).ok().map(|id| Importable::unreadable(id, error)),
            };
            (uid.name().to_owned(), item)
        };
        let reads: Vec<_> = ours.into_iter().map(read).collect();
        let mut found: BTreeMap<_, _> = stream::iter(reads).buffer_unordered(AT_A_TIME).collect().await;
        Ok(users.filter_map(|user: ListedUid| found.remove(user.as_str()).flatten()))
    }

    /// croit tells everything about everybody in one listing.
    fn importable_of_croit(&self, users: &UserList) -> Result<Complete<Importable>> {
        // An entry without a name may be anybody's.
        if let Some(nameless) = users.bad().iter().find(|row| row.id.is_none()) {
            return Err(nameless.error.clone());
        }
        let one = |uid: Uid| match users.get(&uid) {
            Ok(user) => self.importable(&uid, &user?.into()),
            Err(error) => BackendId::new(uid.name()).ok().map(|id| Importable::unreadable(id, error)),
        };
        let bad = |row: &BadRow| row.id.clone();
        let names = users.iter().map(|user| user.uid.clone()).chain(users.bad().iter().filter_map(bad));
        let names: BTreeSet<String> = names.collect();
        Ok(Complete::vouched_for(names.iter().filter_map(|name| self.may_be_ours(name)).filter_map(one).collect()))
    }

    /// Whether it is worth a look.
    fn may_be_ours(&self, name: &str) -> Option<Uid> {
        // What cannot be our uid was not made by us.
        let ours = name.starts_with(self.settings.naming.prefix()) || self.is_named_by_us(name);
        ours.then(|| Uid::new(name).ok())?
    }

    /// `None` when it is somebody else's.
    fn importable(&self, uid: &Uid, account: &Account) -> Option<Importable> {
        let id = BackendId::new(uid.name()).ok()?;
        match self.state(&id, uid, account) {
            Ok(state) if state.foreign => None,
            Ok(state) => {
                let mut item = Importable::new(id).with_stamp(state.stamp);
                item.limits = state.limits;
                Some(item)
            }
            Err(error) => Some(Importable::unreadable(id, error)),
        }
    }
}
