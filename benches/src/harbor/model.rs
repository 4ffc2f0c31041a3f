//! What is there.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// The project that every Harbor begins with.
pub(super) const LIBRARY: &str = "library";

/// A private project to begin with.
#[derive(Clone, Debug)]
pub struct Seed {
    /// Its name.
    pub name: String,
    /// The OIDC group that has the role of a developer in it; made if it is not there.
    pub group: Option<String>,
    /// Its quota in bytes; -1 for none.
    pub hard: i64,
    /// How much of it is used, in bytes.
    pub used: i64,
    /// How many repositories there are in it.
    pub repositories: i64,
}

/// A project as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectView {
    /// Its quota in bytes; -1 for none.
    pub hard: i64,
    /// How much of it is used, in bytes.
    pub used: i64,
    /// The groups with a role in it, and the role.
    pub groups: Vec<(String, i64)>,
    /// Whether everybody sees it.
    pub public: bool,
}

pub(super) struct Project {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) metadata: Map<String, Value>,
    pub(super) created: Timestamp,
    /// The id of its quota, and of its list of permitted vulnerabilities.
    pub(super) quota: i64,
    pub(super) repositories: i64,
    pub(super) members: Vec<Member>,
}

pub(super) struct Quota {
    pub(super) id: i64,
    pub(super) project: i64,
    pub(super) project_name: String,
    pub(super) hard: i64,
    pub(super) used: i64,
    pub(super) created: Timestamp,
    pub(super) updated: Option<Timestamp>,
}

pub(super) struct Group {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) kind: i64,
    pub(super) dn: Option<String>,
}

/// Somebody with a role in a project: a group, or else the administrator who made it.
pub(super) struct Member {
    pub(super) id: i64,
    pub(super) role: i64,
    pub(super) group: Option<i64>,
}

pub(super) struct State {
    pub(super) projects: BTreeMap<i64, Project>,
    pub(super) quotas: BTreeMap<i64, Quota>,
    pub(super) groups: BTreeMap<i64, Group>,
    pub(super) unmodelled: Vec<String>,
    pub(super) next_project: i64,
    next_quota: i64,
    next_group: i64,
    next_member: i64,
    pub(super) now: Timestamp,
}

impl Default for State {
    fn default() -> Self {
        let mut state = Self {
            projects: BTreeMap::new(),
            quotas: BTreeMap::new(),
            groups: BTreeMap::new(),
            unmodelled: Vec::new(),
            next_project: 1,
            next_quota: 1,
            next_group: 1,
            next_member: 1,
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 56),
        };
        state.add_project(LIBRARY, Map::from_iter([("public".to_owned(), "true".into())]), -1);
        state
    }
}

impl State {
    /// Lets a millisecond pass.
    pub(super) fn tick(&mut self) {
        self.now += SignedDuration::from_millis(1);
    }

    /// Makes a project, its quota, and its owner's membership.
    pub(super) fn add_project(&mut self, name: &str, metadata: Map<String, Value>, hard: i64) -> i64 {
        let (id, quota) = (take(&mut self.next_project), take(&mut self.next_quota));
        let owner = Member { id: take(&mut self.next_member), role: 1, group: None };
        let project = Project {
            id,
            name: name.to_owned(),
            metadata,
            created: self.now,
            quota,
            repositories: 0,
            members: vec![owner],
        };
        let row = Quota {
            id: quota,
            project: id,
            project_name: name.to_owned(),
            hard,
            used: 0,
            created: self.now,
            updated: None,
        };
        self.projects.insert(id, project);
        self.quotas.insert(quota, row);
        id
    }

    pub(super) fn add_group(&mut self, name: &str, kind: i64, dn: Option<String>) -> i64 {
        let id = take(&mut self.next_group);
        self.groups.insert(id, Group { id, name: name.to_owned(), kind, dn });
        id
    }

    /// Gives a group a role in a project. `None` when it has one already, or there is no such project.
    pub(super) fn add_member(&mut self, project: i64, group: i64, role: i64) -> Option<i64> {
        let project = self.projects.get_mut(&project)?;
        if project.members.iter().any(|member| member.group == Some(group)) {
            return None;
        }
        let id = take(&mut self.next_member);
        project.members.push(Member { id, role, group: Some(group) });
        Some(id)
    }

    pub(super) fn group_named(&self, name: &str) -> Option<&Group> {
        self.groups.values().find(|group| group.name == name)
    }

    pub(super) fn project_named(&self, name: &str) -> Option<&Project> {
        self.projects.values().find(|project| project.name == name)
    }

    pub(super) fn seed(&mut self, seed: &Seed) {
        self.tick();
        let project = self.add_project(&seed.name, Map::from_iter([("public".to_owned(), "false".into())]), seed.hard);
        if let Some(row) = self.projects.get_mut(&project) {
            row.repositories = seed.repositories;
            if let Some(quota) = self.quotas.get_mut(&row.quota) {
                (quota.used, quota.updated) = (seed.used, Some(self.now));
            }
        }
        if let Some(name) = &seed.group {
            let group = self.group_named(name).map(|group| group.id);
            let group = group.unwrap_or_else(|| self.add_group(name, 3, None));
            self.add_member(project, group, 2);
        }
    }

    pub(super) fn view(&self, name: &str) -> Option<ProjectView> {
        let project = self.project_named(name)?;
        let quota = self.quotas.get(&project.quota)?;
        let group = |member: &Member| Some((self.groups.get(&member.group?)?.name.clone(), member.role));
        Some(ProjectView {
            hard: quota.hard,
            used: quota.used,
            groups: project.members.iter().filter_map(group).collect(),
            public: project.is_public(),
        })
    }
}

impl Project {
    pub(super) fn is_public(&self) -> bool {
        self.metadata.get("public").is_some_and(|public| public == "true")
    }

    pub(super) fn render(&self) -> Value {
        let created = time(Some(self.created));
        json!({
            "creation_time": created,
            "current_user_role_id": 1,
            "current_user_role_ids": [1],
            "cve_allowlist": {
                "creation_time": time(None), "id": self.quota, "items": [],
                "project_id": self.id, "update_time": time(None),
            },
            "metadata": self.metadata,
            "name": self.name,
            "owner_id": 1,
            "owner_name": super::USER,
            "project_id": self.id,
            "repo_count": self.repositories,
            "update_time": created,
        })
    }
}

impl Quota {
    pub(super) fn render(&self) -> Value {
        json!({
            "creation_time": time(Some(self.created)),
            "hard": { "storage": self.hard },
            "id": self.id,
            "ref": { "id": self.project, "name": self.project_name, "owner_name": "" },
            "update_time": time(self.updated),
            "used": { "storage": self.used },
        })
    }
}

/// As the server prints it; what never was is the year 1.
fn time(time: Option<Timestamp>) -> String {
    let never = || "0001-01-01T00:00:00.000Z".to_owned();
    time.map_or_else(never, |time| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

fn take(next: &mut i64) -> i64 {
    let taken = *next;
    *next += 1;
    taken
}
