//! Keys for resources that are older than the setting that gives their customers any.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};

use super::{KeyProcessor, KeyProvision, MissingKeys, TARGET, WITH_KEYS};
use crate::{
    backend::OpContext,
    client::{Feature, ResourceApiKeyQuery, ResourceQuery, ResourceSummary, WaldurClient},
    error::{ErrorClass, Result},
    types::ResourceUuid,
};

/// For so long whoever was refused keys is left out: it takes somebody to mend that.
const REFUSED: Duration = Duration::from_secs(24 * 60 * 60);

/// Which resources wait for keys, and when that was looked at.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    resources: VecDeque<ResourceUuid>,
    looked: Option<Instant>,
    /// Who cannot get any, and since when that is known.
    refused: BTreeMap<ResourceUuid, Instant>,
}

/// What comes of a turn.
enum Then {
    Done,
    /// Another turn.
    Again,
    /// Whatever was the matter goes by nothing that is done here.
    Refused,
}

impl Then {
    fn of(outcome: &Result<KeyProvision>) -> Self {
        match outcome {
            Ok(report) if report.deferred.is_some() => Self::Again,
            Ok(report) if report.warnings.iter().any(|warning| !warning.error.is_passing()) => Self::Refused,
            Ok(_) => Self::Done,
            Err(error) if error.is_passing() => Self::Again,
            Err(_) => Self::Refused,
        }
    }
}

impl KeyProcessor {
    /// Gives keys to resources in use for which Waldur lists less than two: those that were there before their customers
    /// were to have any. So many at a time ([`KeyPolicy::provisions_per_pass`](super::KeyPolicy)), so that a large offering
    /// is done pass by pass. What waits is looked for anew once nothing waits any more and some time has passed. Each look
    /// begins somewhere else, so that a process that lives for a single pass comes to everybody too.
    ///
    /// Who cannot get any, such as one whose object is without the resource's stamp, is told once and left out for a day.
    /// Where Waldur does not list a key that it has just been handed, nobody gets another one until the next look.
    ///
    /// No key is removed: customers may use one that Waldur does not list, which is why they are given others. That is what
    /// [`Self::provision`] and replacements do, once there is a list.
    ///
    /// # Errors
    /// When resources or keys cannot be listed as a whole: unknown is not none. A server that has no keys has none to give.
    pub async fn provision_missing(&self, cx: &OpContext) -> Result<MissingKeys> {
        let waldur = self.waldur(cx);
        if self.backend().keys().is_none() || waldur.features().is_missing(Feature::ApiKeys) {
            return Ok(MissingKeys::default());
        }
        self.look_for_missing(cx, &waldur).await?;
        let turn: Vec<ResourceUuid> = {
            let mut waiting = self.waiting();
            let number = self.policy().provisions_per_pass.min(waiting.resources.len());
            waiting.resources.drain(..number).collect()
        };
        let provisions: Vec<_> = stream::iter(turn)
            .map(|resource| async move { (resource, self.provision_in_lane(cx, resource, true).await) })
            .buffer_unordered(self.policy().concurrency.max(1))
            .collect()
            .await;
        let now = waldur.environment().instant();
        let mut waiting = self.waiting();
        for (resource, outcome) in &provisions {
            match Then::of(outcome) {
                Then::Done => {}
                Then::Again => waiting.resources.push_back(*resource),
                Then::Refused => drop(waiting.refused.insert(*resource, now)),
            }
        }
        if provisions.iter().flat_map(|(_, outcome)| outcome).any(|report| report.is_unlisted) {
            waiting.resources.clear();
        }
        Ok(MissingKeys { provisions, left: waiting.resources.len() })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.served.key_memory.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_for_missing(&self, cx: &OpContext, waldur: &WaldurClient) -> Result<()> {
        let now = waldur.environment().instant();
        let is_young = |then: Instant| now.saturating_duration_since(then) < self.policy().look_for_missing_after;
        {
            let waiting = self.waiting();
            if !waiting.resources.is_empty() || waiting.looked.is_some_and(is_young) {
                return Ok(());
            }
        }
        cx.step("api keys");
        let keys = match waldur.api_keys().list(&ResourceApiKeyQuery::offering(self.offering())).collect().await {
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
        let query = ResourceQuery::offering(self.offering()).states(WITH_KEYS);
        let rows = waldur.provider_resources().summaries(&query).collect().await?.complete()?;
        let lacks = |row: &&ResourceSummary| {
            row.backend_id.is_some() && listed.get(&row.uuid).copied().unwrap_or_default() < TARGET
        };
        let mut missing: BTreeSet<ResourceUuid> = rows.items().iter().filter(lacks).map(|row| row.uuid).collect();
        let mut waiting = self.waiting();
        waiting.refused.retain(|_, since| now.saturating_duration_since(*since) < REFUSED);
        missing.retain(|resource| !waiting.refused.contains_key(resource));
        waiting.resources = missing.into_iter().collect();
        let start = waldur.environment().below(waiting.resources.len());
        waiting.resources.rotate_left(start);
        waiting.looked = Some(now);
        Ok(())
    }
}
