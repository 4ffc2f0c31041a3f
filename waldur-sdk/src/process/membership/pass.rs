//! What a pass goes by, and what it has read about a portion of its resources before it changes anything.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Instant,
};

use super::{
    MembershipSync,
    diff::{Candidate, Sides, diff},
    limits,
    listed::{Accounts, People, ProjectAccounts, UserLimitTable},
    plan::{self, Plan, Sight},
    projects::Told,
    report::{SkipReason, SkippedMember},
    row::Row,
    team::{Roster, Team},
};
use crate::{
    backend::{ById, Grant, LimitsAuthority, OpContext, PassIds, ResourceState},
    client::{OfferingUser, Resource, TeamMember},
    error::{Error, ErrorKind, Result},
    process::convert::{grant, key},
    rest::{Breaker, Complete},
    types::{BackendId, Limits, Personal, ProjectUuid, ResourceUuid, UserUuid, Uuid},
};

/// How much of a resource is kept in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything.
    Whole,
    /// Who has access, and nothing else.
    Members,
    /// As [`Members`](Self::Members), after a pass that has given names already.
    Again,
}

/// What a pass goes by from its beginning to its end.
pub(super) struct Pass {
    pub(super) cx: OpContext,
    pub(super) scope: Scope,
    /// The ids of the objects of all its resources.
    pub(super) all: PassIds,
    pub(super) accounts: Accounts,
    /// When the accounts were asked for.
    pub(super) accounts_asked: Instant,
    /// Who is locked out, as it was read again last, and when it was asked for.
    pub(super) locked_out: Mutex<Option<(Instant, Arc<HashSet<UserUuid>>)>>,
    pub(super) project_accounts: ProjectAccounts,
    /// The teams that resources of other projects need as well, since they share a back-end id; all of them in a narrow
    /// look. By project, or by resource where a resource names none.
    pub(super) teams: Teams,
    /// Limits of single users in Waldur; `None` where the back end has no such thing, or Waldur does not tell.
    pub(super) user_limits: Option<UserLimitTable>,
    /// The resources of every back-end id that more than one has.
    pub(super) shared: HashMap<BackendId, Vec<Arc<Row>>>,
    /// Back-end ids that a resource has which is not in this pass, or may have.
    pub(super) elsewhere: HashSet<BackendId>,
    /// The accounts that no person has, as they were read again last, and when they were asked for.
    pub(super) accounts_again: Mutex<Option<(Instant, Arc<ProjectAccounts>)>>,
    /// What looks at the back end stop by, and changes to it.
    pub(super) backend: Breaker,
    /// What providers are told of the projects, where the back end wants to know.
    pub(super) projects: Mutex<HashMap<ProjectUuid, Told>>,
}

/// By project, or by resource where a resource names none.
pub(super) type Teams = HashMap<Uuid, Arc<Roster>>;

/// What was read about some resources, before anything about them is changed.
#[derive(Default)]
pub(super) struct Portion {
    pub(super) teams: Teams,
    pub(super) reading: Reading,
}

/// What the back end has.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) states: ById<Option<ResourceState>>,
    pub(super) members: ById<Complete<String>>,
    pub(super) user_limits: ById<BTreeMap<String, Limits>>,
}

/// What Waldur has about one resource, beside the resource.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) team: Option<&'a Roster>,
    /// The accounts that no person has.
    pub(super) accounts: &'a ProjectAccounts,
    /// Whether another resource of the same back-end id is not in this pass, so that nobody knows what it wants.
    pub(super) elsewhere: bool,
}

impl Reading {
    /// What was read about a resource; `None` where there is no such object.
    ///
    /// # Errors
    /// When its object could not be read.
    pub(super) fn sight<'a>(
        &'a self,
        row: &'a Resource,
        id: &BackendId,
        around: Around<'a>,
    ) -> Result<Option<Sight<'a>>> {
        let state = match self.states.get(id) {
            Some(Ok(Some(state))) => state,
            Some(Ok(None)) => return Ok(None),
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(unanswered(id)),
        };
        let (present, present_error) = match self.members.get(id) {
            Some(Ok(present)) => (Some(present), None),
            Some(Err(error)) => (None, Some(error.clone())),
            None => (None, Some(unanswered(id))),
        };
        let user_limits = self.user_limits.get(id);
        let Around { team, accounts, elsewhere } = around;
        Ok(Some(Sight { row, state, present, present_error, user_limits, team, accounts, elsewhere }))
    }

    /// Of these it is not known what the back end has.
    pub(super) fn failed(ids: &[BackendId], error: &Error) -> Self {
        let states = ids.iter().map(|id| (id.clone(), Err(error.clone())));
        Self { states: states.collect(), ..Self::default() }
    }

    /// Takes out what concerns these ids. What others need as well stays.
    pub(super) fn take(&mut self, ids: &[BackendId], others_need: impl Fn(&BackendId) -> bool) -> Self {
        fn take<T: Clone>(from: &mut ById<T>, id: &BackendId, stays: bool) -> Option<(BackendId, Result<T>)> {
            if stays { Some((id.clone(), from.get(id)?.clone())) } else { from.remove_entry(id) }
        }
        let mut taken = Self::default();
        for id in ids {
            let stays = others_need(id);
            taken.states.extend(take(&mut self.states, id, stays));
            taken.members.extend(take(&mut self.members, id, stays));
            taken.user_limits.extend(take(&mut self.user_limits, id, stays));
        }
        taken
    }
}

/// Enters a member under `name`, that of the grant as the back end compares it; the role only, where the member is there
/// already. `Some` says why not.
fn enter(
    candidates: &mut BTreeMap<String, Candidate>,
    name: String,
    member: &TeamMember,
    grant: Grant,
) -> Option<SkipReason> {
    match candidates.get_mut(&name) {
        Some(other) if other.user == member.uuid => {
            other.grant.roles.extend(grant.roles);
            None
        }
        Some(_) => Some(SkipReason::SameName),
        None => {
            candidates.insert(name, Candidate { user: member.uuid, grant });
            None
        }
    }
}

impl Pass {
    /// The resources beside this one that have the same back-end id, and whose members are not locked out.
    fn open_sharers<'a>(&'a self, row: &Resource) -> impl Iterator<Item = &'a Arc<Row>> + use<'a> {
        let (sharers, uuid) = (row.backend_id.as_ref().and_then(|id| self.shared.get(id)), row.uuid);
        sharers.into_iter().flatten().filter(move |other| other.uuid() != uuid && !other.is_restricted())
    }

    /// Names that another resource of the same back-end id wants: what one resource gives, the other must not take.
    pub(super) fn names_of_sharers(&self, row: &Resource) -> BTreeSet<String> {
        self.open_sharers(row)
            .flat_map(|other| {
                let people = self.teams.get(&other.owner().key()).map(|team| team.candidates.iter());
                let people = people.into_iter().flatten().map(|candidate| candidate.grant.username.clone());
                people.chain(self.project_accounts.of(other.project()).active)
            })
            .collect()
    }

    /// Why it is not proven whom the other resources of the same back-end id want, if it is not.
    pub(super) fn gap_of_sharers(&self, row: &Resource) -> Option<Error> {
        let lists = self.accounts.gap.as_ref().or(self.project_accounts.gap.as_ref());
        self.open_sharers(row).find_map(|other| match self.teams.get(&other.owner().key()) {
            Some(team) => team.gap.as_ref().or(lists).cloned(),
            None => Some(Error::not_ready("the team of a resource with the same back-end id was not read")),
        })
    }
}

/// The back end said nothing about an id that it was asked about: unknown, which is neither there nor absent.
pub(super) fn unanswered(id: &BackendId) -> Error {
    Error::new(ErrorKind::NotReady, format!("the back end said nothing about {id}"))
}

impl MembershipSync {
    /// Who of a team may have access, and who of it may not.
    pub(super) fn roster(&self, people: People<'_>, team: Team) -> Roster {
        let mut candidates: BTreeMap<String, Candidate> = BTreeMap::new();
        let mut skipped = BTreeMap::new();
        let comparison = self.backend().capabilities().member_names;
        for member in &team.members {
            let account = people.of(member.uuid);
            let reason = match (people.objection(member), self.key(member, account)) {
                (Some(objection), _) => objection,
                (None, None) => SkipReason::NoName,
                (None, Some(key)) => {
                    let name = comparison.key(key.as_str()).into_owned();
                    match enter(&mut candidates, name, member, self.grant(member, &key, account)) {
                        None => continue,
                        Some(reason) => reason,
                    }
                }
            };
            skipped.insert(member.uuid, reason);
        }
        let members: HashSet<UserUuid> = team.members.iter().map(|member| member.uuid).collect();
        for user in people.without_consent().filter(|user| !members.contains(user)) {
            skipped.insert(user, SkipReason::NoConsent);
        }
        let skipped = skipped.into_iter().map(|(user, reason)| SkippedMember { user, reason }).collect();
        Roster {
            candidates: candidates.into_values().collect(),
            skipped,
            members: team.members.len(),
            gap: team.gap.or_else(|| people.gap_again().cloned()),
            unread: false,
            asked: None,
        }
    }

    fn grant(&self, member: &TeamMember, key: &Personal, account: Option<&OfferingUser>) -> Grant {
        grant(member, key, account).with_umask(self.policy().homedir_umask)
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
        if pass.scope == Scope::Whole && !sight.elsewhere {
            let authority = self.authority();
            plan.status = self.backend().status().and_then(|_| plan::status(sight));
            if plan::is_active(sight) {
                plan.limits =
                    limits::plan(authority, &self.0.served.components, &sight.row.limits, &sight.state.limits);
            }
        }
        plan
    }

    pub(super) fn authority(&self) -> LimitsAuthority {
        self.policy().limits_authority.unwrap_or(self.backend().capabilities().limits_authority)
    }

    pub(super) fn resource_ids(rows: &[Arc<Row>]) -> Vec<BackendId> {
        let ids: BTreeSet<&BackendId> = rows.iter().filter_map(|row| row.backend_id()).collect();
        ids.into_iter().cloned().collect()
    }
}

/// The resources of every back-end id that more than one of them has.
pub(super) fn sharers(rows: &[Arc<Row>]) -> HashMap<BackendId, Vec<Arc<Row>>> {
    let mut by_id: HashMap<&BackendId, Vec<&Arc<Row>>> = HashMap::new();
    for row in rows {
        if let Some(id) = row.backend_id() {
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
pub(super) fn uuids(rows: &[Arc<Row>]) -> HashSet<ResourceUuid> {
    rows.iter().map(|row| row.uuid()).collect()
}
