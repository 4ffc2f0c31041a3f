//! Whether the group of the Waldur project has its role still (harbor.md §5.5).

use std::{collections::HashMap, sync::PoisonError};

use async_trait::async_trait;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{CONSISTENCY, MarketplaceResource, OpContext, Ownership, ResourceUpkeep, Surroundings, read_back},
    types::{BackendId, ResourceUuid, Timestamp},
};

use super::{
    HarborBackend, Inner,
    group::usable,
    metadata,
    sight::{Facts, inconsistent},
    stamp::{self, Mark},
};
use crate::{
    client::{GroupName, HarborClient, ProjectName},
    names,
};

/// The usual pause between two synchronisations, in seconds.
const CYCLE: i64 = 5 * 60;

/// In how many passes each project is looked at once: an hour.
const ROUND: i64 = 12;

/// Rounds of a day.
const DAY: i64 = 24;

/// After so many passes without a look, a resource is forgotten.
const FORGOTTEN: i64 = DAY * ROUND;

/// In which pass each project was looked at last.
#[derive(Debug, Default)]
pub(super) struct Looks {
    last: HashMap<ResourceUuid, i64>,
    tidied: i64,
}

impl Looks {
    /// Whether it is a resource's turn. What is due stays so until it was [`done`](Self::done).
    fn is_due(&mut self, resource: ResourceUuid, cycle: i64) -> bool {
        self.tidy(cycle);
        // Of one of which nothing is known it is taken that the cycle before looked at it.
        let last = self.last.get(&resource).copied().unwrap_or(cycle - 1);
        let is_due = turns(resource, cycle) > turns(resource, last);
        // Its turn may come between two cycles that are further apart than usual.
        self.last.entry(resource).or_insert(if is_due { last } else { cycle });
        is_due
    }

    fn done(&mut self, resource: ResourceUuid, cycle: i64) {
        self.last.insert(resource, cycle);
    }

    /// Forgets the resources that nobody asks for any more.
    fn tidy(&mut self, cycle: i64) {
        if cycle.saturating_sub(self.tidied) >= FORGOTTEN {
            self.last.retain(|_, last| cycle.saturating_sub(*last) < FORGOTTEN);
            self.tidied = cycle;
        }
    }
}

/// Harbor lists members for each project by itself. To ask for all of them in every pass would cost more than
/// everything else together. So each project has its turn, five minutes of every hour, which depends on the resource's
/// UUID: a pass looks at a twelfth of the projects. Turns go by the clock, so a process for a single pass looks at the
/// projects whose turn it is. Each hour, and each day, the turns come five minutes later. So a process that always runs
/// at the same minute also looks at all of them in the end.
#[async_trait]
impl ResourceUpkeep for HarborBackend {
    async fn sync_project(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<()> {
        let (resource, cycle) = (&about.resource, cycle(self.0.client.environment().now()));
        let tidied = self.0.tidy_marks(cx, id, resource).await.map_err(nobodys_fault);
        if !self.0.looks().is_due(resource.uuid, cycle) {
            return tidied;
        }
        let reasserted = self.0.reassert(cx, id, resource).await.map_err(nobodys_fault);
        // What passes is looked at in the next cycle again; what somebody has to mend, in its next turn.
        if reasserted.as_ref().err().is_none_or(|error| error.code() == Some(LATER)) {
            self.0.looks().done(resource.uuid, cycle);
        }
        tidied.and(reasserted)
    }
}

impl Inner {
    /// Gives the group its role, and takes it from those that had it before. Each is noted on the project before it has its
    /// role: whoever moves back, or goes on after a death, finds what to undo.
    ///
    /// # Errors
    /// Nothing is bound on a project of which only the name says that it is the resource's: it may be a stranger's.
    async fn reassert(&self, cx: &OpContext, id: &BackendId, resource: &MarketplaceResource) -> Result<()> {
        let group = self.group_of(resource)?.ok_or_else(|| nameless(id))?;
        let (project, client) = self.target(cx, id)?;
        let noted = match self.noted_groups(&project) {
            Some(noted) => noted,
            None => self.look_at_own(&client, &project, id, resource).await?.0.facts.marks.groups,
        };
        let member = client.members().group(&project, &group).await?;
        let is_bound = member.is_some_and(|member| member.role == self.settings.role);
        if is_bound && Given::of(resource, &group, noted).is_in_step() {
            return Ok(());
        }
        let (seen, ownership) = self.look_at_own(&client, &project, id, resource).await?;
        if ownership == Ownership::Unmarked {
            return Err(unproven(id));
        }
        if let Some(found) = client.groups().search(&group).await? {
            usable(&found)?;
        }
        let note = |seen, groups: Vec<String>| {
            self.note(&client, &project, resource, seen, move |marks| marks.groups = groups)
        };
        let given = Given::of(resource, &group, seen.facts.marks.groups.clone());
        let seen = if given.is_in_step() { seen } else { note(seen, given.all(&group)).await? };
        self.ensure_binding(cx, &client, &project, &group).await?;
        if given.former.is_empty() {
            return Ok(());
        }
        for former in &given.former {
            cx.checkpoint()?;
            self.unbind(cx, &client, &project, former).await?;
        }
        note(seen, vec![group.as_str().to_owned()]).await.map(drop)
    }

    /// Takes notes away that say what is not so, and stamps of others.
    async fn tidy_marks(&self, cx: &OpContext, id: &BackendId, resource: &MarketplaceResource) -> Result<()> {
        if self.known().take_void_note(id.as_str()) {
            self.drop_void_note(cx, id, resource).await?;
        }
        self.drop_false_stamps(cx, id, resource).await
    }

    /// Takes away what others have written beside the stamp of ours, if the project is proven to be ours.
    async fn drop_false_stamps(&self, cx: &OpContext, id: &BackendId, resource: &MarketplaceResource) -> Result<()> {
        let is_broken = |facts: &Facts| facts.marks.stamp == Mark::Broken;
        if !self.known().facts(id.as_str()).is_some_and(is_broken) {
            return Ok(());
        }
        let (project, client) = self.target(cx, id)?;
        self.look_at_own(&client, &project, id, resource).await.map(drop)
    }

    /// What is remembered of the groups on a project; `None` when nothing is.
    fn noted_groups(&self, project: &ProjectName) -> Option<Vec<String>> {
        self.known().facts(project.as_str()).map(|facts| facts.marks.groups.clone())
    }

    /// Takes the role away from a group, whatever it is by now.
    async fn unbind(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        project: &ProjectName,
        group: &GroupName,
    ) -> Result<()> {
        let Some(member) = client.members().group(project, group).await? else { return Ok(()) };
        client.members().remove(project, member.id).await?;
        // Harbor acknowledges the removal of memberships that never were.
        read_back(cx, client.environment(), CONSISTENCY, || async {
            match client.members().group(project, group).await? {
                None => Ok(()),
                Some(_) => Err(inconsistent(project, "the group of its former project was removed, but shows still")),
            }
        })
        .await
    }

    /// The group of the resource's project. A Waldur of 2024 lists resources without the slug of their project: there it
    /// is the group that was published when the project was made, and without one nobody knows.
    fn group_of(&self, resource: &MarketplaceResource) -> Result<Option<GroupName>> {
        if resource.project.slug.trim().is_empty() {
            return Ok(resource.metadata.text(metadata::GROUP).and_then(|name| GroupName::new(name).ok()));
        }
        names::group(&self.settings.group_prefix, resource).map(Some)
    }

    pub(super) fn looks(&self) -> std::sync::MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The groups that were given the role on a project for this resource: those that are noted on it. On one that is older
/// than such notes, the one that was published when it was made.
pub(super) fn given_groups(resource: &MarketplaceResource, noted: Vec<String>) -> Vec<String> {
    if noted.is_empty() {
        resource.metadata.text(metadata::GROUP).map(str::to_owned).into_iter().collect()
    } else {
        noted
    }
}

/// Who was given the role on a project, seen from the group that is to have it.
struct Given {
    /// Those that are to have it no more: whoever is left behind by a resource that moves loses access.
    former: Vec<GroupName>,
    is_known: bool,
}

impl Given {
    fn of(resource: &MarketplaceResource, group: &GroupName, noted: Vec<String>) -> Self {
        let given = given_groups(resource, noted);
        let (ours, others): (Vec<_>, Vec<_>) = given.into_iter().partition(|name| name == group.as_str());
        // A name that no group can have is that of none.
        let former = others.into_iter().filter_map(|name| GroupName::new(name).ok()).collect();
        Self { former, is_known: !ours.is_empty() }
    }

    fn is_in_step(&self) -> bool {
        self.is_known && self.former.is_empty()
    }

    fn all(&self, group: &GroupName) -> Vec<String> {
        self.former.iter().chain([group]).map(|name| name.as_str().to_owned()).collect()
    }
}

/// The code of what is told once in a turn, until somebody mends it.
const LATER: &str = "needs-the-operator";

/// Of a resource whose project has no name for the group.
fn nameless(id: &BackendId) -> Error {
    let text = format!(
        "{id}: this Waldur does not tell the slug of the project, and no group was published: give the group its role by \
         hand, or update Waldur"
    );
    Error::not_ready(text).with_code(LATER)
}

/// Of a project that has the name which Waldur holds, and nothing else that would prove it.
fn unproven(id: &BackendId) -> Error {
    let text = format!(
        "{id}: the project carries no stamp, and Waldur has no number ({}) on record for it, so that it may be a stranger's: \
         its group gets no role. If it is the resource's, restore the resource, or publish the number",
        stamp::PROJECT_ID
    );
    Error::not_ready(text).with_code(LATER)
}

/// A right that the account lacks, or a name that cannot be had, is nothing that the resource could be blamed for.
pub(super) fn nobodys_fault(error: Error) -> Error {
    if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Config) {
        Error::not_ready(error.message().to_owned())
            .with_code(LATER)
            .with_operation(error.operation())
            .with_source(error)
    } else {
        error
    }
}

/// The cycle that an instant lies in.
fn cycle(instant: Timestamp) -> i64 {
    instant.as_second().div_euclid(CYCLE)
}

/// How many turns a resource has had until the end of a cycle. UUIDs of one server may be close to each other; turns are
/// not.
fn turns(resource: ResourceUuid, cycle: i64) -> i64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (high, low) = resource.uuid().as_u64_pair();
    let spread = i64::try_from((high ^ low.rotate_left(32)).wrapping_mul(SPREAD) >> 33).unwrap_or_default();
    let round = cycle.div_euclid(ROUND);
    let shift = round + round.div_euclid(DAY);
    let turn = spread.saturating_add(shift).rem_euclid(ROUND);
    round + i64::from(cycle.rem_euclid(ROUND) >= turn)
}

#[cfg(test)]
mod tests {
    use waldur_sdk::types::Uuid;

    use super::*;

    fn resources() -> impl Iterator<Item = ResourceUuid> {
        (0..500).map(|number| Uuid::from_u128((0x7e50 << 96) | (number << 32) | 0x4000_8000).into())
    }

    #[test]
    fn whoever_runs_once_looks_at_everybody_however_often_it_is_started() {
        // Minutes between two starts, and how many starts it takes.
        for (minutes, starts) in [(5, 13), (10, 24), (15, 24), (30, 24), (60, 12), (120, 24), (1440, 12), (35, 60)] {
            for resource in resources() {
                let cycles = (0..starts).map(|start| 7 + start * minutes / 5);
                let seen = cycles.filter(|cycle| Looks::default().is_due(resource, *cycle)).count();
                assert!(seen > 0, "every {minutes} minutes: {resource}");
            }
        }
    }

    #[test]
    fn whoever_goes_on_looks_once_in_every_round() {
        let mut looks = Looks::default();
        for resource in resources() {
            let mut seen = Vec::new();
            for cycle in 0..20 * ROUND {
                if looks.is_due(resource, cycle) {
                    looks.done(resource, cycle);
                    seen.push(cycle / ROUND);
                }
            }
            assert_eq!(seen, (0..20).collect::<Vec<_>>(), "{resource}");
        }
    }

    #[test]
    fn a_look_that_failed_is_repeated_and_what_is_gone_is_forgotten() {
        let mut looks = Looks::default();
        for resource in resources() {
            let first = (0..2 * ROUND).find(|cycle| Looks::default().is_due(resource, *cycle)).unwrap_or_default();
            assert!((first..first + 5).all(|cycle| looks.is_due(resource, cycle)), "{resource}");
        }
        assert_eq!(looks.last.len(), 500);
        let later = 3 * FORGOTTEN;
        looks.done(Uuid::from_u128(1).into(), later);
        looks.is_due(Uuid::from_u128(2).into(), later);
        assert_eq!(looks.last.len(), 2);
    }
}
