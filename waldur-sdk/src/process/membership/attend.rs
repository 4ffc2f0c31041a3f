//! One resource on its way: seen and compared in its first turn; seen again and changed in its second, if need be.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
};

use futures_util::future::join5;

use super::{
    MembershipSync,
    diff::Diff,
    guard::Tally,
    listed::ProjectAccounts,
    pass::{Around, Pass, Portion, Reading, Scope},
    plan::{Plan, Sight},
    report::{ResourceSync, SyncOutcome},
    row::{Owner, RecordOf, Row},
    team::Roster,
};
use crate::{
    backend::{Inspection, OpContext, Origin, ResourceState, Stamp},
    client::Resource,
    error::{Error, ErrorKind, Result},
    process::{Warning, failure::shielded},
    rest::Complete,
    types::{BackendId, Personal, ResourceUuid},
};

/// One resource in work: what is to be told about it, and what failed.
pub(super) struct Job<'a> {
    pub(super) cx: &'a OpContext,
    pub(super) pass: &'a Pass,
    pub(super) id: BackendId,
    pub(super) report: ResourceSync,
    /// What failed on the back end's side.
    pub(super) failures: Vec<Error>,
    /// What failed on the back end's side about somebody alone.
    pub(super) stumbled: Option<Error>,
    /// What Waldur could not be asked or told.
    pub(super) untold: Option<Error>,
    /// Whether so many would lose access to anything that none is believed at first sight.
    pub(super) doubtful: bool,
    pub(super) access: Access,
}

impl<'a> Job<'a> {
    pub(super) fn new(cx: &'a OpContext, pass: &'a Pass, id: BackendId, report: ResourceSync) -> Self {
        let access = Access::default();
        Self { cx, pass, id, report, failures: Vec::new(), stumbled: None, untold: None, doubtful: false, access }
    }

    /// Something beside the resource went wrong: it is not held up by that.
    pub(super) fn warn(&mut self, step: &'static str, error: Error) {
        self.report.warnings.push(Warning { step, error });
    }

    /// The back end failed at something beside the resource.
    pub(super) fn stumble(&mut self, step: &'static str, error: Error) {
        self.stumbled.get_or_insert(error.clone());
        self.warn(step, error);
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

/// What came of a resource's first turn.
pub(super) struct Seen {
    pub(super) turn: Turn,
    pub(super) tally: Tally,
}

/// How far a resource is after its first turn.
pub(super) enum Turn {
    /// In step, or nothing can be done about it in this pass.
    Over(Attended),
    /// Something is to be written: that waits until all resources were seen.
    Due(Due),
}

/// A resource at the end of its turns.
pub(super) struct Attended {
    pub(super) report: ResourceSync,
    pub(super) access: Access,
}

/// Who has access to a resource at the end of its turns.
#[derive(Debug, Default)]
pub(super) enum Access {
    #[default]
    Unknown,
    Nobody,
    These(Vec<String>),
}

/// A resource about which something is to be written, in as few words as its second turn needs.
pub(super) struct Due {
    row: Arc<Row>,
    before: Names,
    team: Option<Arc<Roster>>,
    access: Access,
}

impl Due {
    pub(super) fn resource(&self) -> ResourceUuid {
        self.row.uuid()
    }

    /// So many teams are kept until the second turns, of more they are read again: a pass that changes thousands of
    /// resources outlasts the time for which a team is good anyway.
    const TEAMS: usize = 1000;

    pub(super) fn without_team_beyond(self, before: usize) -> Self {
        Self { team: self.team.filter(|_| before < Self::TEAMS), ..self }
    }
}

/// Whom and what the first look was for and against.
struct Names {
    add: Vec<String>,
    remove: Vec<String>,
    add_accounts: Vec<String>,
    remove_accounts: Vec<String>,
    /// Whether the object as a whole is to be changed, which is as much the others' that have it.
    object: bool,
}

impl From<Plan> for Names {
    fn from(plan: Plan) -> Self {
        let limits = plan.limits.is_ok_and(|limits| limits.to_backend.is_some());
        let object = plan.status.is_some() || limits || plan.upkeep;
        let Diff { add, remove, add_accounts, remove_accounts, .. } = plan.members;
        let add = add.into_iter().map(|candidate| candidate.grant.username).collect();
        Self { add, remove, add_accounts, remove_accounts, object }
    }
}

impl Names {
    fn removes(&self) -> bool {
        !(self.remove.is_empty() && self.remove_accounts.is_empty())
    }
}

/// An end of the first look.
enum Look {
    Ended(SyncOutcome),
    InStep,
    Due(Names, Option<Arc<Roster>>),
}

/// A resource that was read again.
struct Fresh {
    row: Resource,
    reading: Reading,
    team: Option<Arc<Roster>>,
    accounts: Option<Arc<ProjectAccounts>>,
    /// Whether another resource has the back-end id by now, or may have.
    elsewhere: bool,
    /// Why nobody may come, if so: it cannot be found out who was locked out since the accounts were listed.
    closed: Option<Error>,
}

impl Fresh {
    /// Of what is to be done now, who was to lose access before too: a name that only one reading is against may be
    /// right again in the next. By what was not read again, nobody comes who was not to come before: whoever had access
    /// then has lost it since.
    fn confirm(&self, before: &Names, now: &mut Diff) {
        let went = |name: &String| before.remove.contains(name) || before.remove_accounts.contains(name);
        now.remove.retain(went);
        now.remove_accounts.retain(went);
        if self.closed.is_some() {
            now.add.clear();
        } else if self.team.is_none() {
            let names: HashSet<&str> = before.add.iter().map(String::as_str).collect();
            now.add.retain(|candidate| names.contains(candidate.grant.username.as_str()));
        }
        if self.accounts.is_none() {
            now.add_accounts.retain(|name| before.add_accounts.contains(name));
        }
    }
}

impl MembershipSync {
    /// Looks at one resource, in its lane. What is in step is kept so; what is not waits for its second turn.
    pub(super) async fn see(&self, pass: Arc<Pass>, portion: Arc<Portion>, row: Arc<Row>) -> Seen {
        let (this, resource) = (self.clone(), row.uuid());
        let work = async move {
            let cx = pass.cx.child(resource.hex());
            this.first_turn(&cx, &pass, &portion, row).await
        };
        self.0.served.lanes.run(resource, work).await
    }

    /// Brings a resource in step, in its lane. `doubtful` says that so many would lose access to anything that none is
    /// believed at first sight.
    pub(super) async fn settle_due(&self, pass: Arc<Pass>, due: Due, doubtful: bool) -> Attended {
        let (this, resource) = (self.clone(), due.row.uuid());
        if let Some(reason) = self.is_over(&pass) {
            self.remember(|memory| memory.left_over(resource));
            let outcome = SyncOutcome::Deferred(reason);
            let report = ResourceSync { outcome, ..ResourceSync::new(&due.row.whole()) };
            return Attended { report, access: due.access };
        }
        let work = async move {
            let cx = pass.cx.child(resource.hex());
            this.second_turn(&cx, &pass, due, doubtful).await
        };
        self.0.served.lanes.run(resource, work).await
    }

    async fn first_turn(&self, cx: &OpContext, pass: &Pass, portion: &Portion, row: Arc<Row>) -> Seen {
        let whole = row.whole();
        let mut tally = Tally::default();
        let Some(mut job) = Self::job(cx, pass, &whole) else {
            return Seen { turn: Turn::Over(unhandled(&whole)), tally };
        };
        let present = portion.reading.members.get(&job.id).and_then(|present| present.as_ref().ok());
        self.note_access(&mut job, present);
        let look = async {
            cx.checkpoint()?;
            pass.backend.cause().map_or(Ok(()), Err)?;
            self.first_look(&mut job, portion, &whole, &mut tally).await
        };
        let end = match shielded(look).await {
            Ok(Look::Due(before, team)) => {
                pass.backend.note(None);
                let due = Due { row, before, team, access: job.access };
                return Seen { turn: Turn::Due(due), tally };
            }
            Ok(Look::InStep) => Ok(None),
            Ok(Look::Ended(outcome)) => Ok(Some(outcome)),
            Err(error) => Err(error),
        };
        Seen { turn: Turn::Over(self.end(job, &whole, end).await), tally }
    }

    async fn second_turn(&self, cx: &OpContext, pass: &Pass, mut due: Due, doubtful: bool) -> Attended {
        let whole = due.row.whole();
        let Some(mut job) = Self::job(cx, pass, &whole) else { return unhandled(&whole) };
        (job.doubtful, job.access) = (doubtful, std::mem::take(&mut due.access));
        let work = async {
            cx.checkpoint()?;
            self.second_look(&mut job, &due, &whole).await
        };
        let end = shielded(work).await;
        self.end(job, &whole, end).await
    }

    fn job<'a>(cx: &'a OpContext, pass: &'a Pass, row: &Resource) -> Option<Job<'a>> {
        let id = row.backend_id.clone()?;
        let mut report = ResourceSync::new(row);
        if pass.shared.contains_key(&id) || pass.elsewhere.contains(&id) {
            let text = format!("more than one resource has the back-end id {id}");
            report.warnings.push(Warning { step: "backend id", error: Error::new(ErrorKind::Inconsistent, text) });
        }
        Some(Job::new(cx, pass, id, report))
    }

    /// What the turns came to. `Some` is an end without any steps.
    async fn end(&self, mut job: Job<'_>, row: &Resource, end: Result<Option<SyncOutcome>>) -> Attended {
        match end {
            Ok(Some(outcome)) => job.report.outcome = outcome,
            Ok(None) => self.conclude(&mut job, row).await,
            Err(error) => {
                job.failures.push(error);
                self.conclude(&mut job, row).await;
            }
        }
        let failures = job.failures.iter().chain(&job.stumbled);
        job.pass.backend.note(failures.clone().find(|error| is_of_service(error)).or(failures.clone().next()));
        Attended { report: job.report, access: job.access }
    }

    async fn first_look(
        &self,
        job: &mut Job<'_>,
        portion: &Portion,
        row: &Resource,
        tally: &mut Tally,
    ) -> Result<Look> {
        let (pass, id) = (job.pass, job.id.clone());
        let team = portion.teams.get(&Owner::of(row).key());
        let elsewhere = pass.elsewhere.contains(&id);
        let around = Around { team: team.map(|team| &**team), accounts: &pass.project_accounts, elsewhere };
        let Some(mut sight) = portion.reading.sight(row, &id, around)? else {
            job.access = Access::Nobody;
            return Ok(Look::Ended(SyncOutcome::Missing));
        };
        let respelt = self.respelt(pass, row, around, sight.present);
        sight.present = respelt.as_ref().or(sight.present);
        if !is_ours(sight.state, row) {
            job.access = Access::Nobody;
            return Ok(Look::Ended(SyncOutcome::Foreign));
        }
        let told = self.with_keys_minded(job, row, sight.state).await;
        let sight = Sight { state: &told, ..sight };
        let mut plan = self.plan(pass, &sight);
        plan.upkeep = self.is_behind(job, &sight).await;
        tally.note(&sight, &plan.members);
        let overtaken = sight.team.is_some_and(|team| self.is_overtaken(row, team));
        if plan.writes() || overtaken {
            return Ok(Look::Due(plan.into(), team.cloned()));
        }
        self.carry_out(job, &sight, plan).await;
        Ok(Look::InStep)
    }

    /// What is to be changed is decided by what holds now: the lists are as old as the pass.
    async fn second_look(&self, job: &mut Job<'_>, due: &Due, row: &Resource) -> Result<Option<SyncOutcome>> {
        let (pass, id) = (job.pass, job.id.clone());
        let fresh = match self.look_again(job, due, row).await {
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
        let team = fresh.team.as_deref().or(due.team.as_deref());
        let accounts = fresh.accounts.as_deref().unwrap_or(&pass.project_accounts);
        let around = Around { team, accounts, elsewhere: fresh.elsewhere };
        let Some(mut sight) = fresh.reading.sight(&fresh.row, &id, around)? else {
            job.access = Access::Nobody;
            return Ok(Some(SyncOutcome::Missing));
        };
        let respelt = self.respelt(pass, &fresh.row, around, sight.present);
        sight.present = respelt.as_ref().or(sight.present);
        if !is_ours(sight.state, row) {
            job.access = Access::Nobody;
            return Ok(Some(SyncOutcome::Foreign));
        }
        let told = self.with_keys_minded(job, &fresh.row, sight.state).await;
        let sight = Sight { state: &told, ..sight };
        let mut now = self.plan(pass, &sight);
        fresh.confirm(&due.before, &mut now.members);
        if let Some(error) = &fresh.closed {
            job.untold("accounts", error.clone());
        }
        self.carry_out(job, &sight, now).await;
        Ok(None)
    }

    /// Whether the members were settled by a newer team than this one since it was asked for: what it says of
    /// anybody's access or roles may have been taken back.
    pub(super) fn is_overtaken(&self, row: &Resource, team: &Roster) -> bool {
        self.remember(|memory| memory.led_by(row.uuid)) > team.asked
    }

    /// Reads the resource, its object and its members again; the team too if anybody is to be removed, or if it is old;
    /// the accounts that no person has, if they decide anything; before anybody is removed or the object is changed,
    /// whether the back-end id is still this resource's alone; and before anybody comes by a list of accounts that is
    /// old, who is locked out by now.
    async fn look_again(&self, job: &Job<'_>, due: &Due, row: &Resource) -> Result<Fresh> {
        let waldur = self.waldur(job.cx);
        let (now, before) = (self.environment().instant(), &due.before);
        let is_good = |team: &Arc<Roster>| team.is_fresh(now) && !self.is_overtaken(row, team);
        let old = now.saturating_duration_since(job.pass.accounts_asked) >= Roster::FRESH;
        let adds_by_old = old && !before.add.is_empty();
        let anew =
            self.reads_teams() && (adds_by_old || !before.remove.is_empty() || !due.team.as_ref().is_some_and(is_good));
        let team = async {
            if !anew {
                return (None, None);
            }
            let locked_out = if old { self.locked_out(job.cx, job.pass).await } else { Ok(Arc::default()) };
            let (locked_out, closed) = locked_out.map_or_else(|error| (Arc::default(), Some(error)), |all| (all, None));
            let (accounts, owner) = (&job.pass.accounts, Owner::of(row));
            (Some(self.team_again(job.cx, accounts, owner, &before.remove, locked_out).await), closed)
        };
        let decisive = before.removes() || !before.add_accounts.is_empty();
        let accounts = async { if decisive { Some(self.accounts_again(job).await) } else { None } };
        let elsewhere = async {
            let asks = before.removes() || before.object;
            job.pass.elsewhere.contains(&job.id) || (asks && self.has_other_owner(job.cx, job.pass, row).await)
        };
        let ids = std::slice::from_ref(&job.id);
        let records = RecordOf { resource: row, offering: self.offering() };
        let (scope, aspects) = (job.pass.scope, self.aspects(job.pass.scope));
        let inspection = Inspection::of(ids, aspects).with_records(&records);
        let look = self.look(job.cx, scope, &inspection);
        let (fresh, mut reading, (team, closed), accounts, elsewhere) =
            join5(waldur.provider_resources().get(row.uuid), look, team, accounts, elsewhere).await;
        let fresh = fresh?;
        // What is to be published may depend on what is.
        if fresh.backend_metadata != row.backend_metadata && scope == Scope::Whole {
            let records = RecordOf { resource: &fresh, offering: self.offering() };
            let inspection = Inspection::of(ids, aspects).with_records(&records);
            reading = self.look(job.cx, scope, &inspection).await;
        }
        Ok(Fresh { row: fresh, reading, team, accounts, elsewhere, closed })
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
        let whole = job.pass.scope == Scope::Whole;
        if whole {
            for warning in &sight.state.warnings {
                job.warn("inspect", warning.clone());
            }
            self.sync_surroundings(job, sight).await;
        }
        let effective = self.sync_members(job, sight, &plan).await;
        self.note_access(job, sight.present);
        if whole {
            self.sync_status(job, sight.row, plan.status).await;
            self.sync_metadata(job, sight, plan.metadata).await;
            self.sync_limits(job, sight, plan.limits).await;
            if !sight.elsewhere {
                self.sync_user_limits(job, sight, &effective).await;
            }
        }
    }

    /// Notes who has access now, where somebody wants to know at the end of the pass.
    fn note_access(&self, job: &mut Job<'_>, present: Option<&Complete<String>>) {
        if self.backend().members().is_none() {
            // A back end without members gives nobody access that could be left over.
            job.access = Access::Nobody;
        } else if let Some(present) = present.filter(|_| self.drives_deletion()) {
            let gone: HashSet<&str> = job.report.removed.iter().map(Personal::as_str).collect();
            let present = present.items().iter().filter(|name| !gone.contains(name.as_str()));
            job.access = Access::These(present.cloned().collect());
        }
    }
}

/// A resource that is not kept in step.
fn unhandled(row: &Resource) -> Attended {
    let report = ResourceSync { outcome: SyncOutcome::NotHandled, ..ResourceSync::new(row) };
    Attended { report, access: Access::Unknown }
}

/// Whether a failure says something of the back end, and nothing of the resource.
fn is_of_service(error: &Error) -> bool {
    error.is_outage() || error.kind() == ErrorKind::Unauthenticated
}

/// Whether an object may be changed for a resource. What carries no stamp may be older than stamps.
pub(super) fn is_ours(state: &ResourceState, row: &Resource) -> bool {
    state.ownership(Stamp(row.uuid)).permits(Origin::Recorded)
}
