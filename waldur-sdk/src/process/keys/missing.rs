//! Keys for resources that are older than the setting that gives their customers any.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};

use super::{KeyProcessor, KeyProvision, MissingKeys, TARGET, WITH_KEYS, provision::is_down};
use crate::{
    backend::OpContext,
    client::{Feature, ResourceApiKeyQuery, ResourceQuery, ResourceSummary, WaldurClient},
    error::{Error, ErrorClass, ErrorKind, Result},
    types::ResourceUuid,
};

/// For so long whoever was refused keys for good is left out: it takes somebody to mend that.
const REFUSED: Duration = Duration::from_secs(24 * 60 * 60);

/// Which resources wait for keys, and when that was looked at.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    resources: VecDeque<ResourceUuid>,
    looked: Option<Instant>,
    /// Whether Waldur was seen to list a key: one that takes them and lists none is not to be given many.
    lists: bool,
    /// Who cannot get any, and since when that is known.
    refused: BTreeMap<ResourceUuid, Instant>,
}

impl Waiting {
    /// Takes out those whose turn it is, and no more than so many.
    fn turn(&mut self, most: usize) -> Vec<ResourceUuid> {
        let number = if self.lists { most } else { most.min(1) }.min(self.resources.len());
        self.resources.drain(..number).collect()
    }

    /// Learns what came of a turn.
    fn learn(&mut self, resource: ResourceUuid, outcome: &Result<KeyProvision>, now: Instant) {
        match outcome {
            Ok(report) => {
                self.lists |= !report.reported.is_empty() && !report.is_unlisted;
                if report.deferred.is_some() {
                    self.resources.push_back(resource);
                } else if report.is_hopeless || report.warnings.iter().any(|warning| is_final(&warning.error)) {
                    self.refused.insert(resource, now);
                }
                if report.is_unlisted {
                    (self.lists, self.resources) = (false, VecDeque::new());
                }
            }
            Err(error) if error.is_passing() => self.resources.push_back(resource),
            // The next look finds whoever it was.
            Err(_refusal) => {}
        }
    }
}

/// Whether nothing that is done here ends it. Rights that are missing are given within minutes.
fn is_final(error: &Error) -> bool {
    matches!(error.class(), ErrorClass::Foreign | ErrorClass::Unsupported)
}

/// Why a resource got no keys, where the next one would get none for the same.
fn outage(outcome: &Result<KeyProvision>) -> Option<&Error> {
    let error = outcome.as_ref().map_or_else(Some, |report| report.deferred.as_ref());
    error.filter(|error| is_down(error))
}

/// Whether there is no use in going on: credentials were refused, or nobody got through.
fn is_over(provisions: &[(ResourceUuid, Result<KeyProvision>)]) -> bool {
    let mut outages = provisions.iter().map(|(_, outcome)| outage(outcome));
    let is_refused = |error: Option<&Error>| error.is_some_and(|error| error.kind() == ErrorKind::Unauthenticated);
    outages.clone().any(is_refused) || outages.all(|error| error.is_some())
}

impl KeyProcessor {
    /// Gives keys to resources in use for which Waldur lists fewer than two: resources that are older than the setting
    /// that promises keys. At most [`KeyPolicy::provisions_per_pass`](super::KeyPolicy) have their turn in one pass, so
    /// a large offering takes several passes. Resources are listed anew once none waits any more and some time has
    /// passed. Each listing begins at another place, so a process that lives for a single pass also reaches all of them
    /// in the end.
    ///
    /// A resource that cannot get keys, for example because its object has no stamp, is reported once and left out for
    /// a day. Until Waldur is seen to list a key, one resource has its turn at a time. If Waldur does not list a key that
    /// it has just been given, no resource gets another one until the next listing. A resource with four keys that Waldur
    /// does not list gets no more, if the back end tells them ([`ApiKeys::prunable`](crate::backend::ApiKeys::prunable)).
    /// The pass ends if credentials are refused, or if the back end is down.
    ///
    /// No key is removed here, because customers may use one that Waldur does not list. [`Self::provision`] and
    /// replacements do that, once there is a list.
    ///
    /// # Errors
    /// When resources or keys cannot be listed as a whole: unknown is not none. On a server without API keys nothing is
    /// done.
    pub async fn provision_missing(&self, cx: &OpContext) -> Result<MissingKeys> {
        let waldur = self.waldur(cx);
        if self.backend().keys().is_none() || waldur.features().is_missing(Feature::ApiKeys) {
            return Ok(MissingKeys::default());
        }
        self.look_for_missing(cx, &waldur).await?;
        let mut report = MissingKeys::default();
        // What comes back meanwhile has its turn in the next pass.
        let mut left = self.policy().provisions_per_pass.min(self.waiting().resources.len());
        while left > 0 {
            let turn = self.waiting().turn(self.policy().concurrency.clamp(1, left));
            left = left.saturating_sub(turn.len());
            let provisions: Vec<_> = stream::iter(turn)
                .map(|resource| async move { (resource, self.provision_in_lane(cx, resource, true).await) })
                .buffer_unordered(self.policy().concurrency.max(1))
                .collect()
                .await;
            let now = waldur.environment().instant();
            for (resource, outcome) in &provisions {
                self.waiting().learn(*resource, outcome, now);
            }
            // Nobody is left, too, where clones of this took them, or Waldur does not list what it takes.
            let ends = is_over(&provisions);
            report.provisions.extend(provisions);
            if ends {
                break;
            }
        }
        report.left = self.waiting().resources.len();
        Ok(report)
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
        waiting.lists |= !keys.items().is_empty();
        waiting.looked = Some(now);
        Ok(())
    }
}
