//! Makes a key for the metadata, if a user has none that may be published: the operator deleted it, or all its keys are
//! API keys of customers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use waldur_sdk::{
    Result,
    backend::{MarketplaceResource, OpContext, ResourceState},
    types::{BackendId, JsonObject},
};

use super::{Inner, S3Backend, metadata};
use crate::s3::S3Key;

/// What the last looks at keys left to do.
#[derive(Debug, Default)]
pub(super) struct Keyless(Mutex<Looks>);

#[derive(Debug, Default)]
struct Looks {
    /// Who is to be given a key that can be published: it is sure that there is none.
    wanting: BTreeSet<BackendId>,
    /// Who had no keys at all, and since when. A storage that starts may say that of whoever has some.
    bare: BTreeMap<BackendId, Instant>,
}

/// For so long a user has to be without any key until it is believed.
const BELIEVED: Duration = Duration::from_mins(1);

impl Looks {
    /// Whether a user is without any key for good.
    fn is_bare(&self, id: &BackendId, now: Instant) -> bool {
        self.bare.get(id).is_some_and(|since| now.saturating_duration_since(*since) >= BELIEVED)
    }
}

impl Keyless {
    fn all(&self) -> MutexGuard<'_, Looks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The key to publish of a user that was seen, if any. Of several keys of one without a stamp, for which none is made,
    /// it is the first (s3.md §4) where customers are to have no API keys.
    pub(super) fn choose<'a>(
        &self,
        keys: &'a [S3Key],
        published: &[&JsonObject],
        is_stamped: bool,
    ) -> Option<&'a S3Key> {
        let credentials = self.settings.credentials;
        let first = || keys.first().filter(|_| !is_stamped && !credentials.issues());
        metadata::choose(keys, published).or_else(first).filter(|_| credentials.publishes())
    }

    /// Notices what the keys of a user say of the one that is published. What stands there of a user without any opens
    /// nothing any more, whichever process published it; it goes when looks of two passes have found none.
    pub(super) fn mind_the_key(
        &self,
        keys: &[S3Key],
        key: Option<&S3Key>,
        published: &[&JsonObject],
        told: &mut JsonObject,
        state: &mut ResourceState,
    ) {
        if !self.settings.credentials.publishes() {
            return;
        }
        let now = self.storage.environment().instant();
        let mut looks = self.keyless.all();
        looks.wanting.remove(&state.id);
        let is_sure = if keys.is_empty() {
            looks.bare.entry(state.id.clone()).or_insert(now);
            looks.is_bare(&state.id, now)
        } else {
            looks.bare.remove(&state.id);
            true
        };
        match key {
            Some(key) if metadata::is_published(key, published) || key.is_for_metadata() => {}
            Some(key) => {
                state.first_published.insert(metadata::CREDENTIALS.to_owned(), key.access_key.clone());
                // Whatever stands there opens nothing, and goes also where it turns out that nothing may take its place.
                state.withdrawn.insert(metadata::CREDENTIALS.to_owned());
            }
            None => {
                if is_sure {
                    state.withdrawn.insert(metadata::CREDENTIALS.to_owned());
                } else {
                    let stays = published.iter().find_map(|published| published.get(metadata::CREDENTIALS));
                    told.extend(stays.map(|pair| (metadata::CREDENTIALS.to_owned(), pair.clone())));
                    self.memory.has_its_turn_next(&state.id);
                }
                state.warnings.push(metadata::no_key(keys, state.stamp.is_some()));
                if is_sure && state.stamp.is_some() {
                    looks.wanting.insert(state.id.clone());
                }
            }
        }
    }
}

impl S3Backend {
    /// Makes a key to be published, where the last look found none and there is still none. The next look publishes it, in
    /// the next pass. Where none could be made, the next pass tries again. A user without any key is given one when looks of
    /// two passes have found none.
    pub(super) async fn give_published_key(
        &self,
        cx: &OpContext,
        id: &BackendId,
        resource: &MarketplaceResource,
    ) -> Result<()> {
        if !self.0.keyless.all().wanting.remove(id) {
            return Ok(());
        }
        let made = self.make_published_key(cx, id, resource).await;
        match made {
            Ok(()) => self.0.memory.has_its_turn_next(id),
            Err(_) => drop(self.0.keyless.all().wanting.insert(id.clone())),
        }
        made
    }

    async fn make_published_key(&self, cx: &OpContext, id: &BackendId, resource: &MarketplaceResource) -> Result<()> {
        cx.step("mint key");
        let (uid, storage) = self.0.target(cx, id)?;
        let keys = storage.keys(&uid).await?;
        // Those that it had went since: the next look is the first one that finds none.
        let is_unsure = keys.is_empty() && !self.0.keyless.all().is_bare(id, storage.environment().instant());
        if is_unsure || metadata::choose(&keys, &[&resource.metadata]).is_some() {
            return Ok(());
        }
        self.make(cx, resource, id, S3Key::mint_for_metadata(&uid)?).await.map(drop)
    }
}
