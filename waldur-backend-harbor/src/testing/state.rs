//! Harbor's memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    records::{ADMIN_ROLE, Entity, Group, Member, Project, Quota, Robot, User},
    settings::Settings,
};

/// The wall clock.
pub(super) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The numbers that were given out last. What is refused late uses one up, as in the database.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    pub(super) project: i64,
    pub(super) allowlist: i64,
    pub(super) quota: i64,
    pub(super) group: i64,
    pub(super) member: i64,
    pub(super) robot: i64,
    pub(super) user: i64,
    pub(super) repository: i64,
    pub(super) artifact: i64,
    pub(super) tag: i64,
    pub(super) label: i64,
    pub(super) request: u64,
    pub(super) secret: u64,
    place: u64,
}

/// Takes the next number.
pub(super) fn next(counter: &mut i64) -> i64 {
    *counter += 1;
    *counter
}

/// What was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    pub(super) by_operation: BTreeMap<&'static str, u64>,
    pub(super) unmodelled: Vec<String>,
    pub(super) refused_logins: u64,
    pub(super) with_cookie: u64,
}

pub(super) struct State {
    clock: Clock,
    pub(super) settings: Settings,
    /// What was configured and changes nothing here.
    pub(super) configured: Map<String, Value>,
    pub(super) projects: BTreeMap<i64, Project>,
    names: BTreeMap<String, i64>,
    pub(super) quotas: BTreeMap<i64, Quota>,
    quota_of: BTreeMap<i64, i64>,
    pub(super) groups: BTreeMap<i64, Group>,
    group_names: BTreeMap<String, i64>,
    pub(super) robots: BTreeMap<i64, Robot>,
    pub(super) users: BTreeMap<i64, User>,
    /// Projects that are gone keep their row, under the name `name#id`.
    pub(super) deleted: BTreeSet<String>,
    pub(super) unhealthy: BTreeMap<String, String>,
    pub(super) counters: Counters,
    pub(super) requests: Requests,
    /// How many quota writes are acknowledged and not kept.
    pub(super) ignored_quota_writes: u32,
}

impl State {
    pub(super) fn new(settings: Settings, clock: Clock) -> Self {
        Self {
            clock,
            settings,
            configured: Map::new(),
            projects: BTreeMap::new(),
            names: BTreeMap::new(),
            quotas: BTreeMap::new(),
            quota_of: BTreeMap::new(),
            groups: BTreeMap::new(),
            group_names: BTreeMap::new(),
            robots: BTreeMap::new(),
            users: BTreeMap::new(),
            deleted: BTreeSet::new(),
            unhealthy: BTreeMap::new(),
            counters: Counters::default(),
            requests: Requests::default(),
            ignored_quota_writes: 0,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) fn place(&mut self) -> u64 {
        self.counters.place += 1;
        self.counters.place
    }

    pub(super) fn project_named(&self, name: &str) -> Option<&Project> {
        self.projects.get(self.names.get(name)?)
    }

    pub(super) fn project_named_mut(&mut self, name: &str) -> Option<&mut Project> {
        self.projects.get_mut(self.names.get(name)?)
    }

    /// By id where the text is a number and nobody said that it is a name.
    pub(super) fn find_project(&self, key: &str, is_name: bool) -> Option<&Project> {
        match key.parse() {
            Ok(id) if !is_name => self.projects.get(&id),
            _ => self.project_named(key),
        }
    }

    /// All projects by name.
    pub(super) fn projects_by_name(&self) -> impl Iterator<Item = &Project> {
        self.names.values().filter_map(|id| self.projects.get(id))
    }

    /// Makes a project; its owner administers it.
    pub(super) fn insert_project(&mut self, name: &str, owner: i64, metadata: BTreeMap<String, String>) -> i64 {
        let now = self.now();
        let id = next(&mut self.counters.project);
        let owner_member =
            Member { id: next(&mut self.counters.member), entity: Entity::User(owner), role: ADMIN_ROLE };
        let project = Project {
            id,
            name: name.to_owned(),
            owner,
            metadata,
            allowlist: next(&mut self.counters.allowlist),
            tolerated: Vec::new(),
            tolerated_until: None,
            created: now,
            updated: now,
            members: vec![owner_member],
            repositories: BTreeMap::new(),
            loose: BTreeMap::new(),
            by_request: false,
        };
        self.names.insert(name.to_owned(), id);
        self.projects.insert(id, project);
        id
    }

    /// Takes a project out, with its quota and its robots.
    pub(super) fn remove_project(&mut self, id: i64) {
        let Some(project) = self.projects.remove(&id) else { return };
        self.names.remove(&project.name);
        self.deleted.insert(format!("{}#{id}", project.name));
        self.remove_quota(id);
        self.robots.retain(|_, robot| robot.project != id);
    }

    pub(super) fn insert_quota(&mut self, project: i64, hard: i64) {
        let now = self.now();
        let Some(name) = self.projects.get(&project).map(|project| project.name.clone()) else { return };
        let id = next(&mut self.counters.quota);
        let quota = Quota { id, project, project_name: name, hard, used: 0, created: now, counted: now, version: 0 };
        self.quotas.insert(id, quota);
        self.quota_of.insert(project, id);
    }

    pub(super) fn remove_quota(&mut self, project: i64) -> bool {
        self.quota_of.remove(&project).and_then(|id| self.quotas.remove(&id)).is_some()
    }

    pub(super) fn quota_of(&self, project: i64) -> Option<&Quota> {
        self.quotas.get(self.quota_of.get(&project)?)
    }

    pub(super) fn quota_of_mut(&mut self, project: i64) -> Option<&mut Quota> {
        self.quotas.get_mut(self.quota_of.get(&project)?)
    }

    /// Writes down what a project uses; times of usage have whole seconds.
    pub(super) fn count_usage(&mut self, project: i64) {
        let now = self.now();
        let Some(stored) = self.projects.get(&project).map(Project::stored) else { return };
        if let Some(quota) = self.quota_of_mut(project)
            && quota.used != stored
        {
            quota.used = stored;
            quota.counted = Timestamp::from_second(now.as_second()).unwrap_or(now);
        }
    }

    /// The same where usage is not counted late.
    pub(super) fn usage_changed(&mut self, project: i64) {
        if !self.settings.late_usage {
            self.count_usage(project);
        }
    }

    pub(super) fn group_named(&self, name: &str) -> Option<&Group> {
        self.groups.get(self.group_names.get(name)?)
    }

    pub(super) fn insert_group(&mut self, name: &str, kind: i64, dn: &str) -> i64 {
        let (id, place) = (next(&mut self.counters.group), self.place());
        let (name, dn) = (name.to_owned(), dn.to_owned());
        self.group_names.insert(name.clone(), id);
        self.groups.insert(id, Group { id, name, kind, dn, place, by_request: false });
        id
    }

    /// Takes a group out, and out of all projects.
    pub(super) fn remove_group(&mut self, id: i64) -> bool {
        for project in self.projects.values_mut() {
            project.members.retain(|member| member.entity != Entity::Group(id));
        }
        let removed = self.groups.remove(&id);
        removed.map(|group| self.group_names.remove(&group.name)).is_some()
    }

    /// A row that is changed moves to the end of its table.
    pub(super) fn rename_group(&mut self, id: i64, name: String) -> bool {
        let place = self.place();
        let Some(group) = self.groups.get_mut(&id) else { return false };
        self.group_names.remove(&group.name);
        self.group_names.insert(name.clone(), id);
        (group.name, group.place) = (name, place);
        true
    }

    /// The lowest administrator: what robots make belongs to them.
    pub(super) fn first_admin(&self) -> Option<i64> {
        self.users.values().find(|user| user.is_admin).map(|user| user.id)
    }

    /// What the name of a member is; `None` when it is gone.
    pub(super) fn entity_name(&self, entity: Entity) -> Option<&str> {
        match entity {
            Entity::User(id) => self.users.get(&id).map(|user| user.name.as_str()),
            Entity::Group(id) => self.groups.get(&id).map(|group| group.name.as_str()),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("projects", &self.projects.len()).finish_non_exhaustive()
    }
}

/// As the server prints it; what never was is the year 1.
pub(super) fn time(time: Option<Timestamp>) -> String {
    let never = || "0001-01-01T00:00:00.000Z".to_owned();
    time.map_or_else(never, |time| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}
