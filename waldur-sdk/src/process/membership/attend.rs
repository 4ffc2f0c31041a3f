//! One resource on its way: seen, compared, seen again, changed.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
};

use futures_util::future::join4;

use super::{
    MembershipSync,
    diff::Diff,
    listed::ProjectAccounts,
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
    accounts: Option<Arc<ProjectAccounts>>,
}

impl Fresh {
    /// Of what is to be done now, who was to lose access before too: a name that only one reading is against may be
    /// right again in the next. By what was not read again, nobody comes who was not to come before: whoever had access
    /// then has lost it since.
    fn confirm(&self, before: &Diff, now: &mut Diff) {
        let went = |name: &String| before.remove.contains(name) || before.remove_accounts.contains(name);
        now.remove.retain(went);
        now.remove_accounts.retain(went);
        if self.team.is_none() {
            let names: HashSet<&str> = before.add.iter().map(|one| one.grant.username.as_str()).collect();
            now.add.retain(|candidate| names.contains(candidate.grant.username.as_str()));
        }
        if self.accounts.is_none() {
            now.add_accounts.retain(|name| before.add_accounts.contains(name));
        }
    }
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
        if pass.shared.contains_key(&id) || pass.elsewhere.contains(&id) {
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
        let overtaken = sight.team.is_some_and(|team| self.is_overtaken(row, team));
        if !(plan.writes() || overtaken) || self.policy().dry_run {
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
        let accounts = fresh.accounts.as_deref().unwrap_or(sight.accounts);
        let sight = Sight { row: &fresh.row, state: &state, present, present_error, team, accounts };
        let mut now = self.plan(pass, &sight);
        fresh.confirm(&plan.members, &mut now.members);
        self.carry_out(job, &sight, now).await;
        Ok(None)
    }

    /// Whether the members were settled by a newer team than this one since it was asked for: what it says of
    /// anybody's access or roles may have been taken back.
    pub(super) fn is_overtaken(&self, row: &Resource, team: &Roster) -> bool {
        self.remember(|memory| memory.led_by(row.uuid)) > team.asked
    }

    /// Reads the resource, its object and its members again; the team too if anybody is to be removed, or if it is old;
    /// the accounts that no person has, if they decide anything.
    async fn look_again(&self, job: &Job<'_>, plan: &Plan, row: &Resource) -> Result<Fresh> {
        let waldur = self.waldur(job.cx);
        let (now, members) = (self.environment().instant(), &plan.members);
        let read = job.pass.teams.get(&team_key(row));
        let fresh = read.is_none_or(|team| team.is_fresh(now) && !self.is_overtaken(row, team));
        let anew = !members.remove.is_empty() || !fresh;
        let team = async { if anew { Some(self.team(job.cx, &job.pass.accounts, row).await) } else { None } };
        let decisive =
            !(members.remove.is_empty() && members.remove_accounts.is_empty() && members.add_accounts.is_empty());
        let accounts = async { if decisive { Some(self.accounts_again(job).await) } else { None } };
        let look = self.look_at(job.cx, &job.id, job.pass.scope);
        let (row, on_backend, team, accounts) =
            join4(waldur.provider_resources().get(row.uuid), look, team, accounts).await;
        Ok(Fresh { row: row?, states: on_backend.0, members: on_backend.1, team, accounts })
    }

    /// The accounts that no person has, read again. What another resource of the pass has just read again will do.
    async fn accounts_again(&self, job: &Job<'_>) -> Arc<ProjectAccounts> {
        let (asked, again) = (self.environment().instant(), &job.pass.accounts_again);
        let read = again.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, accounts)) = read.filter(|(then, _)| asked.saturating_duration_since(*then) < Roster::FRESH) {
            return accounts;
        }
        // What cannot be read is a gap, and whatever waits for it is in the report.
        let (accounts, _) = self.project_accounts(job.cx).await;
        let accounts = Arc::new(accounts);
        *again.lock().unwrap_or_else(PoisonError::into_inner) = Some((asked, accounts.clone()));
        accounts
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
            if !job.pass.is_shared_elsewhere(sight.row) {
                self.sync_user_limits(job, sight, &effective).await;
            }
        }
    }
}

/// Whether an object may be changed for a resource. What carries no stamp may be older than stamps.
pub(super) fn is_ours(state: &ResourceState, row: &Resource) -> bool {
    state.ownership(Stamp(row.uuid)).permits(Origin::Recorded)
}
