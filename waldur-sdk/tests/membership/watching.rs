//! A back end that is watched, and says more than the service in memory does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{
        ById, EndDate, Grant, Inspection, LimitChange, MarketplaceResource, MemberOutcome, MembershipPlan, OpContext,
        Overridden, Override, Progress, ResourceBackend, ResourceState, ResourceUpkeep, Status, Surroundings,
        UsernameRequest, Verified,
    },
    testing::MemoryBackend,
    types::{BackendId, JsonObject, Limits, OfferingUserUuid, Personal},
};

use crate::world::{Agent, Site};

/// What a [`Watching`] back end was told.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Told>>);

#[derive(Default)]
pub struct Told {
    grants: Vec<Grant>,
    limits: Vec<LimitChange>,
    statuses: Vec<Status>,
    pub about: Vec<Surroundings>,
    pub end_date: EndDate,
    pub effective_id: Option<String>,
    pub metadata: Option<JsonObject>,
    pub withdrawn: BTreeSet<String>,
    pub replaced_by_keys: BTreeSet<String>,
    pub first_published: BTreeMap<String, String>,
    pub warnings: Vec<Error>,
    /// What it was told is published, where it was asked with that.
    pub published: Vec<JsonObject>,
    plans: Vec<String>,
    outcomes: Vec<String>,
    is_mute: bool,
    /// Of how many objects each look was.
    pub looks: Vec<usize>,
    /// The names that it gave to people itself, by their federated identity; `None` when it cannot tell.
    pub assigned: Option<BTreeMap<&'static str, &'static str>>,
    /// Whose names it was asked for.
    pub named: Vec<String>,
}

impl Seen {
    pub fn grants(&self) -> Vec<Grant> {
        self.0.lock().unwrap().grants.clone()
    }

    /// From now on nothing is said of what became of members.
    pub fn mute(&self) {
        self.edit(|told| told.is_mute = true);
    }

    /// The plans and their outcomes as they would be logged.
    pub fn logged(&self) -> String {
        let told = self.0.lock().unwrap();
        told.plans.iter().chain(&told.outcomes).cloned().collect()
    }

    pub fn limits(&self) -> Vec<LimitChange> {
        self.0.lock().unwrap().limits.clone()
    }

    pub fn statuses(&self) -> Vec<Status> {
        self.0.lock().unwrap().statuses.clone()
    }

    pub fn edit<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }
}

/// The inner back end, watched; it also keeps surroundings in step, as [`Seen`] is set up.
pub struct Watching {
    inner: Arc<dyn ResourceBackend>,
    seen: Seen,
}

impl Watching {
    pub fn over(inner: Arc<dyn ResourceBackend>, seen: Seen) -> impl ResourceBackend {
        Overridden(Self { inner, seen })
    }
}

#[async_trait]
impl Override for Watching {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.inner
    }
    async fn inspect(&self, cx: &OpContext, inspection: &Inspection<'_>) -> ById<Option<ResourceState>> {
        let Inspection { ids, records, .. } = inspection;
        let published: Vec<_> = ids.iter().flat_map(|id| records.of(id)).map(|resource| resource.metadata).collect();
        self.seen.edit(|told| {
            told.looks.push(ids.len());
            told.published = published;
        });
        let mut states = self.inner.inspect(cx, inspection).await;
        self.seen.edit(|told| {
            for state in states.values_mut().flatten().flatten() {
                if let Some(metadata) = &told.metadata {
                    state.metadata = Some(metadata.clone());
                }
                state.withdrawn.clone_from(&told.withdrawn);
                state.replaced_by_keys.clone_from(&told.replaced_by_keys);
                state.first_published.clone_from(&told.first_published);
                state.warnings.clone_from(&told.warnings);
            }
        });
        states
    }
    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        self.seen.edit(|told| told.limits.push(change.clone()));
        self.inner.set_limits(cx, change).await
    }
    async fn members_apply(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        plan: &MembershipPlan,
    ) -> Result<Vec<MemberOutcome>> {
        self.seen.edit(|told| {
            told.grants.extend(plan.add.iter().cloned());
            told.plans.push(format!("{plan:?} {:?}", plan.add));
        });
        let mut outcomes = self.inner.members().unwrap().apply(cx, resource, id, plan).await?;
        self.seen.edit(|told| {
            told.outcomes.push(format!("{outcomes:?}"));
            outcomes.retain(|_| !told.is_mute);
        });
        Ok(outcomes)
    }
    async fn members_assigned_names(
        &self,
        _cx: &OpContext,
        people: &[UsernameRequest],
    ) -> Result<BTreeMap<OfferingUserUuid, Personal>> {
        self.seen.edit(|told| {
            let identity = |person: &UsernameRequest| person.identity.clone().map(Personal::into_string);
            told.named.extend(people.iter().filter_map(identity));
            let Some(assigned) = &told.assigned else { return Err(Error::new(ErrorKind::Timeout, "no answer")) };
            let named = people.iter().filter_map(|person| {
                let name = assigned.get(person.identity.as_ref()?.as_str())?;
                Some((person.account, Personal::from(*name)))
            });
            Ok(named.collect())
        })
    }
    async fn set_status(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        status: Status,
    ) -> Result<()> {
        self.seen.edit(|told| told.statuses.push(status));
        self.inner.status().unwrap().set_status(cx, resource, id, status).await
    }
    fn upkeep(&self) -> Option<&dyn ResourceUpkeep> {
        Some(self)
    }
}

#[async_trait]
impl ResourceUpkeep for Watching {
    async fn sync_project(&self, _cx: &OpContext, _id: &BackendId, about: &Surroundings) -> Result<()> {
        self.seen.edit(|told| told.about.push(about.clone()));
        Ok(())
    }
    async fn sync_end_date(&self, _cx: &OpContext, _id: &BackendId, _about: &Surroundings) -> Result<EndDate> {
        Ok(self.seen.0.lock().unwrap().end_date)
    }
    async fn effective_id(&self, _cx: &OpContext, _id: &BackendId, _about: &Surroundings) -> Result<Option<String>> {
        Ok(self.seen.0.lock().unwrap().effective_id.clone())
    }
}

/// An agent whose back end is watched.
pub fn watched(site: &Site, seen: &Seen) -> Agent {
    let seen = seen.clone();
    let whole = |memory: MemoryBackend| memory.with_members().with_status().with_user_limits();
    site.agent().memory(whole).around(move |backend| Watching::over(backend, seen))
}
