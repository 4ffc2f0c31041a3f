//! What a processor remembers from one pass to the next. It is lost with the process. Most of it then only costs calls,
//! or makes a removal or an `Erred` wait. Two things are lost for good:
//!
//! - **Which names were once Waldur's.** If unknown people are left alone, somebody who left the team in between counts
//!   as unknown and keeps the access.
//! - **Which metadata were published.** If the back end has dropped a name of metadata in between, its value stays in
//!   Waldur.
//!
//! What is on no list any more is forgotten after a week and not at once, because a resource that an order works on is
//! on no list for a while.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    pass::{sharers, uuids},
    row::Row,
};
use crate::{
    client::{AttributeExposure, Feature, MemberStatus, OfferingUser},
    naming::Comparison,
    process::usernames::RefusedNames,
    types::{BackendId, Personal, ResourceUuid, UserUuid},
};

/// How long the configuration of exposed attributes is believed (core.md §3.2).
const ATTRIBUTES_LAST: Duration = Duration::from_secs(300);

/// How long is remembered what no list names any more.
const UNSEEN_LASTS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long removals that nobody saw again count as seen.
const OBSERVATIONS_LAST: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Default)]
pub(super) struct Memory {
    attributes: Option<(Instant, AttributeExposure)>,
    /// What the server lacks, as far as no report has told it.
    untold: Vec<Feature>,
    /// Whether the server lets only its staff make a resource erred.
    may_not_err: bool,
    /// The last name that each person had, and when it was seen.
    names: HashMap<UserUuid, (String, Instant)>,
    /// Every name that was seen to be Waldur's, and when.
    known: HashMap<String, Instant>,
    refused: Arc<RefusedNames>,
    resources: HashMap<ResourceUuid, OfResource>,
    passes: u32,
    /// Every set of names of metadata, once.
    names_of_metadata: BTreeSet<Arc<BTreeSet<String>>>,
    /// The resources of every back-end id that more than one has, once a pass has seen all.
    owners: Option<HashMap<BackendId, HashSet<ResourceUuid>>>,
    /// Who had an account, and who of those left and is not reported yet.
    active: Option<BTreeSet<Personal>>,
    departed: BTreeMap<Personal, Instant>,
}

/// What is remembered of one resource.
#[derive(Default)]
struct OfResource {
    /// When the resource was last on a list, or missed on one for the first time.
    listed: Option<Instant>,
    /// Removals that wait for a second look, since when, and when they were seen last.
    observed: Option<(BTreeSet<String>, Instant, Instant)>,
    /// When the newest team was asked for by which the members were settled.
    led_by: Option<Instant>,
    failures: u32,
    /// In which pass it had its turn last; 0 for none that counts.
    turn: u32,
    refreshed: Option<Instant>,
    /// The names of the metadata that were published last; most resources have the same.
    published: Arc<BTreeSet<String>>,
    statuses: Option<Vec<MemberStatus>>,
    /// Whether the server has no way to be told limits of this resource.
    untellable: bool,
}

impl Memory {
    pub(super) fn attributes(&self, now: Instant) -> Option<AttributeExposure> {
        let (read, exposure) = self.attributes.as_ref()?;
        (now.saturating_duration_since(*read) < ATTRIBUTES_LAST).then(|| exposure.clone())
    }

    /// The configuration that was read last, however old.
    pub(super) fn last_attributes(&self) -> Option<AttributeExposure> {
        self.attributes.as_ref().map(|(_, exposure)| exposure.clone())
    }

    pub(super) fn learn_attributes(&mut self, now: Instant, exposure: AttributeExposure) {
        self.attributes = Some((now, exposure));
    }

    /// The server does not offer something; told by the next report.
    pub(super) fn learn_missing(&mut self, feature: Feature) {
        self.untold.push(feature);
    }

    /// What was missed for the first time since this was asked last.
    pub(super) fn take_untold(&mut self) -> Vec<Feature> {
        std::mem::take(&mut self.untold)
    }

    pub(super) fn may_err(&self) -> bool {
        !self.may_not_err
    }

    pub(super) fn learn_may_not_err(&mut self) {
        self.may_not_err = true;
    }

    pub(super) fn is_untellable(&self, resource: ResourceUuid) -> bool {
        self.resources.get(&resource).is_some_and(|memory| memory.untellable)
    }

    pub(super) fn learn_untellable(&mut self, resource: ResourceUuid) {
        self.of(resource).untellable = true;
    }

    pub(super) fn learn_account(&mut self, account: &OfferingUser, key: Option<&Personal>, now: Instant) {
        let names = [account.username.as_ref(), key];
        self.known.extend(names.into_iter().flatten().map(|name| (name.as_str().to_owned(), now)));
        if let (Some(user), Some(key)) = (account.user_uuid, key) {
            self.learn_name(user, key.as_str(), now);
        }
    }

    pub(super) fn learn_name(&mut self, user: UserUuid, name: &str, now: Instant) {
        self.names.insert(user, (name.to_owned(), now));
        self.known.insert(name.to_owned(), now);
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// The names known of those that are these when compared so, by what is compared.
    pub(super) fn spellings(&self, comparison: Comparison, keys: &[Cow<'_, str>]) -> BTreeMap<String, String> {
        if keys.is_empty() {
            return BTreeMap::new();
        }
        let keyed = self.known.keys().map(|name| (comparison.key(name), name));
        keyed.filter(|(key, _)| keys.contains(key)).map(|(key, name)| (key.into_owned(), name.clone())).collect()
    }

    pub(super) fn name_of(&self, user: UserUuid) -> Option<String> {
        self.names.get(&user).map(|(name, _)| name.clone())
    }

    pub(super) fn refused(&self) -> Arc<RefusedNames> {
        self.refused.clone()
    }

    fn of(&mut self, resource: ResourceUuid) -> &mut OfResource {
        self.resources.entry(resource).or_default()
    }

    /// Whether these removals were seen to be due before, long enough ago. If not, they are remembered.
    pub(super) fn confirms(
        &mut self,
        resource: ResourceUuid,
        removals: &[String],
        now: Instant,
        after: Duration,
    ) -> bool {
        let is_over = |last| now.saturating_duration_since(last) > OBSERVATIONS_LAST.max(after);
        let seen = &mut self.of(resource).observed;
        let names: BTreeSet<String> = removals.iter().cloned().collect();
        let since = match seen {
            Some((observed, since, last)) if names.is_subset(observed) && !is_over(*last) => *since,
            _ => now,
        };
        let confirmed = now.saturating_duration_since(since) >= after;
        *seen = (!confirmed).then_some((names, since, now));
        confirmed
    }

    /// Since when removals are seen to be due that wait for a second look.
    pub(super) fn seen_since(&self, resource: ResourceUuid) -> Option<Instant> {
        self.resources.get(&resource)?.observed.as_ref().map(|(_, since, _)| *since)
    }

    /// The members were settled by a team that was asked for then.
    pub(super) fn settled(&mut self, resource: ResourceUuid, asked: Instant) {
        let led_by = &mut self.of(resource).led_by;
        *led_by = (*led_by).max(Some(asked));
    }

    /// When the newest team was asked for by which the members were settled.
    pub(super) fn led_by(&self, resource: ResourceUuid) -> Option<Instant> {
        self.resources.get(&resource)?.led_by
    }

    /// The resources of the offering, all of them unless `gap`: which of their back-end ids more than one has.
    pub(super) fn learn_owners(&mut self, rows: &[Arc<Row>], gap: bool) {
        let shared = sharers(rows).into_iter().map(|(id, rows)| (id, uuids(&rows)));
        let known = self.owners.get_or_insert_default();
        if !gap {
            known.clear();
        }
        known.extend(shared);
    }

    /// The resources of a back-end id that more than one has; `None` while no pass has seen all.
    pub(super) fn owners(&self, id: &BackendId) -> Option<HashSet<ResourceUuid>> {
        Some(self.owners.as_ref()?.get(id).cloned().unwrap_or_default())
    }

    /// Nothing suspicious is to be removed any more.
    pub(super) fn forget_removals(&mut self, resource: ResourceUuid) {
        if let Some(memory) = self.resources.get_mut(&resource) {
            memory.observed = None;
        }
    }

    /// A pass begins: when each resource had its turn last.
    pub(super) fn begin(&mut self, rows: &[Arc<Row>]) -> HashMap<ResourceUuid, u32> {
        self.passes = self.passes.saturating_add(1);
        let turn = |resource| self.resources.get(&resource).map_or(0, |memory| memory.turn);
        rows.iter().map(|row| (row.uuid(), turn(row.uuid()))).collect()
    }

    /// A resource has its turn in this pass.
    pub(super) fn has_turn(&mut self, resource: ResourceUuid) {
        self.of(resource).turn = self.passes;
    }

    /// The pass ended before it came to a resource, which is to come before others in the next one.
    pub(super) fn left_over(&mut self, resource: ResourceUuid) {
        self.of(resource).turn = 0;
    }

    /// One more failure for good in a row; how many it is.
    pub(super) fn failed(&mut self, resource: ResourceUuid) -> u32 {
        let memory = self.of(resource);
        memory.failures = memory.failures.saturating_add(1);
        memory.failures
    }

    /// How many failures for good there were in a row.
    pub(super) fn failures(&self, resource: ResourceUuid) -> u32 {
        self.resources.get(&resource).map_or(0, |memory| memory.failures)
    }

    pub(super) fn succeeded(&mut self, resource: ResourceUuid) {
        if let Some(memory) = self.resources.get_mut(&resource) {
            memory.failures = 0;
        }
    }

    /// How long ago Waldur was told that the resource was seen.
    pub(super) fn since_refresh(&self, resource: ResourceUuid, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.resources.get(&resource)?.refreshed?))
    }

    pub(super) fn refreshed(&mut self, resource: ResourceUuid, now: Instant) {
        self.of(resource).refreshed = Some(now);
    }

    /// The names of the metadata that were published last.
    pub(super) fn published(&self, resource: ResourceUuid) -> Arc<BTreeSet<String>> {
        self.resources.get(&resource).map(|memory| memory.published.clone()).unwrap_or_default()
    }

    pub(super) fn learn_published(&mut self, resource: ResourceUuid, names: BTreeSet<String>) {
        if names.is_empty() && !self.resources.contains_key(&resource) {
            return;
        }
        let names = self.names_of_metadata.get(&names).cloned().unwrap_or_else(|| Arc::new(names));
        self.names_of_metadata.insert(names.clone());
        self.of(resource).published = names;
    }

    pub(super) fn told_statuses(&self, resource: ResourceUuid) -> Option<&Vec<MemberStatus>> {
        self.resources.get(&resource)?.statuses.as_ref()
    }

    pub(super) fn learn_statuses(&mut self, resource: ResourceUuid, statuses: Vec<MemberStatus>) {
        self.of(resource).statuses = Some(statuses);
    }

    /// Forgets the resources that are not among the listed ones, and the names that nobody has, if they were not for
    /// long.
    pub(super) fn prune(&mut self, listed: &HashSet<ResourceUuid>, now: Instant) {
        let lasts = |seen: Instant| now.saturating_duration_since(seen) < UNSEEN_LASTS;
        self.resources.retain(|resource, memory| {
            if listed.contains(resource) {
                memory.listed = Some(now);
            }
            lasts(*memory.listed.get_or_insert(now))
        });
        self.names_of_metadata.retain(|names| Arc::strong_count(names) > 1);
        self.names.retain(|_, (_, seen)| lasts(*seen));
        self.known.retain(|_, seen| lasts(*seen));
    }

    /// Who had an account and has none any more, since when. Whoever came back is none of them.
    pub(super) fn departed(&mut self, active: &BTreeSet<Personal>, now: Instant) -> BTreeMap<Personal, Instant> {
        let before = self.active.replace(active.clone()).unwrap_or_default();
        for name in before.difference(active) {
            self.departed.entry(name.clone()).or_insert(now);
        }
        self.departed.retain(|name, _| !active.contains(name));
        self.departed.clone()
    }

    pub(super) fn deactivated(&mut self, names: &[Personal]) {
        self.departed.retain(|name, _| !names.contains(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Uuid;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn what_concerns_nobody_any_more_is_forgotten_in_the_end_and_not_before() {
        let (begin, mut memory) = (Instant::now(), Memory::default());
        let [stays, goes] = [1, 2].map(|number| ResourceUuid::new(Uuid::from_u128(number)));
        let [here, left] = [3, 4].map(|number| UserUuid::new(Uuid::from_u128(number)));
        for resource in [stays, goes] {
            memory.failed(resource);
        }
        memory.learn_name(left, "left", begin);
        for day in 0..10 {
            let now = begin + DAY * day;
            memory.learn_name(here, "here", now);
            memory.prune(&HashSet::from([stays]), now);
            let found = (memory.failures(goes), memory.name_of(left).is_some(), memory.knows("left"));
            assert_eq!(found, if day < 7 { (1, true, true) } else { (0, false, false) }, "day {day}");
        }
        assert_eq!((memory.failures(stays), memory.knows("here")), (1, true));
        assert_eq!((memory.resources.len(), memory.names.len(), memory.known.len()), (1, 1, 1));
    }
}
