//! What there is: one project by itself, or many from two listings.

use std::{
    collections::{HashMap, HashSet},
    sync::PoisonError,
    time::{Duration, Instant},
};

use futures_util::stream::{self, StreamExt as _};
use waldur_sdk::{
    Effect, Error, ErrorKind, Result,
    backend::{Aspects, ById, MarketplaceResource, OpContext, Origin, Ownership, ResourceState, Status},
    types::{BackendId, Timestamp},
};

use super::{
    AT_A_TIME, BY_THEMSELVES, Inner,
    stamp::{self, Mark, Marks},
};
use crate::client::{Allowlist, HarborClient, Project, ProjectId, ProjectName, ProjectQuota, Quota, StorageLimit};

/// So few are read one by one: a listing costs a call for every hundred projects, whoever's they are.
const FEW: usize = 4;

/// How long what only the listing of projects tells is believed: stamps, and how many repositories there are.
const FACTS_LAST: Duration = Duration::from_secs(3600);

/// What is remembered of a project between passes. Writes of this process keep it in step.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) id: ProjectId,
    pub(super) marks: Marks,
    pub(super) repositories: Option<u64>,
    pub(super) created: Option<Timestamp>,
}

impl Facts {
    fn of(project: &Project) -> Self {
        Self {
            id: project.id,
            marks: stamp::of(project),
            repositories: project.repo_count,
            created: project.creation_time,
        }
    }
}

/// What the listings told.
#[derive(Debug, Default)]
pub(super) struct Known {
    facts: HashMap<String, Facts>,
    /// When the projects were listed last.
    listed: Option<Instant>,
}

/// A project that was read by itself.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) project: Project,
    pub(super) facts: Facts,
    /// Its quota; `None` where it has none.
    pub(super) quota: Option<ProjectQuota>,
}

impl Seen {
    pub(super) fn limit(&self) -> Option<StorageLimit> {
        self.quota.as_ref().and_then(|quota| quota.get().limit)
    }
}

impl Inner {
    /// The project that a back-end id names, and a client for one operation on it. Ids come from outside, so this is
    /// the check before any request.
    pub(super) fn target(&self, cx: &OpContext, id: &BackendId) -> Result<(ProjectName, HarborClient)> {
        Ok((ProjectName::new(id.as_str())?, self.client.until(cx.deadline)))
    }

    /// Reads a project and its quota.
    pub(super) async fn look(&self, client: &HarborClient, name: &ProjectName) -> Result<Option<Seen>> {
        let Some(project) = client.projects().find(name).await? else {
            self.known().facts.remove(name.as_str());
            return Ok(None);
        };
        let quota = client.quotas().of_project(project.id, name).await?;
        Ok(Some(self.seen(project, quota)))
    }

    pub(super) fn seen(&self, project: Project, quota: Option<ProjectQuota>) -> Seen {
        let facts = Facts::of(&project);
        self.known().facts.insert(project.name.clone(), facts.clone());
        Seen { project, facts, quota }
    }

    /// What is known of a project, as a state.
    pub(super) fn state(&self, id: &BackendId, facts: &Facts, limit: Option<StorageLimit>) -> Result<ResourceState> {
        let mut state = ResourceState::new(id.clone());
        match facts.marks.stamp {
            Mark::Stamp(stamp) => state.stamp = Some(stamp),
            Mark::None => {}
            Mark::Broken => state.foreign = true,
            Mark::Unknown => return Err(unstamped(id)),
        }
        if facts.marks.downscaled {
            state.status = Status::Downscaled;
        }
        if let Some(limit) = limit {
            state.limits = self.storage.limits(limit)?;
        }
        Ok(state)
    }

    /// Whether a limit is no more than a resource has that is scaled down.
    pub(super) fn is_small(&self, limit: StorageLimit) -> Result<bool> {
        let unit = self.storage.one_unit()?;
        Ok(limit.bytes().zip(unit.bytes()).is_some_and(|(limit, unit)| limit <= unit))
    }

    /// Whose a project is, if it may be changed for a resource that Waldur has on record. A stamp decides; without one,
    /// the number that was published when the project was made.
    pub(super) fn owned(&self, id: &BackendId, resource: &MarketplaceResource, facts: &Facts) -> Result<Ownership> {
        let ownership = ownership(resource, facts);
        if ownership.permits(Origin::Recorded) {
            Ok(ownership)
        } else {
            Err(self.state(id, facts, None)?.foreign_to(resource.stamp()))
        }
    }

    /// A project of a resource that Waldur has on record, read by itself.
    pub(super) async fn look_at_own(
        &self,
        client: &HarborClient,
        name: &ProjectName,
        id: &BackendId,
        resource: &MarketplaceResource,
    ) -> Result<(Seen, Ownership)> {
        let seen = self.look(client, name).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("The project {id} does not exist on the registry.")).for_customer()
        })?;
        let ownership = self.owned(id, resource, &seen.facts)?;
        Ok((seen, ownership))
    }

    pub(super) async fn inspect_one(
        &self,
        cx: &OpContext,
        id: &BackendId,
        aspects: Aspects,
    ) -> Result<Option<ResourceState>> {
        let (name, client) = self.target(cx, id)?;
        let Some(seen) = self.look(&client, &name).await? else { return Ok(None) };
        let mut state = self.state(id, &seen.facts, seen.limit())?;
        if aspects.metadata {
            state.metadata = Some(self.metadata(&name, &seen.facts, seen.quota.as_ref().map(ProjectQuota::get)));
        }
        Ok(Some(state))
    }

    /// Many at once: all quotas from one listing, the rest from what another one told within the last hour. Whatever
    /// the listings do not name is asked about by itself, since they prove no absence.
    pub(super) async fn inspect_many(
        &self,
        cx: &OpContext,
        ids: &[BackendId],
        aspects: Aspects,
    ) -> ById<Option<ResourceState>> {
        if ids.len() <= FEW {
            return self.inspect_each(cx, ids, aspects).await;
        }
        let client = self.client.until(cx.deadline);
        let wanted: HashSet<&str> = ids.iter().map(BackendId::as_str).collect();
        let (quotas, gap) = match self.quotas_of(&client, &wanted).await {
            Ok(listed) => listed,
            Err(error) => return ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect(),
        };
        let (facts, are_fresh) = match self.facts_of(&client, &wanted, &quotas).await {
            Ok(facts) => facts,
            Err(error) => return ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect(),
        };
        let mut states = ById::new();
        let mut others = Vec::new();
        for id in ids {
            let Some(facts) = facts.get(id.as_str()) else {
                others.push(id.clone());
                continue;
            };
            // A quota of another number is that of another project, by the same name.
            let quota = quotas.get(id.as_str()).filter(|quota| quota.project == Some(facts.id));
            // One that is missing may be that of a project which is gone, or be on a page that did not come.
            if quota.is_none() && !(are_fresh && gap.is_none()) {
                others.push(id.clone());
                continue;
            }
            states.insert(id.clone(), self.state_from(id, facts, quota, aspects).map(Some));
        }
        states.extend(self.inspect_each(cx, &others, aspects).await);
        states
    }

    fn state_from(
        &self,
        id: &BackendId,
        facts: &Facts,
        quota: Option<&Quota>,
        aspects: Aspects,
    ) -> Result<ResourceState> {
        let mut state = self.state(id, facts, quota.and_then(|quota| quota.limit))?;
        if aspects.metadata {
            state.metadata = Some(self.metadata(&ProjectName::new(id.as_str())?, facts, quota));
        }
        Ok(state)
    }

    async fn inspect_each(&self, cx: &OpContext, ids: &[BackendId], aspects: Aspects) -> ById<Option<ResourceState>> {
        let read = |id: BackendId| async move {
            let state = self.inspect_one(cx, &id, aspects).await;
            (id, state)
        };
        let reads: Vec<_> = ids.iter().cloned().map(read).collect();
        stream::iter(reads).buffer_unordered(AT_A_TIME).collect().await
    }

    /// The quotas of the wanted projects by name, and why some may be missing.
    ///
    /// # Errors
    /// When not even the first page came.
    pub(super) async fn quotas_of(
        &self,
        client: &HarborClient,
        wanted: &HashSet<&str>,
    ) -> Result<(HashMap<String, Quota>, Option<Error>)> {
        let (quotas, _bad, gap) = client.quotas().list().collect().await?.into_parts();
        let named = quotas.into_iter().filter_map(|quota| Some((quota.project_name.clone()?, quota)));
        Ok((named.filter(|(name, _)| wanted.contains(name.as_str())).collect(), gap))
    }

    /// What is known of the wanted projects beside their quotas, and whether it was listed just now: when it is an hour
    /// old, when it does not fit the quotas, or when so many have none that asking about each would cost more.
    async fn facts_of(
        &self,
        client: &HarborClient,
        wanted: &HashSet<&str>,
        quotas: &HashMap<String, Quota>,
    ) -> Result<(HashMap<String, Facts>, bool)> {
        let now = client.environment().instant();
        {
            let known = self.known();
            let is_young = known.listed.is_some_and(|then| now.saturating_duration_since(then) < FACTS_LAST);
            let fits = |(name, quota): (&String, &Quota)| {
                known.facts.get(name).is_some_and(|facts| quota.project == Some(facts.id))
            };
            let without = wanted.len().saturating_sub(quotas.len());
            if is_young && without <= BY_THEMSELVES && quotas.iter().all(fits) {
                let facts = known.facts.iter().filter(|(name, _)| wanted.contains(name.as_str()));
                return Ok((facts.map(|(name, facts)| (name.clone(), facts.clone())).collect(), false));
            }
        }
        let (projects, _bad, gap) = client.projects().list().collect().await?.into_parts();
        let ours = projects.iter().filter(|project| wanted.contains(project.name.as_str()));
        let facts: HashMap<String, Facts> = ours.map(|project| (project.name.clone(), Facts::of(project))).collect();
        let mut known = self.known();
        known.facts.retain(|name, _| !wanted.contains(name.as_str()));
        known.facts.extend(facts.iter().map(|(name, facts)| (name.clone(), facts.clone())));
        if gap.is_none() {
            known.listed = Some(now);
        }
        Ok((facts, true))
    }

    pub(super) fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self, name: &ProjectName) {
        self.known().facts.remove(name.as_str());
    }
}

/// Whose a project is, seen from a resource.
pub(super) fn ownership(resource: &MarketplaceResource, facts: &Facts) -> Ownership {
    match facts.marks.stamp {
        Mark::Stamp(stamp) => Ownership::of(Some(stamp), resource.stamp()),
        Mark::Broken | Mark::Unknown => Ownership::Foreign,
        Mark::None => match stamp::recorded_id(resource) {
            None => Ownership::Unmarked,
            Some(id) if id == facts.id => Ownership::Ours,
            Some(_) => Ownership::Foreign,
        },
    }
}

/// Of a project that was seen a moment ago, "forbidden" may mean that it is gone since: then nothing is wrong with
/// anybody's rights, and the next attempt finds out what is left to be done.
pub(super) async fn unless_gone<T>(client: &HarborClient, name: &ProjectName, outcome: Result<T>) -> Result<T> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::PermissionDenied && !client.projects().exists(name).await? => {
            let text = format!("{name}: it was there, and does not show any more");
            Err(Error::not_ready(text).with_effect(Effect::Unknown).with_source(error))
        }
        outcome => outcome,
    }
}

/// Whose a project is cannot be told from what was not shown: it is neither ours nor a stranger's.
fn unstamped(name: &impl std::fmt::Display) -> Error {
    let text =
        format!("{name}: Harbor does not show the project's list of vulnerabilities, so nobody knows whose it is");
    Error::new(ErrorKind::Inconsistent, text)
}

/// The list that the stamp is on.
///
/// # Errors
/// `Inconsistent` when it was not shown: what is not known is not to be replaced.
pub(super) fn allowlist(project: &Project) -> Result<&Allowlist> {
    project.cve_allowlist.as_ref().ok_or_else(|| unstamped(&project.name))
}

pub(super) fn inconsistent(name: &ProjectName, what: &str) -> Error {
    Error::new(ErrorKind::Inconsistent, format!("{name}: {what}"))
}
