//! Keys of customers as Waldur's API keys (s3.md §4), where `credentials_mode` says so.
//!
//! The access key of a new pair is drawn here: if the answer gets lost, the pair can be deleted by its name. On RadosGW
//! the gateway draws the secret, so no URL carries one; croit takes both halves from us.
//!
//! Only a user that carries the resource's stamp is touched: a name alone proves too little to hand out keys, or to
//! delete keys in use. With `credentials_mode: both`, customers know the key in the metadata, although Waldur may not
//! list it. So it is never pruned, and while it is unknown which key that is, none is pruned. When the resource has
//! ended, it is deleted with the others.

use std::collections::BTreeSet;

use async_trait::async_trait;
use waldur_sdk::{
    Effect, Error, ErrorKind, Result,
    backend::{ApiKeys, IssuedKey, MarketplaceResource, OpContext, Ownership},
    rest::Complete,
    types::BackendId,
};

use super::{
    Inner, S3Backend, metadata,
    storage::{Account, Storage},
};
use crate::{
    radosgw::{Removed, User},
    s3::{AccessKeyId, S3Key, Uid},
};

#[async_trait]
impl ApiKeys for S3Backend {
    async fn mint(&self, cx: &OpContext, resource: &MarketplaceResource, id: &BackendId) -> Result<IssuedKey> {
        cx.step("mint key");
        let pair = S3Key::mint(&Uid::new(id.as_str())?)?;
        self.make(cx, resource, id, pair).await
    }

    async fn revoke(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<()> {
        cx.step("revoke key");
        let (uid, storage) = self.0.target(cx, id)?;
        let key = AccessKeyId::new(client_id)?;
        match storage.account(&uid).await? {
            // Its keys went with it.
            None => Ok(()),
            Some(account) => {
                self.0.must_be_stamped(resource, id, &uid, &account)?;
                self.0.remove_surely(cx, &storage, &uid, &key).await
            }
        }
    }

    async fn rotate(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<IssuedKey> {
        let old = AccessKeyId::new(client_id)?;
        let (uid, storage) = self.0.target(cx, id)?;
        cx.step("mint key");
        let new = self.make(cx, resource, id, S3Key::mint(&uid)?).await?;
        cx.step("revoke key");
        let Err(error) = self.0.remove_surely(cx, &storage, &uid, &old).await else { return Ok(new) };
        match holds(&storage, &uid, old.as_str()).await {
            // Only the answers got lost.
            Ok(false) => Ok(new),
            Ok(true) => {
                // Nobody was told of the new one.
                forget(&storage, &uid, &AccessKeyId::new(new.client_id)?).await;
                Err(error)
            }
            // One of the two has to stay. The new one goes with the next pruning.
            Err(_unread) => Err(error),
        }
    }

    async fn prune(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        known: &Complete<String>,
    ) -> Result<u32> {
        cx.step("prune keys");
        let (uid, storage) = self.0.target(cx, id)?;
        let live = self.live(&storage, resource, id, &uid).await?;
        // The resource has ended: what stands in its metadata opens its data as well as any other.
        let live = if known.items().is_empty() { live } else { self.unpublished(resource, live)? };
        let (mut pruned, mut failed) = (0, None);
        for key in live.iter().filter(|key| !known.items().contains(&key.access_key)) {
            cx.checkpoint()?;
            let removed = match key.id() {
                Ok(key) => self.0.remove_surely(cx, &storage, &uid, &key).await,
                Err(error) => Err(error),
            };
            match removed {
                Ok(()) => pruned += 1,
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        failed.map_or(Ok(pruned), Err)
    }

    async fn prunable(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
    ) -> Result<Option<BTreeSet<String>>> {
        cx.step("look at keys");
        let (uid, storage) = self.0.target(cx, id)?;
        // Who takes one of them away reads the user first.
        let live = match &storage {
            Storage::RadosGw(_) => self.live(&storage, resource, id, &uid).await?,
            Storage::Croit(_) => {
                let account = self.0.account(&storage, id, &uid).await?;
                self.0.must_be_stamped(resource, id, &uid, &account)?;
                storage.keys(&uid).await?
            }
        };
        let live = self.unpublished(resource, live)?;
        Ok(Some(live.into_iter().map(|key| key.access_key).collect()))
    }
}

impl S3Backend {
    /// All keys of the resource's user.
    async fn live(
        &self,
        storage: &Storage,
        resource: &MarketplaceResource,
        id: &BackendId,
        uid: &Uid,
    ) -> Result<Vec<S3Key>> {
        let found = storage.with_keys(uid).await?.ok_or_else(|| missing(id))?;
        self.0.must_be_stamped(resource, id, uid, &found.account)?;
        Ok(found.keys)
    }

    /// The keys that nobody can have got but from Waldur: all but the one in the metadata.
    ///
    /// # Errors
    /// `NotReady` while it is not known which one that is: any of them may be about to be published.
    fn unpublished(&self, resource: &MarketplaceResource, keys: Vec<S3Key>) -> Result<Vec<S3Key>> {
        if !self.0.settings.credentials.publishes() || keys.is_empty() {
            return Ok(keys);
        }
        let published = metadata::choose(&keys, &[&resource.metadata]);
        let published = published.map(|key| key.access_key.clone());
        let published = published.ok_or_else(|| Error::not_ready("it is not known which of the keys is published"))?;
        Ok(keys.into_iter().filter(|key| key.access_key != published).collect())
    }

    /// Gives the resource's user a key, and sees that it has it.
    pub(super) async fn make(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        pair: S3Key,
    ) -> Result<IssuedKey> {
        let (uid, storage) = self.0.target(cx, id)?;
        let access_key = pair.id()?;
        let attempt = |_number| {
            let (uid, storage, pair) = (&uid, &storage, &pair);
            async move {
                let made = self.put(storage, resource, id, uid, pair).await?;
                self.0.must_show(cx, storage, uid, &pair.access_key, true).await?;
                Ok(made)
            }
        };
        match self.0.until_it_shows(cx, attempt).await {
            Ok(S3Key { access_key, secret_key, .. }) => Ok(IssuedKey { client_id: access_key, secret: secret_key }),
            Err(error) => {
                if error.kind() == ErrorKind::Inconsistent || error.effect() != Effect::NotApplied {
                    forget(&storage, &uid, &access_key).await;
                }
                Err(error)
            }
        }
    }

    async fn put(
        &self,
        storage: &Storage,
        resource: &MarketplaceResource,
        id: &BackendId,
        uid: &Uid,
        pair: &S3Key,
    ) -> Result<S3Key> {
        match storage {
            Storage::RadosGw(client) => {
                let (this, resource, id, of) = (self.0.clone(), resource.clone(), id.clone(), uid.clone());
                let permit = move |user: &User| this.must_be_stamped(&resource, &id, &of, &user.clone().into());
                client.keys().create_if(uid, &pair.id()?, permit).await
            }
            Storage::Croit(client) => {
                let account = self.0.account(storage, id, uid).await?;
                self.0.must_be_stamped(resource, id, uid, &account)?;
                let put = client.keys().put(uid, pair).await.map(|()| pair.clone());
                put.map_err(|error| if error.is_not_found() { missing(id).with_source(error) } else { error })
            }
        }
    }
}

impl Inner {
    /// What croit's list says of a user, or what it said a moment ago: nobody is to list everybody anew for each key.
    async fn account(&self, storage: &Storage, id: &BackendId, uid: &Uid) -> Result<Account> {
        let now = storage.environment().instant();
        if let Some(account) = self.recent.account(uid, now) {
            return Ok(account);
        }
        let account = storage.account(uid).await?.ok_or_else(|| missing(id))?;
        self.recent.shows(uid, &account, now);
        Ok(account)
    }

    /// # Errors
    /// When the user is not the resource's beyond doubt.
    fn must_be_stamped(
        &self,
        resource: &MarketplaceResource,
        id: &BackendId,
        uid: &Uid,
        account: &Account,
    ) -> Result<()> {
        let state = self.state(id, uid, account)?;
        match state.ownership(resource.stamp()) {
            Ownership::Ours => Ok(()),
            Ownership::Foreign | Ownership::Unmarked => Err(state.foreign_to(resource.stamp())),
        }
    }

    /// Removes a key, and sees that the user has it no more.
    async fn remove_surely(&self, cx: &OpContext, storage: &Storage, uid: &Uid, key: &AccessKeyId) -> Result<()> {
        let attempt = |_number| async move {
            remove(storage, uid, key).await?;
            self.must_show(cx, storage, uid, key.as_str(), false).await
        };
        self.until_it_shows(cx, attempt).await
    }

    /// Several writers of one user may have a write acknowledged that is lost.
    ///
    /// # Errors
    /// `Inconsistent` when it shows that the user has the key or not, against the word of the storage. When nothing can be
    /// read, that word stands.
    async fn must_show(&self, cx: &OpContext, storage: &Storage, uid: &Uid, key: &str, wanted: bool) -> Result<()> {
        let look = || async {
            if holds(storage, uid, key).await? == wanted {
                Ok(())
            } else {
                Err(Error::new(ErrorKind::Inconsistent, "a key was changed, but that does not show"))
            }
        };
        match self.read_back(cx, look).await {
            Err(error) if error.kind() != ErrorKind::Inconsistent => Ok(()),
            outcome => outcome,
        }
    }
}

/// Removes a key of a user that is ours.
async fn remove(storage: &Storage, uid: &Uid, key: &AccessKeyId) -> Result<Removed> {
    match storage {
        Storage::RadosGw(client) => client.keys().delete(uid, key).await,
        Storage::Croit(client) => client.keys().delete(uid, key).await,
    }
}

/// Whether a user has a key.
async fn holds(storage: &Storage, uid: &Uid, key: &str) -> Result<bool> {
    let keys = match storage {
        Storage::RadosGw(client) => client.keys().list(uid).await?.unwrap_or_default(),
        Storage::Croit(client) => client.keys().list(uid).await?,
    };
    Ok(keys.iter().any(|found| found.access_key == key))
}

/// Takes back a key that may have been made and was handed to nobody. What is left of it goes with the next pruning.
async fn forget(storage: &Storage, uid: &Uid, key: &AccessKeyId) {
    let _left_for_pruning = remove(storage, uid, key).await;
}

fn missing(id: &BackendId) -> Error {
    Error::new(ErrorKind::NotFound, format!("The S3 user {id} does not exist.")).for_customer()
}
