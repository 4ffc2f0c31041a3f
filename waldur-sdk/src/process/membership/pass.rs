//! Everything that one pass has read, before it changes anything.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Instant,
};

use super::{
    MembershipSync,
    diff::{Candidate, Sides, diff},
    limits,
    listed::{Accounts, ProjectAccounts, UserLimitTable},
    plan::{self, Plan, Sight},
    report::{SkipReason, SkippedMember},
    team::{Roster, Team},
};
use crate::{
    backend::{ById, Grant, LimitsAuthority, OpContext, ResourceState},
    client::{OfferingUser, Resource, TeamMember},
    error::{Error, ErrorKind, Result},
    process::convert::{grant, key},
    rest::Complete,
    types::{BackendId, Limits, Personal, ProjectUuid, ResourceUuid, Uuid},
};

/// How much of a resource is kept in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything.
    Whole,
    /// Who has access, and nothing else.
    Members,
}

/// What a pass has read.
pub(super) struct Pass {
    pub(super) cx: OpContext,
    pub(super) scope: Scope,
    pub(super) accounts: Accounts,
    pub(super) project_accounts: ProjectAccounts,
    /// By project, or by resource where a resource names none.
    pub(super) teams: HashMap<Uuid, Arc<Roster>>,
    pub(super) states: ById<Option<ResourceState>>,
    pub(super) members: ById<Complete<String>>,
    /// Limits of single users in Waldur; `None` where the back end has no such thing, or Waldur does not tell.
    pub(super) user_limits: Option<UserLimitTable>,
    pub(super) backend_user_limits: ById<BTreeMap<String, Limits>>,
    /// The resources of every back-end id that more than one has.
    pub(super) shared: HashMap<BackendId, Vec<Arc<Resource>>>,
    /// Back-end ids that a resource has which is not in this pass, or may have.
    pub(super) elsewhere: HashSet<BackendId>,
    /// The accounts that no person has, as they were read again last, and when they were asked for.
    pub(super) accounts_again: Mutex<Option<(Instant, Arc<ProjectAccounts>)>>,
    /// Whether so many would lose access to anything that none is believed at first sight.
    pub(super) doubtful: bool,
}

/// Enters a member under a name; the role only, where the member is there already. `Some` says why not.
fn enter(candidates: &mut BTreeMap<String, Candidate>, member: &TeamMember, grant: Grant) -> Option<SkipReason> {
    match candidates.get_mut(&grant.username) {
        Some(other) if other.user == member.uuid => {
            other.grant.roles.extend(grant.roles);
            None
        }
        Some(_) => Some(SkipReason::SameName),
        None => {
            candidates.insert(grant.username.clone(), Candidate { user: member.uuid, grant });
            None
        }
    }
}

/// The project of a resource, or the resource itself where it names none.
pub(super) fn team_key(row: &Resource) -> Uuid {
    row.project_uuid.map_or_else(|| row.uuid.uuid(), ProjectUuid::uuid)
}

impl Pass {
    /// What the bulk readings say about a resource.
    ///
    /// # Errors
    /// When its object could not be read.
    pub(super) fn sight<'a>(&'a self, row: &'a Resource, id: &BackendId) -> Result<Option<Sight<'a>>> {
        let state = match self.states.get(id) {
            Some(Ok(Some(state))) => state,
            Some(Ok(None)) => return Ok(None),
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(unanswered(id)),
        };
        let (present, present_error) = present(&self.members, id);
        let team = self.teams.get(&team_key(row)).map(|team| &**team);
        Ok(Some(Sight { row, state, present, present_error, team, accounts: &self.project_accounts }))
    }

    /// Whether another resource of the same back-end id is not in this pass, so that nobody knows what it wants.
    pub(super) fn is_shared_elsewhere(&self, row: &Resource) -> bool {
        row.backend_id.as_ref().is_some_and(|id| self.elsewhere.contains(id))
    }

    /// Names that another resource of the same back-end id wants: what one resource gives, the other must not take.
    pub(super) fn names_of_sharers(&self, row: &Resource) -> BTreeSet<String> {
        let sharers = row.backend_id.as_ref().and_then(|id| self.shared.get(id));
        let others = sharers.into_iter().flatten().filter(|other| other.uuid != row.uuid);
        let open = others.filter(|other| other.restrict_member_access != Some(true));
        open.flat_map(|other| {
            let people = self.teams.get(&team_key(other)).map(|team| team.candidates.iter());
            let people = people.into_iter().flatten().map(|candidate| candidate.grant.username.clone());
            people.chain(self.project_accounts.of(other.project_uuid).active)
        })
        .collect()
    }
}

/// The members of one object among all that were read.
pub(super) fn present<'a>(
    members: &'a ById<Complete<String>>,
    id: &BackendId,
) -> (Option<&'a Complete<String>>, Option<Error>) {
    match members.get(id) {
        Some(Ok(present)) => (Some(present), None),
        Some(Err(error)) => (None, Some(error.clone())),
        None => (None, Some(unanswered(id))),
    }
}

/// The back end said nothing about an id that it was asked about: unknown, which is neither there nor absent.
pub(super) fn unanswered(id: &BackendId) -> Error {
    Error::new(ErrorKind::NotReady, format!("the back end said nothing about {id}"))
}

impl MembershipSync {
    /// Who of a team may have access, and who of it may not.
    pub(super) fn roster(&self, accounts: &Accounts, team: Team) -> Roster {
        let mut candidates: BTreeMap<String, Candidate> = BTreeMap::new();
        let mut skipped = BTreeMap::new();
        for member in &team.members {
            let account = accounts.of(member.uuid);
            let reason = match (accounts.objection(member), self.key(member, account)) {
                (Some(objection), _) => objection,
                (None, None) => SkipReason::NoName,
                (None, Some(key)) => match enter(&mut candidates, member, grant(member, &key, account)) {
                    None => continue,
                    Some(reason) => reason,
                },
            };
            skipped.insert(member.uuid, reason);
        }
        let skipped = skipped.into_iter().map(|(user, reason)| SkippedMember { user, reason }).collect();
        Roster {
            candidates: candidates.into_values().collect(),
            skipped,
            members: team.members.len(),
            gap: team.gap,
            unread: false,
            asked: None,
        }
    }

    /// The name by which the back end knows a member: the team's, or where a consent to another offering brought the
    /// member, that of the account at this one.
    fn key(&self, member: &TeamMember, account: Option<&OfferingUser>) -> Option<Personal> {
        let capabilities = self.backend().capabilities();
        let ours = account.filter(|_| !capabilities.identity_bridge).and_then(|account| account.username.clone());
        key(member, capabilities).cloned().or(ours)
    }

    /// What is to be done about a resource, as it was seen.
    pub(super) fn plan(&self, pass: &Pass, sight: &Sight<'_>) -> Plan {
        let accounts = sight.accounts.of(sight.row.project_uuid);
        let shared = pass.names_of_sharers(sight.row);
        let capabilities = self.backend().capabilities();
        let is_known = |name: &str| self.remember(|memory| memory.knows(name));
        let mut plan = Plan::default();
        if let Some(present) = sight.present {
            let sides = Sides {
                wanted: sight.team.map_or(&[], |team| &team.candidates),
                accounts: &accounts,
                present: present.items(),
                spared: &self.policy().protected_usernames,
                shared: &shared,
                is_known: &is_known,
                restricted: sight.row.restrict_member_access == Some(true),
                own_membership: capabilities.skip_team_diff,
                unmanaged: self.policy().unmanaged_users,
            };
            plan.members = diff(&sides);
        }
        if pass.scope == Scope::Whole {
            plan.metadata = self.remember(|memory| plan::metadata(sight, &memory.published(sight.row.uuid)));
        }
        if pass.scope == Scope::Whole && !pass.is_shared_elsewhere(sight.row) {
            let authority = self.authority();
            plan.status = self.backend().status().and_then(|_| plan::status(sight));
            if plan::is_active(sight) {
                plan.limits = limits::plan(authority, &self.0.components, &sight.row.limits, &sight.state.limits);
            }
        }
        plan
    }

    pub(super) fn authority(&self) -> LimitsAuthority {
        self.policy().limits_authority.unwrap_or(self.backend().capabilities().limits_authority)
    }

    pub(super) fn resource_ids(rows: &[Arc<Resource>]) -> Vec<BackendId> {
        let ids: BTreeSet<&BackendId> = rows.iter().filter_map(|row| row.backend_id.as_ref()).collect();
        ids.into_iter().cloned().collect()
    }
}

/// The resources of every back-end id that more than one of them has.
pub(super) fn sharers(rows: &[Arc<Resource>]) -> HashMap<BackendId, Vec<Arc<Resource>>> {
    let mut by_id: HashMap<&BackendId, Vec<&Arc<Resource>>> = HashMap::new();
    for row in rows {
        if let Some(id) = &row.backend_id {
            by_id.entry(id).or_default().push(row);
        }
    }
    by_id
        .into_iter()
        .filter(|(_, rows)| rows.len() > 1)
        .map(|(id, rows)| (id.clone(), rows.into_iter().cloned().collect()))
        .collect()
}

/// The ids of resources, for what is remembered of them.
pub(super) fn uuids(rows: &[Arc<Resource>]) -> HashSet<ResourceUuid> {
    rows.iter().map(|row| row.uuid).collect()
}
