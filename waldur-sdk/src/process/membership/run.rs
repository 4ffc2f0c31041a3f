//! The pass over all resources, and those over some.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use futures_util::{StreamExt, stream};

use super::{
    MembershipSync,
    pass::{Pass, Scope, uuids},
    report::{MembershipReport, ResourceSync, SyncOutcome},
};
use crate::{
    backend::OpContext,
    client::{Resource, ResourceQuery},
    error::Result,
    process::usernames::NameGiver,
    types::{BackendId, ProjectUuid, ResourceUuid},
};

impl MembershipSync {
    /// Keeps all resources of the offering in step: names, members, status, metadata, limits, surroundings.
    ///
    /// # Errors
    /// Only when the resources cannot be listed. What happens to a resource is in the report and stops no other.
    pub async fn run_once(&self, cx: &OpContext) -> Result<MembershipReport> {
        let mut report = MembershipReport::default();
        if !self.is_ready(cx, &mut report).await {
            return Ok(report);
        }
        let query = ResourceQuery::offering(self.offering()).states(self.handled_states());
        let rows = self.list(cx, &query, &mut report).await?;
        self.remember(|memory| memory.learn_owners(&rows, report.listing_gap.is_some()));
        let pass = self.sync(cx, rows.clone(), Scope::Whole, &mut report).await;
        if report.listing_gap.is_none() {
            let now = self.environment().instant();
            self.remember(|memory| memory.prune(&uuids(&rows), now));
            self.see_off(cx, &pass, &rows, &mut report).await;
        }
        report.missing_features = self.remember(super::memory::Memory::take_untold);
        Ok(report)
    }

    /// As [`Self::run_once`], for one resource: after an event, or for a
    /// [`FollowUp::SyncMembers`](crate::process::FollowUp::SyncMembers) of the orders.
    ///
    /// # Errors
    /// When the resource cannot be read.
    pub async fn sync_resource(&self, cx: &OpContext, resource: ResourceUuid) -> Result<MembershipReport> {
        let mut report = MembershipReport::default();
        if !self.is_ready(cx, &mut report).await {
            return Ok(report);
        }
        let row = self.waldur(cx).provider_resources().get(resource).await?;
        let foreign = row.offering_uuid.is_some_and(|offering| offering != self.offering());
        if foreign || row.backend_id.is_none() || !self.is_handled(&row) {
            let outcome = SyncOutcome::NotHandled;
            report.resources.push(ResourceSync { outcome, ..ResourceSync::new(&row) });
            return Ok(report);
        }
        self.sync(cx, vec![Arc::new(row)], Scope::Whole, &mut report).await;
        report.missing_features = self.remember(super::memory::Memory::take_untold);
        Ok(report)
    }

    /// Keeps the members of all resources of a project true, and nothing else.
    ///
    /// # Errors
    /// When the resources cannot be listed.
    pub async fn sync_project(&self, cx: &OpContext, project: ProjectUuid) -> Result<MembershipReport> {
        let mut report = MembershipReport::default();
        if !self.is_ready(cx, &mut report).await {
            return Ok(report);
        }
        let rows = self.of_project(cx, project, &mut report).await?;
        self.sync(cx, rows, Scope::Members, &mut report).await;
        report.missing_features = self.remember(super::memory::Memory::take_untold);
        Ok(report)
    }

    pub(super) async fn is_ready(&self, cx: &OpContext, report: &mut MembershipReport) -> bool {
        if self.backend().capabilities().preflight
            && let Err(error) = self.backend().ping(cx).await
        {
            report.not_ready = Some(error);
        }
        report.not_ready.is_none()
    }

    pub(super) async fn of_project(
        &self,
        cx: &OpContext,
        project: ProjectUuid,
        report: &mut MembershipReport,
    ) -> Result<Vec<Arc<Resource>>> {
        let query = ResourceQuery::offering(self.offering()).states(self.handled_states()).project(project);
        let mut rows = self.list(cx, &query, report).await?;
        // A filter that a server does not know is ignored.
        rows.retain(|row| row.project_uuid.is_none_or(|found| found == project));
        Ok(rows)
    }

    /// The resources that are to be kept in step: those with a back-end id.
    async fn list(
        &self,
        cx: &OpContext,
        query: &ResourceQuery,
        report: &mut MembershipReport,
    ) -> Result<Vec<Arc<Resource>>> {
        let (mut rows, unreadable, gap) =
            self.waldur(cx).provider_resources().list(query).collect().await?.into_parts();
        report.unreadable = unreadable;
        report.listing_gap = gap;
        rows.retain(|row| {
            row.backend_id.is_some()
                && self.is_handled(row)
                && row.offering_uuid.is_none_or(|offering| offering == self.offering())
        });
        Ok(rows.into_iter().map(Arc::new).collect())
    }

    /// The back-end ids that a resource has which is not among these. What the last pass over all has seen is believed;
    /// before there was one, Waldur is asked, and what it does not tell may be.
    pub(super) async fn elsewhere(&self, cx: &OpContext, rows: &[Arc<Resource>]) -> HashSet<BackendId> {
        let here = uuids(rows);
        // Collected first: a stream that still maps references could not be sent to another thread.
        let questions: Vec<_> =
            Self::resource_ids(rows).into_iter().map(|id| async move { (self.owners(cx, &id).await, id) }).collect();
        let owners: Vec<_> = stream::iter(questions).buffer_unordered(self.concurrency()).collect().await;
        let strange = owners.into_iter().filter(|(owners, _)| owners.as_ref().is_none_or(|all| !all.is_subset(&here)));
        strange.map(|(_, id)| id).collect()
    }

    /// The resources of a back-end id; `None` where that cannot be found out.
    async fn owners(&self, cx: &OpContext, id: &BackendId) -> Option<HashSet<ResourceUuid>> {
        if let Some(owners) = self.remember(|memory| memory.owners(id)) {
            return Some(owners);
        }
        let query = ResourceQuery::offering(self.offering()).states(self.handled_states()).backend_id(id.clone());
        let mut report = MembershipReport::default();
        let mut rows = self.list(cx, &query, &mut report).await.ok().filter(|_| report.listing_gap.is_none())?;
        rows.retain(|row| row.backend_id.as_ref() == Some(id));
        Some(uuids(&rows))
    }

    pub(super) async fn sync(
        &self,
        cx: &OpContext,
        rows: Vec<Arc<Resource>>,
        scope: Scope,
        report: &mut MembershipReport,
    ) -> Arc<Pass> {
        let pass = Arc::new(self.gather(cx, &rows, scope, report).await);
        let total = rows.len() as u64;
        let mut done = 0;
        let mut resources = Vec::with_capacity(rows.len());
        // Nothing is awaited between two polls of the stream, so no resource waits for another's lane unpolled.
        let mut work =
            stream::iter(rows).map(|row| self.attend(pass.clone(), row)).buffer_unordered(self.concurrency());
        while let Some(resource) = work.next().await {
            resources.push(resource);
            done += 1;
            cx.advance("resources", done, Some(total));
        }
        drop(work);
        resources.sort_by_key(|resource: &ResourceSync| resource.resource);
        report.resources = resources;
        pass
    }

    /// Sees off those who have no account any more, and ends the removals that were asked for.
    async fn see_off(&self, cx: &OpContext, pass: &Pass, rows: &[Arc<Resource>], report: &mut MembershipReport) {
        self.deactivate_departed(cx, &pass.accounts, &mut report.usernames).await;
        let Some(usernames) = self.0.usernames.clone().filter(|_| self.policy().drive_deletion) else { return };
        let Some(present) = still_present(pass, rows, report) else { return };
        let (waldur, refused) = (self.waldur(cx), self.remember(|memory| memory.refused()));
        let giver = NameGiver {
            waldur: &waldur,
            backend: &*usernames,
            cx,
            concurrency: self.concurrency(),
            dry_run: self.policy().dry_run,
            refused: &refused,
        };
        let ended = giver.end_deletions(&pass.accounts.rows, &present).await;
        let reports = &mut report.usernames.accounts;
        reports.retain(|begun| !ended.iter().any(|ended| ended.account == begun.account));
        reports.extend(ended);
    }
}

/// Who has access to anything after this pass; `None` when that is not known.
fn still_present(pass: &Pass, rows: &[Arc<Resource>], report: &MembershipReport) -> Option<BTreeSet<String>> {
    let outcomes: HashMap<ResourceUuid, &ResourceSync> =
        report.resources.iter().map(|resource| (resource.resource, resource)).collect();
    let mut present = BTreeSet::new();
    for row in rows {
        let outcome = outcomes.get(&row.uuid)?;
        if matches!(outcome.outcome, SyncOutcome::Missing | SyncOutcome::Foreign) {
            continue;
        }
        match pass.members.get(row.backend_id.as_ref()?) {
            Some(Ok(members)) => {
                let gone = |name: &&String| !outcome.removed.iter().any(|removed| removed.as_str() == name.as_str());
                present.extend(members.items().iter().filter(gone).cloned());
            }
            // A back end without members gives nobody access that could be left over.
            None if pass.members.is_empty() => {}
            _ => return None,
        }
    }
    Some(present)
}
