//! Telling Waldur how far the access of each member is (core.md §1.6 #40), where the offering wants to know.

use std::collections::BTreeMap;

use super::{
    MembershipSync,
    attend::Job,
    diff::Candidate,
    plan::{Plan, Sight},
    report::{Change, SkipReason},
};
use crate::{
    client::{Feature, MemberState, MemberStatus},
    error::{Error, ErrorKind},
    types::UserUuid,
};

/// The plug-in option by which an offering wants to be told.
const OPTION: &str = "enable_membership_sync_status";

/// How far the access of those is who may have it.
pub(super) struct Accesses(BTreeMap<String, (Candidate, MemberState, Option<String>)>);

impl Accesses {
    /// All well so far.
    pub(super) fn of(plan: &Plan) -> Self {
        let everybody = plan.members.existing.iter().chain(&plan.members.add).cloned();
        Self(everybody.map(|one| (one.grant.username.clone(), (one, MemberState::Synced, None))).collect())
    }

    /// One member's access could not be given. Why is told only in words made for customers.
    pub(super) fn failed(&mut self, name: &str, error: &Error) {
        if let Some((_, state, message)) = self.0.get_mut(name) {
            *state = match error.kind() {
                ErrorKind::NotFound => MemberState::MissingInIdp,
                _ if error.is_passing() => MemberState::Pending,
                _ => MemberState::Error,
            };
            *message = error.customer_message().map(str::to_owned);
        }
    }

    fn statuses(&self, sight: &Sight<'_>) -> Vec<MemberStatus> {
        let mut statuses = Vec::new();
        for (candidate, state, message) in self.0.values() {
            for role in &candidate.grant.roles {
                let status = MemberStatus::new(candidate.user, role, state.clone());
                statuses.push(MemberStatus { message: message.clone(), ..status });
            }
        }
        let waiting = sight.team.into_iter().flat_map(|team| &team.skipped);
        for member in waiting.filter(|member| member.reason == SkipReason::NoName) {
            statuses.push(pending(member.user));
        }
        statuses
    }
}

fn pending(user: UserUuid) -> MemberStatus {
    MemberStatus::new(user, "", MemberState::Pending)
}

impl MembershipSync {
    /// Tells how far the access of the members is, where that changed since it was told last.
    pub(super) async fn tell_statuses(&self, job: &mut Job<'_>, sight: &Sight<'_>, accesses: &Accesses) {
        if !sight.row.offering_plugin_options.flag(OPTION)
            || self.lacks(Feature::MembershipSyncStatuses)
            || self.policy().dry_run
        {
            return;
        }
        let statuses = accesses.statuses(sight);
        let resource = sight.row.uuid;
        if self.remember(|memory| memory.told_statuses(resource) == Some(&statuses)) {
            return;
        }
        let told = self.waldur(job.cx).provider_resources().set_membership_sync_statuses(resource, &statuses).await;
        match told {
            Ok(_stored) => {
                self.remember(|memory| memory.learn_statuses(resource, statuses));
                job.report.changes.push(Change::Statuses);
            }
            Err(error) if self.is_missing(&error) => {}
            Err(error) => job.warn("member statuses", error),
        }
    }
}
