//! Events: somebody's role changed, an account was made or closed, an attribute changed (core.md §3.10).
//!
//! An event may be late, doubled, or about something that has changed back since. So it says where to look, never what
//! is true. What is true is read, so events in any order lead to the same end. What failed is in the report's
//! [`follow_ups`](MembershipReport::follow_ups), for a full look later.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use futures_util::{StreamExt, future::join3, stream};

use super::{
    MembershipSync,
    attend::{Job, is_ours},
    diff::{Candidate, Diff},
    listed::Accounts,
    members::{Directory, hold, unproven},
    pass::{Around, Pass, Scope, sharers},
    plan::{Plan, Sight},
    report::{MembershipReport, ResourceSync, SkipReason, SyncOutcome},
    row::{Owner, RecordOf, Row},
    team::Roster,
};
use crate::{
    backend::{Grant, Inspection, OpContext, PassIds},
    client::{OfferingUserQuery, Resource},
    error::{Error, Result},
    process::{Warning, failure::shielded},
    types::{ProjectUuid, UserUuid},
};

/// What an event is about.
enum Subject {
    /// A person, and whether the event says that they lost a role.
    User(UserUuid, bool),
    /// An account that no person has, and whether the event says that it is gone.
    Account(String, bool),
}

impl MembershipSync {
    /// The roles of a person in a project changed. The team is read again: who is in it gets access, who is not loses
    /// it, whatever the event says. In a resource whose members are locked out, nobody has access. One exception: if
    /// the event says `granted` and the person is not in the team, nothing is taken now. The next full pass decides.
    ///
    /// # Errors
    /// When the back end is not ready, or the resources of the project cannot all be listed. Those that came are attended
    /// to all the same.
    pub async fn user_role_changed(
        &self,
        cx: &OpContext,
        user: UserUuid,
        project: ProjectUuid,
        granted: bool,
    ) -> Result<MembershipReport> {
        let mut report = MembershipReport::default();
        if self.backend().members().is_none() {
            return Ok(report);
        }
        self.must_be_ready(cx, &mut report).await?;
        let rows = self.of_project(cx, project, &mut report).await?;
        if rows.is_empty() {
            return attended(report);
        }
        let accounts = self.accounts_for(cx, user, &mut report).await;
        let pass = self.narrow_pass(cx, accounts, &rows, &mut report).await;
        let in_team = pass.teams.values().any(|team| team.candidates.iter().any(|one| one.user == user));
        if !in_team && !granted && self.names_of(&pass.accounts, user).is_empty() {
            // Nobody here knows the name any more: the whole team tells who is left over.
            self.sync(cx, rows, Scope::Members, &mut report).await;
        } else {
            self.attend_to(pass, rows, Subject::User(user, !granted), &mut report).await;
        }
        report.missing_features = self.remember(super::memory::Memory::take_untold);
        attended(report)
    }

    /// An account of a service or of a course was made, closed or, if `removed`, taken away. The lists are read again.
    ///
    /// # Errors
    /// When the back end is not ready, or the resources of the project cannot all be listed. Those that came are attended
    /// to all the same.
    pub async fn account_changed(
        &self,
        cx: &OpContext,
        project: ProjectUuid,
        username: &str,
        removed: bool,
    ) -> Result<MembershipReport> {
        let mut report = MembershipReport::default();
        let own_membership = self.backend().capabilities().skip_team_diff;
        if username.trim().is_empty() || self.backend().members().is_none() || own_membership {
            return Ok(report);
        }
        self.must_be_ready(cx, &mut report).await?;
        let rows = self.of_project(cx, project, &mut report).await?;
        if rows.is_empty() {
            return attended(report);
        }
        let pass = self.narrow_pass(cx, Accounts::default(), &rows, &mut report).await;
        self.attend_to(pass, rows, Subject::Account(username.to_owned(), removed), &mut report).await;
        report.missing_features = self.remember(super::memory::Memory::take_untold);
        attended(report)
    }

    /// What the offering is told of a person changed: the back end is told. `false` when there is nobody to tell, or
    /// the person has no usable account.
    ///
    /// # Errors
    /// When the account cannot be read, or the back end cannot be told.
    pub async fn sync_user_attributes(&self, cx: &OpContext, user: UserUuid) -> Result<bool> {
        let Some(members) = self.backend().members() else { return Ok(false) };
        let rows = self.list_accounts(cx, OfferingUserQuery::offering(self.offering()).user(user)).await?;
        let accounts = Accounts::new(rows.0, rows.1);
        let Some(account) = accounts.of(user) else { return Ok(false) };
        let bridged = self.backend().capabilities().identity_bridge;
        let key = if bridged { &account.user_username } else { &account.username };
        let leaving = account.state.as_ref().is_some_and(crate::client::OfferingUserState::is_leaving);
        let Some(key) = key.as_ref().filter(|_| !leaving) else { return Ok(false) };
        let mut grant = Grant::new(key.as_str()).with_umask(self.policy().homedir_umask);
        grant.cuid.clone_from(&account.user_username);
        grant.email.clone_from(&account.user_email);
        grant.full_name.clone_from(&account.user_full_name);
        grant.attributes.clone_from(&account.attributes);
        if !self.policy().dry_run {
            shielded(members.update_attributes(cx, &grant)).await?;
        }
        Ok(true)
    }

    /// A pass may leave everything to the next one. An event that is left is lost.
    async fn must_be_ready(&self, cx: &OpContext, report: &mut MembershipReport) -> Result<()> {
        self.is_ready(cx, report).await;
        report.not_ready.take().map_or(Ok(()), Err)
    }

    /// The accounts of one person; of everybody if that person still wants a name, which has to differ from all.
    async fn accounts_for(&self, cx: &OpContext, user: UserUuid, report: &mut MembershipReport) -> Accounts {
        let query = OfferingUserQuery::offering(self.offering()).user(user);
        let (rows, gap) = match self.list_accounts(cx, query).await {
            Ok(listing) => listing,
            Err(error) => {
                report.warnings.push(Warning { step: "accounts", error: error.clone() });
                return Accounts::unread(error);
            }
        };
        if self.0.usernames.is_some() && rows.iter().any(|account| account.username.is_none()) {
            let (accounts, usernames, warnings) = self.accounts(cx, Scope::Members).await;
            report.usernames = usernames;
            report.warnings.extend(warnings);
            return accounts;
        }
        let accounts = Accounts::new(rows, gap);
        self.learn(&accounts);
        accounts
    }

    /// A pass that has read the team of one project and the accounts that no person has. Objects and members are read
    /// in each resource's lane.
    async fn narrow_pass(
        &self,
        cx: &OpContext,
        accounts: Accounts,
        rows: &[Arc<Row>],
        report: &mut MembershipReport,
    ) -> Arc<Pass> {
        let owners = rows.iter().map(|row| row.owner()).collect();
        let teams = self.teams(cx, &accounts, owners, &[]);
        let (teams, (project_accounts, warnings), elsewhere) =
            join3(teams, self.project_accounts(cx), self.elsewhere(cx, rows)).await;
        report.warnings.extend(warnings);
        Arc::new(Pass {
            cx: cx.clone(),
            scope: Scope::Members,
            all: PassIds::new(Self::resource_ids(rows)),
            accounts,
            accounts_asked: self.environment().instant(),
            locked_out: Mutex::default(),
            project_accounts,
            teams,
            user_limits: None,
            shared: sharers(rows),
            elsewhere,
            accounts_again: Mutex::default(),
            backend: self.breaker(),
            projects: Mutex::default(),
        })
    }

    /// The names by which a person may have access.
    fn names_of(&self, accounts: &Accounts, user: UserUuid) -> BTreeSet<String> {
        let bridged = self.backend().capabilities().identity_bridge;
        let account = accounts.of(user);
        let name = account
            .and_then(|account| if bridged { account.user_username.as_ref() } else { account.username.as_ref() });
        let remembered = self.remember(|memory| memory.name_of(user));
        name.map(|name| name.as_str().to_owned()).into_iter().chain(remembered).collect()
    }

    async fn attend_to(&self, pass: Arc<Pass>, rows: Vec<Arc<Row>>, subject: Subject, report: &mut MembershipReport) {
        let subject = Arc::new(subject);
        let mut resources: Vec<ResourceSync> = stream::iter(rows)
            .map(|row| {
                let (this, pass, subject, resource) = (self.clone(), pass.clone(), subject.clone(), row.uuid());
                let work = async move {
                    let cx = pass.cx.child(resource.hex());
                    this.attend_in_lane(&cx, &pass, &row.whole(), &subject).await
                };
                async move { self.0.served.lanes.run(resource, work).await }
            })
            .buffer_unordered(self.concurrency())
            .collect()
            .await;
        resources.sort_by_key(|resource| resource.resource);
        report.resources = resources;
    }

    async fn attend_in_lane(&self, cx: &OpContext, pass: &Pass, row: &Resource, subject: &Subject) -> ResourceSync {
        let report = ResourceSync::new(row);
        let Some(id) = row.backend_id.clone() else {
            return ResourceSync { outcome: SyncOutcome::NotHandled, ..report };
        };
        let mut job = Job::new(cx, pass, id, report);
        match shielded(self.settle(&mut job, row, subject)).await {
            Ok(Some(outcome)) => job.report.outcome = outcome,
            Ok(None) => Self::conclude_event(&mut job),
            Err(error) => {
                job.failures.push(error);
                Self::conclude_event(&mut job);
            }
        }
        job.report
    }

    /// An event makes nothing erred and counts as no failure: the next pass looks again at what failed.
    fn conclude_event(job: &mut Job<'_>) {
        let error = job.failures.first().or(job.untold.as_ref()).cloned();
        let held = job.report.held.as_ref().map(|_| Error::not_ready("a removal waits for a full look"));
        let failed = job.report.warnings.first().map(|warning| warning.error.clone());
        if let Some(error) = error.or(failed).or(held) {
            job.report.outcome = SyncOutcome::Deferred(error);
        }
    }

    async fn settle(&self, job: &mut Job<'_>, row: &Resource, subject: &Subject) -> Result<Option<SyncOutcome>> {
        job.cx.checkpoint()?;
        let (pass, id) = (job.pass, job.id.clone());
        let records = RecordOf { resource: row, offering: self.offering() };
        let aspects = self.aspects(Scope::Members);
        let inspection = Inspection::of(std::slice::from_ref(&id), aspects).with_records(&records);
        let reading = self.look(job.cx, Scope::Members, &inspection).await;
        let mut team = pass.teams.get(&Owner::of(row).key()).cloned();
        if team.as_deref().is_some_and(|team| self.is_overtaken(row, team)) {
            team = Some(self.team(job.cx, &pass.accounts, Owner::of(row)).await);
        }
        let elsewhere = pass.elsewhere.contains(&id);
        let around = Around { team: team.as_deref(), accounts: &pass.project_accounts, elsewhere };
        let Some(mut sight) = reading.sight(row, &id, around)? else { return Ok(Some(SyncOutcome::Missing)) };
        let respelt = self.respelt(pass, row, around, sight.present);
        sight.present = respelt.as_ref().or(sight.present);
        if !is_ours(sight.state, row) {
            return Ok(Some(SyncOutcome::Foreign));
        }
        let Some(present) = sight.present else {
            self.sync_members(job, &sight, &Plan::default()).await;
            return Ok(None);
        };
        let mut members = self.diff_of(job, &sight, present.items(), subject);
        // An id that became another resource's as well since the last whole pass is seen before anybody goes.
        if members.removes() && self.has_other_owner(job.cx, pass, row).await {
            sight.elsewhere = true;
            job.report.skipped.clear();
            members = self.diff_of(job, &sight, present.items(), subject);
        }
        self.apply_event(job, &sight, members).await;
        Ok(None)
    }

    fn diff_of(&self, job: &mut Job<'_>, sight: &Sight<'_>, present: &[String], subject: &Subject) -> Diff {
        match subject {
            Subject::User(user, revoked) => self.diff_of_user(job, sight, present, *user, *revoked),
            Subject::Account(name, removed) => self.diff_of_account(job, sight, present, name, *removed),
        }
    }

    async fn apply_event(&self, job: &mut Job<'_>, sight: &Sight<'_>, members: Diff) {
        let plan = Plan { members, ..Plan::default() };
        let (Some(members), Some(present)) = (self.backend().members(), sight.present) else { return };
        let directory = Directory { members, row: sight.row };
        self.lead(sight);
        let removals = plan.members.remove.clone();
        let mut accesses = super::statuses::Accesses::of(&plan);
        self.give_and_take(job, directory, &plan, &removals, present, &mut accesses).await;
        self.sync_accounts(job, directory, &plan.members.add_accounts, &plan.members.remove_accounts, present).await;
        self.reconcile(job, directory, &plan.members.existing, &mut accesses).await;
    }

    fn diff_of_user(
        &self,
        job: &mut Job<'_>,
        sight: &Sight<'_>,
        present: &[String],
        user: UserUuid,
        revoked: bool,
    ) -> Diff {
        let mut diff = Diff::default();
        if self.backend().capabilities().skip_team_diff {
            return diff;
        }
        let Some(team) = sight.team else { return diff };
        let restricted = sight.row.restrict_member_access == Some(true);
        let candidate = team.candidates.iter().find(|candidate| candidate.user == user);
        if let (Some(candidate), false) = (candidate, restricted) {
            let is_there = present.contains(&candidate.grant.username);
            let place = if is_there { &mut diff.existing } else { &mut diff.add };
            place.push(candidate.clone());
            return diff;
        }
        let skipped = team.skipped.iter().find(|skipped| skipped.user == user);
        job.report.skipped.extend(skipped.cloned());
        let locked_out = restricted || skipped.is_some_and(|skipped| says_no(skipped.reason));
        if !revoked && !locked_out {
            // Not seen to be in the team, or to have a name, by lists that may lack just that.
            if let Some(gap) = team.gap.as_ref().or(job.pass.accounts.gap.as_ref()) {
                job.untold("team", gap.clone());
            }
            return diff;
        }
        let names = self.removable(job, sight, team, self.names_of(&job.pass.accounts, user), present);
        match unproven(job, sight).filter(|_| !names.is_empty()) {
            Some(reason) => hold(job, &names, reason),
            None => diff.remove = names,
        }
        diff
    }

    /// Those of the names that are there, and that nothing but the person speaks for.
    fn removable(
        &self,
        job: &Job<'_>,
        sight: &Sight<'_>,
        team: &Roster,
        names: BTreeSet<String>,
        present: &[String],
    ) -> Vec<String> {
        let restricted = sight.row.restrict_member_access == Some(true);
        let accounts = sight.accounts.of(sight.row.project_uuid);
        let shared = job.pass.names_of_sharers(sight.row);
        let is_wanted = |name: &String| {
            let of_team = team.candidates.iter().any(|candidate: &Candidate| candidate.grant.username == *name);
            let of_account = accounts.active.contains(name) || accounts.other.contains(name);
            (!restricted && (of_team || of_account))
                || self.policy().protected_usernames.contains(name.as_str())
                || shared.contains(name)
        };
        names.into_iter().filter(|name| present.contains(name) && !is_wanted(name)).collect()
    }

    fn diff_of_account(
        &self,
        job: &mut Job<'_>,
        sight: &Sight<'_>,
        present: &[String],
        name: &str,
        removed: bool,
    ) -> Diff {
        let mut diff = Diff::default();
        let name = name.to_owned();
        let of_project = sight.accounts.of(sight.row.project_uuid);
        let restricted = sight.row.restrict_member_access == Some(true);
        let is_there = present.contains(&name);
        let active = of_project.active.contains(&name);
        if active && !restricted {
            if !is_there {
                diff.add_accounts.push(name);
            }
            return diff;
        }
        let gone = of_project.closed.contains(&name) || (removed && !of_project.other.contains(&name));
        if !is_there || !(active || gone) {
            if let Some(gap) = sight.accounts.gap.clone().filter(|_| !removed && !active) {
                job.untold("accounts", gap);
            }
            return diff;
        }
        let of_team =
            !restricted && sight.team.is_some_and(|team| team.candidates.iter().any(|one| one.grant.username == name));
        let spared = self.policy().protected_usernames.contains(name.as_str())
            || job.pass.names_of_sharers(sight.row).contains(&name);
        match unproven(job, sight) {
            _ if of_team || spared => {}
            None => diff.remove_accounts.push(name),
            Some(reason) => hold(job, &[name], reason),
        }
        diff
    }
}

/// An event that did not reach all resources is to come again: the report names only those that were listed.
fn attended(mut report: MembershipReport) -> Result<MembershipReport> {
    report.listing_gap.take().map_or(Ok(report), Err)
}

/// Whether the reason for which somebody has no access speaks against their keeping it.
fn says_no(reason: SkipReason) -> bool {
    matches!(reason, SkipReason::Restricted | SkipReason::Leaving)
}
