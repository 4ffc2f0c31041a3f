//! One resource on its way: seen, compared, seen again, changed.

use std::sync::Arc;

use futures_util::future::join3;

use super::{
    MembershipSync,
    pass::{Pass, Scope, present, team_key, unanswered},
    plan::{Plan, Sight},
    report::{ResourceSync, SyncOutcome},
    team::Roster,
};
use crate::{
    backend::{ById, OpContext, Origin, ResourceState, Stamp},
    client::Resource,
    error::{Error, ErrorKind, Result},
    process::{Warning, failure::shielded},
    rest::Complete,
    types::BackendId,
};

/// One resource in work: what is to be told about it, and what failed.
pub(super) struct Job<'a> {
    pub(super) cx: &'a OpContext,
    pub(super) pass: &'a Pass,
    pub(super) id: BackendId,
    pub(super) report: ResourceSync,
    /// What failed on the back end's side.
    pub(super) failures: Vec<Error>,
    /// What Waldur could not be asked or told.
    pub(super) untold: Option<Error>,
}

impl Job<'_> {
    /// Something beside the resource went wrong: it is not held up by that.
    pub(super) fn warn(&mut self, step: &'static str, error: Error) {
        self.report.warnings.push(Warning { step, error });
    }

    /// The back end failed at a step.
    pub(super) fn fail(&mut self, step: &'static str, error: Error) {
        self.failures.push(error.clone());
        self.warn(step, error);
    }

    /// Waldur failed at a step: that says nothing about the resource, but it is not in step.
    pub(super) fn untold(&mut self, step: &'static str, error: Error) {
        self.untold.get_or_insert(error.clone());
        self.warn(step, error);
    }
}

/// A resource that was read again.
struct Fresh {
    row: Resource,
    states: ById<Option<ResourceState>>,
    members: ById<Complete<String>>,
    team: Option<Arc<Roster>>,
}

impl MembershipSync {
    /// Keeps one resource in step, in its lane.
    pub(super) async fn attend(&self, pass: Arc<Pass>, row: Arc<Resource>) -> ResourceSync {
        let (this, resource) = (self.clone(), row.uuid);
        let work = async move {
            let cx = pass.cx.child(row.uuid.hex());
            this.keep_in_step(&cx, &pass, &row).await
        };
        self.0.lanes.run(resource, work).await
    }

    async fn keep_in_step(&self, cx: &OpContext, pass: &Pass, row: &Resource) -> ResourceSync {
        let mut report = ResourceSync::new(row);
        let Some(id) = row.backend_id.clone() else {
            report.outcome = SyncOutcome::NotHandled;
            return report;
        };
        if pass.shared.contains_key(&id) {
            let text = format!("more than one resource has the back-end id {id}");
            report.warnings.push(Warning { step: "backend id", error: Error::new(ErrorKind::Inconsistent, text) });
        }
        let mut job = Job { cx, pass, id, report, failures: Vec::new(), untold: None };
        let end = match cx.checkpoint() {
            Ok(()) => shielded(self.steps(&mut job, row)).await,
            Err(error) => Err(error),
        };
        match end {
            Ok(Some(outcome)) => job.report.outcome = outcome,
            Ok(None) => self.conclude(&mut job, row).await,
            Err(error) => {
                job.failures.push(error);
                self.conclude(&mut job, row).await;
            }
        }
        job.report
    }

    /// All steps. `Some` is an end without any.
    async fn steps(&self, job: &mut Job<'_>, row: &Resource) -> Result<Option<SyncOutcome>> {
        let (pass, id) = (job.pass, job.id.clone());
        let Some(sight) = pass.sight(row, &id)? else { return Ok(Some(SyncOutcome::Missing)) };
        if !is_ours(sight.state, row) {
            return Ok(Some(SyncOutcome::Foreign));
        }
        let plan = self.plan(pass, &sight);
        if !plan.writes() || self.policy().dry_run {
            self.carry_out(job, &sight, plan).await;
            return Ok(None);
        }
        // The lists are as old as the pass. What is to be changed is decided by what holds now.
        let fresh = match self.look_again(job, &plan, row).await {
            Ok(fresh) => fresh,
            Err(error) if error.is_not_found() => return Ok(Some(SyncOutcome::NotHandled)),
            Err(error) => {
                job.untold("resource", error);
                return Ok(None);
            }
        };
        if !self.is_handled(&fresh.row) || fresh.row.backend_id.as_ref() != Some(&id) {
            return Ok(Some(SyncOutcome::NotHandled));
        }
        let Some(state) = fresh.states.get(&id).cloned().unwrap_or_else(|| Err(unanswered(&id)))? else {
            return Ok(Some(SyncOutcome::Missing));
        };
        if !is_ours(&state, row) {
            return Ok(Some(SyncOutcome::Foreign));
        }
        let (present, present_error) = present(&fresh.members, &id);
        let team = fresh.team.as_deref().or(sight.team);
        let sight = Sight { row: &fresh.row, state: &state, present, present_error, team };
        let mut plan = self.plan(pass, &sight);
        if fresh.team.is_none() {
            // Whoever came since the team was read may be in it by now.
            plan.members.remove.clear();
        }
        self.carry_out(job, &sight, plan).await;
        Ok(None)
    }

    /// Reads the resource, its object and its members again; the team too if anybody is to be removed, or to be added by
    /// a team that is old.
    async fn look_again(&self, job: &Job<'_>, plan: &Plan, row: &Resource) -> Result<Fresh> {
        let waldur = self.waldur(job.cx);
        let fresh = job.pass.teams.get(&team_key(row)).is_some_and(|team| team.is_fresh(self.environment().instant()));
        let anew = !plan.members.remove.is_empty() || !(plan.members.add.is_empty() || fresh);
        let team = async { if anew { Some(self.team(job.cx, &job.pass.accounts, row).await) } else { None } };
        let (row, on_backend, team) =
            join3(waldur.provider_resources().get(row.uuid), self.look_at(job.cx, &job.id, job.pass.scope), team).await;
        Ok(Fresh { row: row?, states: on_backend.0, members: on_backend.1, team })
    }

    pub(super) fn is_handled(&self, row: &Resource) -> bool {
        row.state.as_ref().is_none_or(|state| self.handled_states().contains(state))
    }

    async fn carry_out(&self, job: &mut Job<'_>, sight: &Sight<'_>, plan: Plan) {
        if job.pass.scope == Scope::Whole {
            self.sync_surroundings(job, sight.row).await;
        }
        let effective = self.sync_members(job, sight, &plan).await;
        if job.pass.scope == Scope::Whole {
            self.sync_status(job, sight.row, plan.status).await;
            self.sync_metadata(job, sight, plan.metadata).await;
            self.sync_limits(job, sight, plan.limits).await;
            self.sync_user_limits(job, sight, &effective).await;
        }
    }
}

/// Whether an object may be changed for a resource. What carries no stamp may be older than stamps.
pub(super) fn is_ours(state: &ResourceState, row: &Resource) -> bool {
    state.ownership(Stamp(row.uuid)).permits(Origin::Recorded)
}
