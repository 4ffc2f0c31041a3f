//! Who is in a project (core.md §3.2).

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join, stream};

use super::{
    MembershipSync,
    diff::Candidate,
    listed::{Accounts, Again, People},
    report::SkippedMember,
    row::Owner,
};
use crate::{
    backend::OpContext,
    client::{ResourceQuery, ResourceState, TeamMember},
    error::{Error, Result},
    rest::Listing,
    types::UserUuid,
};

/// The team of a project: one entry for each member and role.
#[derive(Clone, Debug, Default)]
pub(super) struct Team {
    pub(super) members: Vec<TeamMember>,
    /// Why the list is not proven whole, if it is not.
    pub(super) gap: Option<Error>,
}

/// A team, sorted into those who may have access and those who may not.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// By name.
    pub(super) candidates: Vec<Candidate>,
    pub(super) skipped: Vec<SkippedMember>,
    /// How many entries the team has, whoever they are.
    pub(super) members: usize,
    /// Why the team is not proven whole, if it is not.
    pub(super) gap: Option<Error>,
    /// Whether it could not be read at all.
    pub(super) unread: bool,
    /// When it was asked for.
    pub(super) asked: Option<Instant>,
}

impl Roster {
    /// For how long a team is good enough to give access by. Longer ago, somebody may have lost a role meanwhile and
    /// been removed after an event; they would come back until the next pass.
    pub(super) const FRESH: Duration = Duration::from_secs(10);

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < Self::FRESH)
    }
}

impl From<Listing<TeamMember>> for Team {
    fn from(listing: Listing<TeamMember>) -> Self {
        let (members, _, gap) = listing.into_parts();
        Self { members, gap }
    }
}

impl MembershipSync {
    /// The team of a resource's project.
    pub(super) async fn team(&self, cx: &OpContext, accounts: &Accounts, owner: Owner) -> Arc<Roster> {
        let asked = self.environment().instant();
        let team = self.read_team(cx, owner).await;
        Arc::new(self.sorted(People::listed(accounts), team, asked))
    }

    /// As [`Self::team`], for a team by which these names are to be removed: the accounts that have them are read again
    /// with it, since who is locked out or leaving is said there.
    pub(super) async fn team_again(
        &self,
        cx: &OpContext,
        accounts: &Accounts,
        owner: Owner,
        names: &[String],
        locked_out: Arc<HashSet<UserUuid>>,
    ) -> Arc<Roster> {
        let asked = self.environment().instant();
        let again = self.accounts_in_question(cx, accounts, names);
        let (team, again) = join(self.read_team(cx, owner), again).await;
        let again = Again { locked_out, ..again };
        Arc::new(self.sorted(People::again(accounts, &again), team, asked))
    }

    fn sorted(&self, people: People<'_>, team: Result<Team>, asked: Instant) -> Roster {
        match team {
            Ok(team) => Roster { asked: Some(asked), ..self.roster(people, team) },
            Err(error) => Roster { gap: Some(error), unread: true, asked: Some(asked), ..Roster::default() },
        }
    }

    /// Whether anybody here cares who is in a project.
    pub(super) fn reads_teams(&self) -> bool {
        self.backend().members().is_some() || self.backend().user_limits().is_some()
    }

    /// Whether only people have access who consented to the offering's terms.
    pub(super) fn wants_consent(&self) -> bool {
        self.backend().capabilities().consented_users_only || self.policy().consented_users_only
    }

    async fn read_team(&self, cx: &OpContext, owner: Owner) -> Result<Team> {
        cx.checkpoint()?;
        let capabilities = self.backend().capabilities();
        let waldur = self.waldur(cx);
        let resources = waldur.provider_resources();
        if !self.wants_consent() {
            return Ok(resources.team(owner.resource).collect().await?.into());
        }
        let own: Team = resources.consented_team(owner.resource).collect().await?.into();
        Ok(if capabilities.shared_project_membership { self.with_siblings(cx, owner, own).await } else { own })
    }

    /// Adds the members who consented to the offerings of the project's other resources. Whatever of those cannot be
    /// read leaves a gap, so that nobody is removed for it.
    async fn with_siblings(&self, cx: &OpContext, owner: Owner, own: Team) -> Team {
        let Some(project) = owner.project else { return own };
        let waldur = self.waldur(cx);
        let mut query = ResourceQuery::default().project(project);
        query.states = self.handled_states();
        let siblings = match waldur.provider_resources().list(&query).collect().await {
            Ok(siblings) => siblings,
            Err(error) => return Team { gap: own.gap.or(Some(error)), ..own },
        };
        let (siblings, _, gap) = siblings.into_parts();
        let others =
            siblings.into_iter().filter(|other| other.uuid != owner.resource && other.project_uuid == Some(project));
        let teams: Vec<_> = stream::iter(others)
            .map(|other| {
                let waldur = self.waldur(cx);
                async move {
                    let team = waldur.provider_resources().consented_team(other.uuid).collect().await;
                    (other.offering_uuid, team)
                }
            })
            .buffered(self.concurrency())
            .collect()
            .await;
        let mut all = Team { gap: own.gap.or(gap), members: own.members };
        for (offering, team) in teams {
            match team {
                Ok(team) => {
                    let team = Team::from(team);
                    all.gap = all.gap.or(team.gap);
                    all.members.extend(team.members.into_iter().map(|member| self.as_ours(member, offering.as_ref())));
                }
                Err(error) => all.gap = all.gap.or(Some(error)),
            }
        }
        // Twice by the same role is once.
        let mut seen = HashSet::new();
        all.members.retain(|member| seen.insert((member.uuid, member.role.clone())));
        all
    }

    /// A member as another offering knows them: their name and account there mean nothing here.
    fn as_ours(&self, member: TeamMember, offering: Option<&crate::types::OfferingUuid>) -> TeamMember {
        if offering == Some(&self.offering()) {
            return member;
        }
        TeamMember { offering_user_username: None, offering_user_state: None, ..member }
    }

    /// The states of the resources that are kept in step (core.md §3.1).
    pub(super) fn handled_states(&self) -> Vec<ResourceState> {
        let mut states = vec![ResourceState::Ok, ResourceState::Erred];
        if self.backend().capabilities().creating_resources {
            states.push(ResourceState::Creating);
        }
        states
    }
}
