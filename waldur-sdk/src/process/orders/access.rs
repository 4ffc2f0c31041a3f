//! Who gets access to a new resource.

use futures_util::future::join;

use super::{FollowUp, Job, OrderProcessor};
use crate::{
    backend::{Capabilities, Grant, MarketplaceResource, MembershipPlan},
    client::{OfferingUser, OfferingUserQuery, OfferingUserState, Resource, TeamMember},
    error::Result,
    process::convert::{grant, key},
    rest::Complete,
    types::{ResourceUuid, UserUuid},
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
        let restricted = waldur.offering_users().list(&restricted).collect();
        let (team, restricted) = join(self.team_of(job, resource.uuid), restricted).await;
        let read = team.and_then(|team| Ok((team, restricted?.complete()?)));
        let (grants, all) = match read {
            Ok((team, restricted)) => {
                let grants = grants(&team, &restricted, self.backend().capabilities());
                let umask = self.policy().homedir_umask;
                let grants: Vec<Grant> = grants.into_iter().map(|grant| grant.with_umask(umask)).collect();
                let all = !team.is_empty() && grants.len() == team.len();
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

    async fn team_of(&self, job: &Job<'_>, resource: ResourceUuid) -> Result<Vec<TeamMember>> {
        let waldur = self.waldur(job.cx);
        let capabilities = self.backend().capabilities();
        let attempts = capabilities.team_fetch_attempts.max(1);
        let mut team = Vec::new();
        for attempt in 1..=attempts {
            let resources = waldur.provider_resources();
            let consented = capabilities.consented_users_only;
            let pager = if consented { resources.consented_team(resource) } else { resources.team(resource) };
            team = pager.collect().await?.into_items();
            if !team.is_empty() || attempt == attempts {
                break;
            }
            job.cx.pause(self.environment(), self.policy().team_fetch_delay).await?;
        }
        Ok(team)
    }

    /// Gives access. Whoever could not be given it is left to a membership sync; the order does not wait for that.
    pub(super) async fn grant_access(&self, job: &Job<'_>, side: &MarketplaceResource, team: &[Grant]) {
        let Some(members) = self.backend().members() else { return };
        let Some(id) = job.backend_id() else { return };
        if team.is_empty() {
            return;
        }
        let plan = MembershipPlan::additions(team.to_vec());
        let failures = match members.apply(job.cx, side, &id, &plan).await {
            Ok(outcomes) => outcomes.into_iter().filter_map(|outcome| outcome.result.err()).collect(),
            Err(error) => vec![error],
        };
        if !failures.is_empty() {
            job.follow_up(FollowUp::SyncMembers { resource: side.uuid, project: side.project.uuid });
        }
        for error in failures {
            job.warn("grant access", error);
        }
    }
}

/// The members of a team who have a name on the site and may use it now: all but those on `restricted`.
///
/// A server that knows no offering-user states (2024) sends none; a name is enough then.
fn grants(team: &[TeamMember], restricted: &Complete<OfferingUser>, capabilities: Capabilities) -> Vec<Grant> {
    let locked_out = |user: UserUuid| restricted.items().iter().any(|account| account.user_uuid == Some(user));
    team.iter()
        .filter(|member| !locked_out(member.uuid))
        .filter(|member| member.offering_user_state.as_ref().is_none_or(|state| *state == OfferingUserState::Ok))
        .filter_map(|member| Some(grant(member, key(member, capabilities)?, None)))
        .collect()
}
