//! The pass over all resources, and those over some.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use futures_util::{StreamExt, stream};

use super::{
    MembershipSync,
    attend::{Access, Attended, Turn},
    guard::Tally,
    pass::{Pass, Portion, Scope, uuids},
    report::{MembershipReport, ResourceSync, SyncOutcome},
    row::{Row, portions},
};
use crate::{
    backend::OpContext,
    client::{Resource, ResourceQuery, ResourceState, ResourceSummary},
    error::{Error, ErrorKind, Result},
    process::{Warning, failure::shielded, usernames::NameGiver},
    types::{BackendId, ProjectUuid, ResourceUuid},
};

/// The states of resources that are not at their end.
const ALIVE: [ResourceState; 5] = [
    ResourceState::Creating,
    ResourceState::Ok,
    ResourceState::Erred,
    ResourceState::Updating,
    ResourceState::Terminating,
];

impl MembershipSync {
    /// Keeps all resources of the offering in step: names, members, status, metadata, limits, surroundings.
    ///
    /// # Errors
    /// Only when the resources cannot be listed. What happens to a resource is in the report and stops no other.
    pub async fn run_once(&self, cx: &OpContext) -> Result<MembershipReport> {
        let cx = &cx.with_waldur_breaker(self.breaker());
        let mut report = MembershipReport::default();
        if !self.is_ready(cx, &mut report).await {
            return Ok(report);
        }
        let query = ResourceQuery::offering(self.offering()).states(self.handled_states());
        let rows = self.list(cx, &query, &mut report).await?;
        self.remember(|memory| memory.learn_owners(&rows, report.listing_gap.is_some()));
        let listed = uuids(&rows);
        let (pass, accesses) = self.sync(cx, rows.clone(), Scope::Whole, &mut report).await;
        if self.policy().single_pass {
            self.look_once_more(cx, rows, &mut report).await;
        }
        if report.listing_gap.is_none() {
            let now = self.environment().instant();
            self.remember(|memory| memory.prune(&listed, now));
            self.see_off(cx, &pass, accesses, &mut report).await;
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
        self.sync(cx, vec![Arc::new(Row::pack(row))], Scope::Whole, &mut report).await;
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
            && let Err(error) = shielded(self.backend().ping(cx)).await
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
    ) -> Result<Vec<Arc<Row>>> {
        let query = ResourceQuery::offering(self.offering()).states(self.handled_states()).project(project);
        let mut rows = self.list(cx, &query, report).await?;
        // A filter that a server does not know is ignored.
        rows.retain(|row| row.project().is_none_or(|found| found == project));
        Ok(rows)
    }

    /// The resources that are to be kept in step: those with a back-end id.
    async fn list(
        &self,
        cx: &OpContext,
        query: &ResourceQuery,
        report: &mut MembershipReport,
    ) -> Result<Vec<Arc<Row>>> {
        let waldur = self.waldur(cx);
        let pager = waldur.provider_resources().list_as(query, |row| Arc::new(Row::pack(row)), |row| row.uuid().hex());
        let (mut rows, unreadable, gap) = pager.collect().await?.into_parts();
        report.unreadable = unreadable;
        report.listing_gap = gap;
        rows.retain(|row| row.backend_id().is_some() && self.is_ours(row));
        Ok(rows)
    }

    fn is_ours(&self, row: &Row) -> bool {
        row.is_in(&self.handled_states()) && row.offering().is_none_or(|offering| offering == self.offering())
    }

    /// The back-end ids that a resource has which is not among these. What the last pass over all has seen is believed;
    /// before there was one, Waldur is asked, and what it does not tell may be.
    pub(super) async fn elsewhere(&self, cx: &OpContext, rows: &[Arc<Row>]) -> HashSet<BackendId> {
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
        rows.retain(|row| row.backend_id() == Some(id));
        Some(uuids(&rows))
    }

    /// Whether Waldur has, by now, a resource of this one's back-end id which is not in the pass, in whatever state short
    /// of its end: asked before anybody is removed. What it does not tell may be.
    pub(super) async fn has_other_owner(&self, cx: &OpContext, pass: &Pass, row: &Resource) -> bool {
        let Some(id) = &row.backend_id else { return true };
        let query = ResourceQuery::offering(self.offering()).states(ALIVE).backend_id(id.clone());
        let waldur = self.waldur(cx);
        let Ok(listing) = waldur.provider_resources().summaries(&query).collect().await else { return true };
        let sharers = pass.shared.get(id).map(|rows| uuids(rows)).unwrap_or_default();
        let is_other = |other: &ResourceSummary| {
            other.backend_id.as_ref() == Some(id)
                && other.offering_uuid.is_none_or(|offering| offering == self.offering())
                && other.uuid != row.uuid
                && !sharers.contains(&other.uuid)
                && other.state.as_ref().is_none_or(|state| ALIVE.contains(state))
        };
        listing.gap().is_some() || listing.items().iter().any(is_other)
    }

    /// Keeps resources in step, a portion of them at a time: what is in step is kept so at once, what is not waits until
    /// all were seen, since only then is known whether too many would lose access.
    pub(super) async fn sync(
        &self,
        cx: &OpContext,
        rows: Vec<Arc<Row>>,
        scope: Scope,
        report: &mut MembershipReport,
    ) -> (Arc<Pass>, Accesses) {
        let (pass, mut bulk) = self.gather(cx, &rows, scope, report).await;
        let pass = Arc::new(pass);
        let mut ends = Ends::new(cx, rows.len());
        let (mut tally, mut due) = (Tally::default(), Vec::new());
        let mut portion = Arc::new(Portion::default());
        let turns = self.remember(|memory| memory.begin(&rows));
        let start = self.environment().below(rows.len());
        for rows in portions(rows, &turns, start) {
            self.begin_turns(&pass, &rows);
            portion = Arc::new(self.portion(&pass, &mut bulk, &rows, &portion).await);
            // Nothing is awaited between two polls of the stream, so no resource waits for another's lane unpolled.
            let looks = stream::iter(rows).map(|row| self.see(pass.clone(), portion.clone(), row));
            let mut looks = looks.buffer_unordered(self.concurrency());
            while let Some(seen) = looks.next().await {
                tally.add(seen.tally);
                match seen.turn {
                    Turn::Over(attended) => ends.note(attended),
                    Turn::Due(one) => due.push(one.without_team_beyond(due.len())),
                }
            }
        }
        drop((portion, bulk));
        // The sort keeps the order of the portions otherwise.
        due.sort_by_key(|due| turns.get(&due.resource()).copied());
        let doubtful = tally.is_doubtful(&self.policy().removals);
        let turns = stream::iter(due).map(|due| self.settle_due(pass.clone(), due, doubtful));
        let mut turns = turns.buffer_unordered(self.concurrency());
        while let Some(attended) = turns.next().await {
            ends.note(attended);
        }
        drop(turns);
        if ends.has_nothing(self.policy().removals.free) {
            ends.accesses = None;
            let text = format!("the back end has none of {} objects: is it the right one?", ends.total);
            let error = Error::new(ErrorKind::Inconsistent, text);
            report.warnings.push(Warning { step: "back end", error });
        }
        ends.resources.sort_by_key(|resource| resource.resource);
        report.resources = ends.resources;
        (pass, ends.accesses)
    }

    /// These have their turn, unless it is too late for that.
    fn begin_turns(&self, pass: &Pass, rows: &[Arc<Row>]) {
        let too_late = self.is_over(pass);
        self.remember(|memory| match too_late {
            None => rows.iter().for_each(|row| memory.has_turn(row.uuid())),
            Some(_) => rows.iter().for_each(|row| memory.left_over(row.uuid())),
        });
    }

    /// Why nothing more is to be begun in a pass, if so.
    pub(super) fn is_over(&self, pass: &Pass) -> Option<Error> {
        let late = |deadline| self.environment().instant() >= deadline;
        if pass.cx.deadline.is_some_and(late) {
            let text = "the deadline of the run passed before this was tried";
            return Some(Error::new(ErrorKind::DeadlineExceeded, text));
        }
        let down = || pass.backend.cause().or_else(|| pass.cx.waldur_breaker()?.cause());
        pass.cx.checkpoint().err().or_else(down)
    }

    /// Whether accounts are seen off to their end.
    pub(super) fn drives_deletion(&self) -> bool {
        self.policy().drive_deletion && self.0.usernames.is_some()
    }

    /// Sees off those who have no account any more, and ends the removals that were asked for.
    async fn see_off(&self, cx: &OpContext, pass: &Pass, accesses: Accesses, report: &mut MembershipReport) {
        self.deactivate_departed(cx, &pass.accounts, &mut report.usernames).await;
        let Some(usernames) = self.0.usernames.clone().filter(|_| self.policy().drive_deletion) else { return };
        // Who has access to anything after this pass; nobody knows that of a resource that could not be looked at.
        let Some(present) = accesses else { return };
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

/// Who has access to any of the resources; `None` when that is not known of all.
type Accesses = Option<BTreeSet<String>>;

/// The resources whose turns are over.
struct Ends<'a> {
    cx: &'a OpContext,
    total: usize,
    resources: Vec<ResourceSync>,
    accesses: Accesses,
}

impl<'a> Ends<'a> {
    fn new(cx: &'a OpContext, total: usize) -> Self {
        Self { cx, total, resources: Vec::with_capacity(total), accesses: Some(BTreeSet::new()) }
    }

    /// Whether the back end has nothing of so many that it may be another one, or one that lost its list. A few may all be
    /// gone.
    fn has_nothing(&self, few: usize) -> bool {
        let is_missing = |resource: &ResourceSync| matches!(resource.outcome, SyncOutcome::Missing);
        self.resources.len() > few && self.resources.iter().all(is_missing)
    }

    fn note(&mut self, attended: Attended) {
        match (attended.access, &mut self.accesses) {
            (Access::These(names), Some(all)) => all.extend(names),
            (Access::Unknown, _) => self.accesses = None,
            _ => {}
        }
        self.resources.push(attended.report);
        self.cx.advance("resources", self.resources.len() as u64, Some(self.total as u64));
    }
}
