//! What a test looks at, and what it sets up behind the client's back.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    FakeHarbor,
    records::{Entity, OIDC, Project},
    settings::Settings,
    state::State,
    system::COMPONENTS,
};

/// A project as Harbor holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectView {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// May everybody see it?
    pub public: bool,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
    /// The list of vulnerabilities that do not count in it.
    pub allowlist: Vec<String>,
    /// The names of its repositories, without the project's in front.
    pub repositories: Vec<String>,
    /// Bytes stored, each layer once: what is used, before anybody wrote it down.
    pub stored: i64,
    /// Its quota; `None` where there is no row.
    pub quota: Option<QuotaView>,
    /// Who has a role in it, in the order in which they came.
    pub members: Vec<MemberView>,
}

impl ProjectView {
    /// The OIDC groups with a role in it, and the role.
    pub fn groups(&self) -> Vec<(&str, i64)> {
        let groups = self.members.iter().filter(|member| member.group_kind == Some(OIDC));
        groups.map(|member| (member.name.as_str(), member.role)).collect()
    }
}

/// A quota as Harbor holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaView {
    /// Its id, which is not that of the project.
    pub id: i64,
    /// Bytes; -1: unlimited.
    pub hard: i64,
    /// Bytes, as written down.
    pub used: i64,
}

/// Somebody with a role in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberView {
    /// The id of the membership.
    pub id: i64,
    /// Name of the user or the group; empty when it is gone.
    pub name: String,
    /// The kind of group: 1 LDAP, 2 HTTP, 3 OIDC; `None` for a user.
    pub group_kind: Option<i64>,
    /// 1 admin, 2 developer, 3 guest, 4 maintainer, 5 limited guest.
    pub role: i64,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupView {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// 1 LDAP, 2 HTTP, 3 OIDC.
    pub kind: i64,
}

impl FakeHarbor {
    /// The names of all projects but `library`, in order.
    pub fn projects(&self) -> Vec<String> {
        let state = self.state();
        let names = state.projects_by_name().map(|project| project.name.clone());
        names.filter(|name| name != Self::LIBRARY).collect()
    }

    /// A project by its name.
    pub fn project(&self, name: &str) -> Option<ProjectView> {
        let state = self.state();
        state.project_named(name).map(|project| view(&state, project))
    }

    /// The quota of a project.
    pub fn quota_of(&self, project: &str) -> Option<QuotaView> {
        self.project(project)?.quota
    }

    /// Who has a role in a project; nobody where there is none.
    pub fn members_of(&self, project: &str) -> Vec<MemberView> {
        self.project(project).map(|project| project.members).unwrap_or_default()
    }

    /// The repositories of a project; none where there is none.
    pub fn repositories_of(&self, project: &str) -> Vec<String> {
        self.project(project).map(|project| project.repositories).unwrap_or_default()
    }

    /// All groups, by id.
    pub fn groups(&self) -> Vec<GroupView> {
        let state = self.state();
        let view =
            |group: &super::records::Group| GroupView { id: group.id, name: group.name.clone(), kind: group.kind };
        state.groups.values().map(view).collect()
    }

    /// A group by its name.
    pub fn group(&self, name: &str) -> Option<GroupView> {
        self.groups().into_iter().find(|group| group.name == name)
    }

    /// The roles that somebody has in a project who logs in with these names in the `groups` claim. Only OIDC groups count,
    /// and only names that are equal to the letter.
    pub fn roles_by_claim(&self, project: &str, claim: &[&str]) -> Vec<i64> {
        let members = self.members_of(project);
        let named = members.iter().filter(|member| member.group_kind == Some(OIDC));
        named.filter(|member| claim.contains(&member.name.as_str())).map(|member| member.role).collect()
    }

    /// Projects that are gone: their rows stay, as `name#id`, and the name is free again.
    pub fn deleted_projects(&self) -> Vec<String> {
        self.state().deleted.iter().cloned().collect()
    }

    /// Projects that were made by request, still exist and are not in `known`, a list of names.
    pub fn orphans(&self, known: &[impl AsRef<str>]) -> Vec<String> {
        let known: BTreeSet<&str> = known.iter().map(AsRef::as_ref).collect();
        let state = self.state();
        let made = state.projects_by_name().filter(|project| project.by_request);
        made.filter(|project| !known.contains(project.name.as_str())).map(|project| project.name.clone()).collect()
    }

    /// Groups that were made by request, still exist, and have a role in no project.
    pub fn idle_groups(&self) -> Vec<String> {
        let state = self.state();
        let members = state.projects.values().flat_map(|project| &project.members);
        let bound: BTreeSet<i64> = members
            .filter_map(|member| match member.entity {
                Entity::Group(id) => Some(id),
                Entity::User(_) => None,
            })
            .collect();
        let idle = state.groups.values().filter(|group| group.by_request && !bound.contains(&group.id));
        idle.map(|group| group.name.clone()).collect()
    }

    /// How often each call was made, by its name in the contract, e.g. `createProject`, `listQuotas`, `headProject`. Refused
    /// ones count too.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.state().requests.by_operation.clone()
    }

    /// How often one call was made; see [`requests`](Self::requests).
    pub fn request_count(&self, operation: &str) -> u64 {
        self.state().requests.by_operation.get(operation).copied().unwrap_or_default()
    }

    /// How many requests came with a login that is not right, or of a robot that is expired or disabled.
    pub fn refused_logins(&self) -> u64 {
        self.state().requests.refused_logins
    }

    /// How many requests came with a cookie.
    pub fn requests_with_cookie(&self) -> u64 {
        self.state().requests.with_cookie
    }

    /// Calls that Harbor answers and the fake does not know how; each was answered `501 NOT_MODELLED`. A test that finds one
    /// here proves nothing.
    pub fn unmodelled(&self) -> Vec<String> {
        self.state().requests.unmodelled.clone()
    }

    /// The server's settings.
    pub fn settings(&self) -> Settings {
        self.state().settings.clone()
    }

    /// Changes the server's settings.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.state().settings);
    }

    /// Lets a part of the server be ill, e.g. `redis`; `health` still answers 200. Is there such a part?
    pub fn break_component(&self, name: &str, error: &str) -> bool {
        let known = COMPONENTS.contains(&name);
        if known {
            self.state().unhealthy.insert(name.to_owned(), error.to_owned());
        }
        known
    }

    /// Makes all parts of the server well again.
    pub fn heal(&self) {
        self.state().unhealthy.clear();
    }

    /// Acknowledges the next `times` changes of quotas, and does not keep them.
    pub fn ignore_quota_writes(&self, times: u32) {
        self.state().ignored_quota_writes += times;
    }
}

fn view(state: &State, project: &Project) -> ProjectView {
    let member = |member: &super::records::Member| MemberView {
        id: member.id,
        name: state.entity_name(member.entity).unwrap_or_default().to_owned(),
        group_kind: match member.entity {
            Entity::Group(id) => state.groups.get(&id).map(|group| group.kind),
            Entity::User(_) => None,
        },
        role: member.role,
    };
    ProjectView {
        id: project.id,
        name: project.name.clone(),
        public: project.is_public(),
        metadata: project.metadata.clone(),
        allowlist: project.tolerated.clone(),
        repositories: project.repositories.keys().cloned().collect(),
        stored: project.stored(),
        quota: state.quota_of(project.id).map(|quota| QuotaView { id: quota.id, hard: quota.hard, used: quota.used }),
        members: project.members.iter().map(member).collect(),
    }
}
