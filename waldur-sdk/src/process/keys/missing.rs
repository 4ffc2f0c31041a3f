//! Keys for resources that are older than the setting that gives their customers any.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{MutexGuard, PoisonError},
    time::Instant,
};

use futures_util::{StreamExt, stream};

use super::{KeyProcessor, MissingKeys, TARGET, WITH_KEYS, provision::passes};
use crate::{
    backend::OpContext,
    client::{Feature, ResourceApiKeyQuery, ResourceQuery, ResourceSummary, WaldurClient},
    error::{ErrorClass, Result},
    types::ResourceUuid,
};

/// Which resources wait for keys, and when that was looked at.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    resources: VecDeque<ResourceUuid>,
    looked: Option<Instant>,
}

impl KeyProcessor {
    /// Gives keys to resources in use for which Waldur lists less than two: those that were there before their customers
    /// were to have any. So many at a time ([`KeyPolicy::provisions_per_pass`](super::KeyPolicy)), so that a large offering
    /// is done pass by pass. What waits is looked for anew once nothing waits any more and some time has passed.
    ///
    /// No key is removed: customers may use one that Waldur does not list, which is why they are given others. That is what
    /// [`Self::provision`] and replacements do, once there is a list.
    ///
    /// # Errors
    /// When resources or keys cannot be listed as a whole: unknown is not none. A server that has no keys has none to give.
    pub async fn provision_missing(&self, cx: &OpContext) -> Result<MissingKeys> {
        let waldur = self.waldur(cx);
        if self.0.backend.keys().is_none() || waldur.features().is_missing(Feature::ApiKeys) {
            return Ok(MissingKeys::default());
        }
        self.look_for_missing(cx, &waldur).await?;
        let turn: Vec<ResourceUuid> = {
            let mut waiting = self.waiting();
            let number = self.0.policy.provisions_per_pass.min(waiting.resources.len());
            waiting.resources.drain(..number).collect()
        };
        let provisions: Vec<_> = stream::iter(turn)
            .map(|resource| async move { (resource, self.provision_in_lane(cx, resource, true).await) })
            .buffer_unordered(self.0.policy.concurrency.max(1))
            .collect()
            .await;
        let again = provisions.iter().filter(|(_, outcome)| match outcome {
            Ok(report) => report.deferred.is_some(),
            Err(error) => passes(error),
        });
        let again: Vec<ResourceUuid> = again.map(|(resource, _)| *resource).collect();
        let mut waiting = self.waiting();
        waiting.resources.extend(again);
        Ok(MissingKeys { provisions, left: waiting.resources.len() })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_for_missing(&self, cx: &OpContext, waldur: &WaldurClient) -> Result<()> {
        let now = waldur.environment().instant();
        let is_young = |then: Instant| now.saturating_duration_since(then) < self.0.policy.look_for_missing_after;
        {
            let waiting = self.waiting();
            if !waiting.resources.is_empty() || waiting.looked.is_some_and(is_young) {
                return Ok(());
            }
        }
        cx.step("api keys");
        let keys = match waldur.api_keys().list(&ResourceApiKeyQuery::offering(self.0.offering)).collect().await {
            Err(error) if error.class() == ErrorClass::Unsupported => {
                waldur.features().note(&error);
                return Ok(());
            }
            keys => keys?.complete()?,
        };
        let mut listed: BTreeMap<ResourceUuid, usize> = BTreeMap::new();
        for resource in keys.items().iter().filter_map(|key| key.resource_uuid) {
            *listed.entry(resource).or_default() += 1;
        }
        let query = ResourceQuery::offering(self.0.offering).states(WITH_KEYS);
        let rows = waldur.provider_resources().summaries(&query).collect().await?.complete()?;
        let lacks = |row: &&ResourceSummary| {
            row.backend_id.is_some() && listed.get(&row.uuid).copied().unwrap_or_default() < TARGET
        };
        let missing: BTreeSet<ResourceUuid> = rows.items().iter().filter(lacks).map(|row| row.uuid).collect();
        let mut waiting = self.waiting();
        waiting.resources = missing.into_iter().collect();
        waiting.looked = Some(now);
        Ok(())
    }
}
