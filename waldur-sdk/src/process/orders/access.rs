//! Gives access to a new resource, and takes all access to one that has ended.

use std::{collections::BTreeMap, slice};

use futures_util::future::join;

use super::{FollowUp, Job, OrderProcessor};
use crate::{
    backend::{Capabilities, Grant, MarketplaceResource, MemberOutcome, MembershipPlan},
    client::{OfferingUserQuery, OfferingUserState, OfferingUserSummary, Resource, TeamMember},
    error::{Error, Result},
    process::{
        convert::{grant, key},
        failure::{shielded, unsaid},
    },
    rest::{Complete, Listing},
    types::{BackendId, ResourceUuid, UserUuid},
};

impl OrderProcessor {
    /// The people who are to have access at once. Read again while it comes back empty, as often as the back end asks.
    /// Whoever cannot be given access yet, and everybody after a failure, is left to a membership sync.
    pub(super) async fn team(&self, job: &Job<'_>, resource: &Resource) -> Vec<Grant> {
        if self.backend().members().is_none() || resource.restrict_member_access == Some(true) {
            return Vec::new();
        }
        let waldur = self.waldur(job.cx);
        // Those who are locked out are few; the accounts of a whole offering need not be.
        let restricted = OfferingUserQuery::offering(self.offering()).restricted(true);
        let restricted = waldur.offering_users().summaries(&restricted).collect();
        let (team, restricted) = join(self.team_of(job, resource.uuid), restricted).await;
        let read = team.and_then(|team| Ok((team, restricted?.complete()?)));
        let (grants, all) = match read {
            Ok((team, restricted)) => {
                let (team, _, gap) = team.into_parts();
                let grants = grants(&team, &restricted, self.backend().capabilities());
                let umask = self.policy().homedir_umask;
                let grants: Vec<Grant> = grants.into_iter().map(|grant| grant.with_umask(umask)).collect();
                let all = gap.is_none() && !team.is_empty() && grants.len() == team.len();
                if let Some(gap) = gap {
                    job.warn("team", gap);
                }
                (grants, all)
            }
            Err(error) => {
                job.warn("team", error);
                (Vec::new(), false)
            }
        };
        if !all {
            job.follow_up(FollowUp::SyncMembers { resource: resource.uuid, project: resource.project_uuid });
        }
        grants
    }

    async fn team_of(&self, job: &Job<'_>, resource: ResourceUuid) -> Result<Listing<TeamMember>> {
        let waldur = self.waldur(job.cx);
        let capabilities = self.backend().capabilities();
        let attempts = capabilities.team_fetch_attempts.max(1);
        let consented = capabilities.consented_users_only || self.policy().consented_users_only;
        let mut attempt = 1;
        loop {
            let resources = waldur.provider_resources();
            let pager = if consented { resources.consented_team(resource) } else { resources.team(resource) };
            let team = pager.collect().await?;
            if !team.items().is_empty() || attempt >= attempts {
                return Ok(team);
            }
            job.cx.pause(self.environment(), self.policy().team_fetch_delay).await?;
            attempt += 1;
        }
    }

    /// Gives access. Whoever could not be given it is left to a membership sync; the order does not wait for that.
    pub(super) async fn grant_access(&self, job: &Job<'_>, side: &MarketplaceResource, team: &[Grant]) {
        let Some(members) = self.backend().members() else { return };
        let Some(id) = job.backend_id() else { return };
        if team.is_empty() {
            return;
        }
        let plan = MembershipPlan::additions(team.to_vec());
        let failures = match shielded(members.apply(job.cx, side, &id, &plan)).await {
            Ok(outcomes) => failures(team.iter().map(|grant| grant.username.as_str()), outcomes),
            Err(error) => vec![error],
        };
        if !failures.is_empty() {
            job.follow_up(FollowUp::SyncMembers { resource: side.uuid, project: side.project.uuid });
        }
        for error in failures {
            job.warn("grant access", error);
        }
    }

    /// Takes everybody's access to an object that outlives its resource. This is waited for: no synchronisation looks at
    /// a terminated resource.
    pub(super) async fn take_access(&self, job: &Job<'_>, side: &MarketplaceResource, id: &BackendId) -> Result<()> {
        let Some(members) = self.backend().members() else { return Ok(()) };
        if self.backend().capabilities().skip_team_diff {
            return Ok(());
        }
        job.cx.step("take access");
        let mut lists = shielded(async { Ok(members.list(job.cx, slice::from_ref(id)).await) }).await?;
        let unanswered = || Err(Error::not_ready(format!("{id}: the back end did not say who has access")));
        let present = lists.remove(id).unwrap_or_else(unanswered)?;
        let spared = &self.policy().protected_usernames;
        let names: Vec<String> =
            present.items().iter().filter(|name| !spared.contains(name.as_str())).cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        let plan = MembershipPlan::default().and_remove(&names, &present);
        let outcomes = shielded(members.apply(job.cx, side, id, &plan)).await?;
        failures(names.iter().map(String::as_str), outcomes).into_iter().next().map_or(Ok(()), Err)
    }
}

/// What went wrong with those of `names` for whom it is not said that all went well.
fn failures<'a>(names: impl Iterator<Item = &'a str>, outcomes: Vec<MemberOutcome>) -> Vec<Error> {
    let results: BTreeMap<_, _> =
        outcomes.into_iter().map(|MemberOutcome { username, result }| (username, result)).collect();
    let failure = |name: &str| match results.get(name) {
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(error.clone()),
        None => Some(unsaid()),
    };
    names.filter_map(failure).collect()
}

/// The members of a team who have a name on the site and may use it now: all but those on `restricted`.
///
/// A server that knows no offering-user states (2024) sends none; a name is enough then.
fn grants(team: &[TeamMember], restricted: &Complete<OfferingUserSummary>, capabilities: Capabilities) -> Vec<Grant> {
    // A filter that the server does not know is ignored: what came is looked at.
    let is_locked_out = |account: &OfferingUserSummary| account.is_restricted != Some(false);
    let locked_out = |user: UserUuid| {
        restricted.items().iter().any(|account| account.user_uuid == Some(user) && is_locked_out(account))
    };
    team.iter()
        .filter(|member| !locked_out(member.uuid))
        .filter(|member| member.offering_user_state.as_ref().is_none_or(|state| *state == OfferingUserState::Ok))
        .filter_map(|member| Some(grant(member, key(member, capabilities)?, None)))
        .collect()
}
