//! Who has access: the plan held against the guards, and carried out.

use std::collections::BTreeMap;

use super::{
    MembershipSync,
    attend::Job,
    diff::{Candidate, personal},
    guard,
    plan::{Plan, Sight},
    report::{Change, HeldRemovals, HoldReason},
    statuses::Accesses,
};
use crate::{
    backend::{Grant, MemberChange, MemberDirectory, MemberOutcome, MembershipPlan},
    client::Resource,
    error::{Error, Result},
    process::{
        convert::marketplace,
        failure::{shielded, unsaid},
    },
    rest::Complete,
    types::Personal,
};

/// Where access to a resource is given and taken.
#[derive(Clone, Copy)]
pub(super) struct Directory<'a> {
    pub(super) members: &'a dyn MemberDirectory,
    pub(super) row: &'a Resource,
}

impl MembershipSync {
    /// Gives and takes access. Answers with those people who have it in the end.
    pub(super) async fn sync_members(&self, job: &mut Job<'_>, sight: &Sight<'_>, plan: &Plan) -> Vec<Candidate> {
        if let Some(team) = sight.team {
            job.report.skipped.clone_from(&team.skipped);
            match &team.gap {
                Some(error) if team.unread => job.untold("team", error.clone()),
                Some(gap) => job.warn("team", gap.clone()),
                None => {}
            }
        }
        let Some(members) = self.backend().members() else {
            return sight.team.map(|team| team.candidates.clone()).unwrap_or_default();
        };
        let Some(present) = sight.present else {
            if let Some(error) = sight.present_error.clone() {
                job.fail("members", error);
            }
            return Vec::new();
        };
        job.report.unmanaged = plan.members.unmanaged;
        self.lead(sight);
        let removals = self.believed(job, sight, plan, present.items().len());
        let mut accesses = Accesses::of(plan);
        let mut effective = plan.members.existing.clone();
        let directory = Directory { members, row: sight.row };
        let added = self.give_and_take(job, directory, plan, &removals, present, &mut accesses).await;
        effective
            .extend(plan.members.add.iter().filter(|candidate| added.contains(&candidate.grant.username)).cloned());
        let closed = Self::believed_accounts(job, sight, &plan.members.remove_accounts);
        self.sync_accounts(job, directory, &plan.members.add_accounts, &closed, present).await;
        self.reconcile(job, directory, &plan.members.existing, &mut accesses).await;
        self.tell_statuses(job, sight, &accesses).await;
        effective
    }

    /// Notes by which team the members are settled, so that nobody goes by an older one afterwards.
    pub(super) fn lead(&self, sight: &Sight<'_>) {
        if let Some(asked) = sight.team.filter(|team| !team.unread).and_then(|team| team.asked) {
            self.remember(|memory| memory.settled(sight.row.uuid, asked));
        }
    }

    /// The removals that may be carried out now. Those that may not are in the report.
    fn believed(&self, job: &mut Job<'_>, sight: &Sight<'_>, plan: &Plan, present: usize) -> Vec<String> {
        let removals = &plan.members.remove;
        let resource = sight.row.uuid;
        match self.objection(job, sight, removals, present) {
            None => {
                // Nothing is doubted, or no longer: what was seen before is refuted, or carried out.
                self.remember(|memory| memory.forget_removals(resource));
                removals.clone()
            }
            Some(reason) => {
                hold(job, removals, reason);
                Vec::new()
            }
        }
    }

    /// As [`Self::believed`], for accounts of no person.
    fn believed_accounts(job: &mut Job<'_>, sight: &Sight<'_>, removals: &[String]) -> Vec<String> {
        match unproven(job, sight).filter(|_| !removals.is_empty()) {
            None => removals.to_vec(),
            Some(reason) => {
                hold(job, removals, reason);
                Vec::new()
            }
        }
    }

    /// Why the removals are not carried out, if they are not (core.md §3.4 #4).
    fn objection(&self, job: &Job<'_>, sight: &Sight<'_>, removals: &[String], present: usize) -> Option<HoldReason> {
        if removals.is_empty() {
            return None;
        }
        if let Some(reason) = unproven(job, sight) {
            return Some(reason);
        }
        // Locked out by the resource's own word, whatever the lists say.
        let team = sight.team.filter(|_| sight.row.restrict_member_access != Some(true))?;
        let guard = &self.policy().removals;
        let reason = guard::suspicion(removals.len(), present, team.members, guard)
            .or_else(|| job.doubtful.then_some(HoldReason::TooManyOverall))?;
        if self.policy().dry_run {
            return Some(reason);
        }
        let now = self.environment().instant();
        let confirmed = self.remember(|memory| memory.confirms(sight.row.uuid, removals, now, guard.confirm_after));
        (!confirmed).then_some(reason)
    }

    /// Adds, then removes. Answers with the names that were added.
    pub(super) async fn give_and_take(
        &self,
        job: &mut Job<'_>,
        directory: Directory<'_>,
        plan: &Plan,
        removals: &[String],
        present: &Complete<String>,
        accesses: &mut Accesses,
    ) -> Vec<String> {
        let added: Vec<String> = plan.members.add.iter().map(|candidate| candidate.grant.username.clone()).collect();
        if added.is_empty() && removals.is_empty() {
            return Vec::new();
        }
        if self.policy().dry_run {
            (job.report.added, job.report.removed) = (personal(&added), personal(removals));
            return added;
        }
        job.cx.step("members");
        let grants: Vec<Grant> = plan.members.add.iter().map(|candidate| candidate.grant.clone()).collect();
        let change = MembershipPlan::additions(grants).and_remove(removals, present);
        let side = marketplace(directory.row, self.offering());
        match shielded(directory.members.apply(job.cx, &side, &job.id, &change)).await {
            Ok(outcomes) => Self::note(job, outcomes, &added, change.removals(), accesses),
            Err(error) => {
                job.fail("members", error);
                Vec::new()
            }
        }
    }

    /// Notes what became of each user: one user's failure is nobody else's, and not the resource's.
    fn note(
        job: &mut Job<'_>,
        outcomes: Vec<MemberOutcome>,
        added: &[String],
        removed: &[String],
        accesses: &mut Accesses,
    ) -> Vec<String> {
        let mut results = by_name(outcomes);
        let mut there = Vec::new();
        for name in added {
            match results.remove(name) {
                Some(Ok(_)) => {
                    job.report.added.push(Personal::from(name.as_str()));
                    there.push(name.clone());
                }
                Some(Err(error)) => {
                    accesses.failed(name, &error);
                    job.stumble("add member", error);
                }
                None => job.stumble("add member", unsaid()),
            }
        }
        let (removed, errors) = sorted(removed, &mut results);
        job.report.removed.extend(removed);
        for error in errors {
            job.stumble("remove member", error);
        }
        there
    }

    /// Accounts of services and courses: best effort, never the resource's failure (core.md §3.5).
    pub(super) async fn sync_accounts(
        &self,
        job: &mut Job<'_>,
        directory: Directory<'_>,
        add: &[String],
        remove: &[String],
        present: &Complete<String>,
    ) {
        if add.is_empty() && remove.is_empty() {
            return;
        }
        if self.policy().dry_run {
            job.report.added.extend(personal(add));
            job.report.removed.extend(personal(remove));
            return;
        }
        job.cx.step("accounts");
        let umask = self.policy().homedir_umask;
        let grants = add.iter().map(|name| Grant::new(name).with_umask(umask)).collect();
        let change = MembershipPlan::additions(grants).and_remove(remove, present);
        let side = marketplace(directory.row, self.offering());
        match shielded(directory.members.apply(job.cx, &side, &job.id, &change)).await {
            Ok(outcomes) => {
                let mut results = by_name(outcomes);
                let (added, not_added) = sorted(add, &mut results);
                let (removed, not_removed) = sorted(change.removals(), &mut results);
                job.report.added.extend(added);
                job.report.removed.extend(removed);
                for error in not_added.into_iter().chain(not_removed) {
                    job.stumble("account", error);
                }
            }
            Err(error) => job.stumble("accounts", error),
        }
    }

    /// Roles and whatever depends on them, of those who have access and keep it.
    pub(super) async fn reconcile(
        &self,
        job: &mut Job<'_>,
        directory: Directory<'_>,
        existing: &[Candidate],
        accesses: &mut Accesses,
    ) {
        if existing.is_empty() || self.policy().dry_run {
            return;
        }
        let grants: Vec<Grant> = existing.iter().map(|candidate| candidate.grant.clone()).collect();
        let side = marketplace(directory.row, self.offering());
        match shielded(directory.members.reconcile(job.cx, &side, &job.id, &grants)).await {
            Ok(outcomes) => {
                for MemberOutcome { username, result } in outcomes {
                    match result {
                        Ok(MemberChange::Unchanged) => {}
                        Ok(_) => job.report.changes.push(Change::Reconciled(Personal::from(username))),
                        Err(error) => {
                            accesses.failed(&username, &error);
                            job.stumble("reconcile member", error);
                        }
                    }
                }
            }
            Err(error) => job.fail("reconcile", error),
        }
    }
}

/// Why nobody is removed by what was read, if so. Whom the resource itself locks out, no list has to be asked about.
pub(super) fn unproven(job: &Job<'_>, sight: &Sight<'_>) -> Option<HoldReason> {
    if sight.elsewhere {
        let text = "another resource may have the same back-end id, and was not looked at";
        return Some(HoldReason::Incomplete(Error::not_ready(text)));
    }
    if let Some(gap) = job.pass.gap_of_sharers(sight.row) {
        return Some(HoldReason::Incomplete(gap));
    }
    if sight.row.restrict_member_access == Some(true) {
        return None;
    }
    let Some(team) = sight.team else {
        return Some(HoldReason::Incomplete(Error::not_ready("the team was not read")));
    };
    let gaps = [&team.gap, &job.pass.accounts.gap, &sight.accounts.gap];
    gaps.into_iter().flatten().next().cloned().map(HoldReason::Incomplete)
}

/// Tells who would have lost access, and why they do not.
pub(super) fn hold(job: &mut Job<'_>, names: &[String], reason: HoldReason) {
    let held = job.report.held.get_or_insert(HeldRemovals { usernames: Vec::new(), reason });
    held.usernames.extend(personal(names));
}

type Results = BTreeMap<String, Result<MemberChange>>;

fn by_name(outcomes: Vec<MemberOutcome>) -> Results {
    outcomes.into_iter().map(|MemberOutcome { username, result }| (username, result)).collect()
}

/// Those of the names for whom it was done, and why not for the others. About whom nothing is said, nothing is known.
fn sorted(names: &[String], results: &mut Results) -> (Vec<Personal>, Vec<Error>) {
    let (mut done, mut errors) = (Vec::new(), Vec::new());
    for name in names {
        match results.remove(name) {
            Some(Ok(_)) => done.push(Personal::from(name.as_str())),
            Some(Err(error)) => errors.push(error),
            None => errors.push(unsaid()),
        }
    }
    (done, errors)
}
