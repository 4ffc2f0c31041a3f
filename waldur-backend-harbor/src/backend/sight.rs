//! What there is: one project by itself, and whose it is.

use std::{
    collections::{HashMap, HashSet},
    sync::PoisonError,
    time::Instant,
};

use waldur_sdk::{
    Effect, Error, ErrorKind, Result,
    backend::{Aspects, ById, MarketplaceResource, OpContext, Origin, Ownership, Records, ResourceState, Status},
    rest::Breaker,
    types::{BackendId, Timestamp},
};

use super::{
    AT_A_TIME, Inner,
    stamp::{self, Mark, Marks},
};
use crate::client::{Allowlist, HarborClient, Project, ProjectId, ProjectName, ProjectQuota, StorageLimit};

/// What is remembered of a project between passes. Writes of this process keep it in step.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) id: ProjectId,
    pub(super) marks: Marks,
    pub(super) repositories: Option<u64>,
    pub(super) created: Option<Timestamp>,
}

impl Facts {
    pub(super) fn of(project: &Project) -> Self {
        Self {
            id: project.id,
            marks: stamp::of(project),
            repositories: project.repo_count,
            created: project.creation_time,
        }
    }
}

/// What is remembered of the registry.
#[derive(Debug, Default)]
pub(super) struct Known {
    facts: HashMap<String, Facts>,
    /// When the projects were listed last.
    listed: Option<Instant>,
    /// The numbers of projects of which nothing else is known, from their quotas.
    numbers: HashMap<String, ProjectId>,
    /// The numbers of projects that have the name of a resource's, and are not the one that Waldur has on record for it.
    strangers: HashMap<String, ProjectId>,
    /// Projects on which is noted that they are scaled down, and which are not.
    void_notes: HashSet<String>,
    /// How many pages the list of quotas had last.
    pages: Option<usize>,
    /// Projects that were proven not to be there since the projects were listed.
    gone: HashSet<String>,
}

impl Known {
    /// Notes whether the project that has a name now is a stranger's.
    pub(super) fn judge(&mut self, name: &str, id: ProjectId, is_stranger: bool) {
        if is_stranger {
            self.strangers.insert(name.to_owned(), id);
        } else {
            self.strangers.remove(name);
        }
    }

    /// How many pages the list of quotas had last.
    pub(super) fn pages(&self) -> Option<usize> {
        self.pages
    }

    pub(super) fn learn_pages(&mut self, pages: usize) {
        self.pages = Some(pages);
    }

    /// Whether a project was proven not to be there since the projects were listed.
    pub(super) fn is_gone(&self, name: &str) -> bool {
        self.gone.contains(name)
    }

    /// The number of the project that was last seen by a name.
    pub(super) fn number(&self, name: &str) -> Option<ProjectId> {
        self.facts.get(name).map(|facts| facts.id).or_else(|| self.numbers.get(name).copied())
    }

    pub(super) fn learn_number(&mut self, name: &str, id: ProjectId) {
        self.numbers.insert(name.to_owned(), id);
    }

    /// Forgets the numbers of projects that nobody measures any more.
    pub(super) fn measure_only(&mut self, is_measured: impl Fn(&str) -> bool) {
        let facts = &self.facts;
        self.numbers.retain(|name, _| is_measured(name) && !facts.contains_key(name));
    }

    /// Whether a note on a project was seen to say nothing; asked once.
    pub(super) fn take_void_note(&mut self, name: &str) -> bool {
        self.void_notes.remove(name)
    }

    pub(super) fn is_stranger(&self, name: &str, id: ProjectId) -> bool {
        self.strangers.get(name) == Some(&id)
    }

    pub(super) fn facts(&self, name: &str) -> Option<&Facts> {
        self.facts.get(name)
    }

    /// When the projects were listed last, whole.
    pub(super) fn listed(&self) -> Option<Instant> {
        self.listed
    }

    /// Takes over what a listing told of the projects that were asked about. With `whole`, the instant of one that was
    /// proven whole, everything else is forgotten: nobody asks about it any more.
    pub(super) fn learn(&mut self, listed: HashMap<String, Facts>, whole: Option<Instant>) {
        // What did not show in a list that was cut short may be there still.
        if whole.is_some() {
            self.facts.clear();
        }
        self.gone.retain(|name| !listed.contains_key(name));
        self.facts.extend(listed);
        if whole.is_some() {
            let facts = &self.facts;
            self.strangers.retain(|name, id| facts.get(name).is_some_and(|facts| facts.id == *id));
            self.void_notes.retain(|name| facts.contains_key(name));
            self.gone.clear();
        }
        self.listed = whole.or(self.listed);
    }
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

    /// What the calls of one sweep over many projects stop by.
    pub(super) fn breaker(&self) -> Breaker {
        Breaker::new(2 * AT_A_TIME, self.client.environment().clone())
    }

    /// Reads a project and its quota.
    pub(super) async fn look(&self, client: &HarborClient, name: &ProjectName) -> Result<Option<Seen>> {
        let Some(project) = client.projects().find(name).await? else {
            let mut known = self.known();
            known.facts.remove(name.as_str());
            known.gone.insert(name.as_str().to_owned());
            return Ok(None);
        };
        let quota = client.quotas().of_project(project.id, name).await?;
        Ok(Some(self.seen(project, quota)))
    }

    pub(super) fn seen(&self, project: Project, quota: Option<ProjectQuota>) -> Seen {
        let facts = Facts::of(&project);
        let mut known = self.known();
        known.facts.insert(project.name.clone(), facts.clone());
        known.gone.remove(&project.name);
        drop(known);
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
        let is_small = limit.map(|limit| self.is_small(limit)).transpose()?;
        match is_small {
            _ if !facts.marks.downscaled => {}
            Some(false) => _ = self.known().void_notes.insert(id.as_str().to_owned()),
            Some(true) | None => state.status = Status::Downscaled,
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

    /// Says of those that carry no stamp whether Waldur has another project on record. A synchronisation publishes the
    /// number of what it finds, so that it must not find a stranger's: the proof would be overwritten. Of those that carry
    /// several, whether ours is proven in spite of that.
    pub(super) fn compare_with(&self, states: &mut ById<Option<ResourceState>>, records: &dyn Records) {
        for (id, state) in states {
            let Ok(Some(state)) = state else { continue };
            if state.stamp.is_some() {
                continue;
            }
            let Some(facts) = self.known().facts(id.as_str()).cloned() else { continue };
            if state.foreign {
                let resources = records.of(id);
                state.stamp = resources.iter().find(|one| is_proven(one, &facts)).map(MarketplaceResource::stamp);
                state.foreign = state.stamp.is_none();
                if !state.foreign {
                    let text = format!("{id}: it has another resource's stamp beside its own, which is taken away");
                    state.warnings.push(Error::new(ErrorKind::Inconsistent, text));
                }
                continue;
            }
            let found = facts.id;
            let recorded: Vec<_> = records.of(id).iter().filter_map(stamp::recorded_id).collect();
            state.foreign = !recorded.is_empty() && !recorded.contains(&found);
            self.known().judge(id.as_str(), found, state.foreign);
            // A name alone is no proof, and the number that is published becomes one.
            if recorded.is_empty()
                && let Some(metadata) = &mut state.metadata
            {
                metadata.remove(stamp::PROJECT_ID);
            }
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
        if seen.facts.marks.stamp == Mark::Broken {
            // Proven ours: the others' stamps go.
            return Ok((self.note(client, name, resource, seen, |_| ()).await?, ownership));
        }
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
        Mark::Broken if is_proven(resource, facts) => Ownership::Ours,
        Mark::Broken | Mark::Unknown => Ownership::Foreign,
        Mark::None => match stamp::recorded_id(resource) {
            None => Ownership::Unmarked,
            Some(id) if id == facts.id => Ownership::Ours,
            Some(_) => Ownership::Foreign,
        },
    }
}

/// Whether a project with several stamps is this resource's: its own is among them, and Waldur has the very number on
/// record. Who administers a project can write another one beside ours.
fn is_proven(resource: &MarketplaceResource, facts: &Facts) -> bool {
    facts.marks.claims.contains(&resource.stamp()) && stamp::recorded_id(resource) == Some(facts.id)
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
pub(super) fn unstamped(name: &impl std::fmt::Display) -> Error {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(id: i64) -> Facts {
        let marks = Marks { downscaled: true, ..Marks::default() };
        Facts { id: ProjectId::new(id), marks, repositories: None, created: None }
    }

    #[test]
    fn what_nobody_asks_about_any_more_is_forgotten() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.learn([("a".to_owned(), facts(1)), ("b".to_owned(), facts(2))].into(), Some(now));
        for (name, id) in [("a", 1), ("b", 2)] {
            known.judge(name, ProjectId::new(id), true);
            known.void_notes.insert(name.to_owned());
            known.learn_number(name, ProjectId::new(id));
        }
        let only = HashSet::from(["a".to_owned()]);
        // A listing that was cut short proves nothing about the others.
        known.learn([("a".to_owned(), facts(1))].into(), None);
        assert!(known.facts("b").is_some() && known.is_stranger("b", ProjectId::new(2)));
        known.learn([("a".to_owned(), facts(7))].into(), Some(now));
        known.measure_only(|name| only.contains(name));
        assert!(known.facts("b").is_none() && known.number("b").is_none() && !known.take_void_note("b"));
        assert!(!known.is_stranger("a", ProjectId::new(1)), "it is another project by now");
        assert!(known.take_void_note("a") && !known.take_void_note("a"));
        assert_eq!((known.number("a"), known.numbers.len()), (Some(ProjectId::new(7)), 0));
    }
}
