//! The key that stands in the metadata, where a user has none that may: the operator took it away, or the user is from a
//! time when all its keys were its customers' own.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use waldur_sdk::{
    Result,
    backend::{MarketplaceResource, OpContext, ResourceState},
    types::{BackendId, JsonObject},
};

use super::{Inner, S3Backend, metadata};
use crate::s3::{S3Key, Uid};

/// Whose last look found no key to publish.
#[derive(Debug, Default)]
pub(super) struct Keyless(Mutex<BTreeSet<BackendId>>);

impl Keyless {
    fn all(&self) -> MutexGuard<'_, BTreeSet<BackendId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Notices what the keys of a user say of the one that is published. What stands there of a user without any opens
    /// nothing any more, whichever process published it.
    pub(super) fn mind_the_key(&self, keys: &[S3Key], published: &[&JsonObject], state: &mut ResourceState) {
        if !self.settings.credentials.publishes() {
            return;
        }
        self.keyless.all().remove(&state.id);
        match metadata::choose(keys, published, self.settings.credentials) {
            Some(key) if metadata::is_published(key, published) || key.is_for_metadata() => {}
            Some(key) => drop(state.first_published.insert(metadata::CREDENTIALS.to_owned(), key.access_key.clone())),
            None => {
                state.withdrawn.insert(metadata::CREDENTIALS.to_owned());
                state.warnings.push(metadata::no_key(keys, state.stamp.is_some()));
                if state.stamp.is_some() {
                    self.keyless.all().insert(state.id.clone());
                }
            }
        }
    }
}

impl S3Backend {
    /// Makes a key to be published, where the last look found none. The next look publishes it.
    pub(super) async fn give_published_key(
        &self,
        cx: &OpContext,
        id: &BackendId,
        resource: &MarketplaceResource,
    ) -> Result<()> {
        if !self.0.keyless.all().remove(id) {
            return Ok(());
        }
        cx.step("mint key");
        let pair = S3Key::mint_for_metadata(&Uid::new(id.as_str())?)?;
        self.make(cx, resource, id, pair).await.map(drop)
    }
}
