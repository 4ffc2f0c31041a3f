//! Who calls, and what they may do (harbor.md §2.3 and §7).

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    records::{Entity, Project},
    refused::Refused,
    state::State,
    wire::Asked,
};
use crate::backend::rights;

/// Something that a robot may do: in the system, in one project, or in all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// `system` or `project`.
    pub(super) kind: String,
    /// `/`, `*`, or the name of a project.
    pub(super) namespace: String,
    /// Resource and action.
    pub(super) access: Vec<(String, String)>,
}

impl Permission {
    /// In the system: each of `access` is `resource:action`, e.g. `quota:update`.
    pub fn system(access: &[&str]) -> Self {
        Self::of("system", "/", access)
    }

    /// In all projects.
    pub fn all_projects(access: &[&str]) -> Self {
        Self::of("project", "*", access)
    }

    /// In one project.
    pub fn project(name: &str, access: &[&str]) -> Self {
        Self::of("project", name, access)
    }

    /// What the back end needs, the deletion of images included, and nothing else.
    pub fn needed() -> Vec<Self> {
        let (projects, system): (Vec<_>, Vec<_>) =
            rights::NEEDED.into_iter().chain(rights::FORCE).partition(|right| right.is_of_projects());
        let names = |rights: Vec<rights::Right>| rights.into_iter().map(rights::Right::name).collect::<Vec<_>>();
        let of = |kind, namespace, names: Vec<String>| {
            Self::of(kind, namespace, &names.iter().map(String::as_str).collect::<Vec<_>>())
        };
        vec![of("system", "/", names(system)), of("project", "*", names(projects))]
    }

    fn of(kind: &str, namespace: &str, access: &[&str]) -> Self {
        let pair = |entry: &&str| {
            let (resource, action) = entry.split_once(':').unwrap_or((entry, ""));
            (resource.to_owned(), action.to_owned())
        };
        Self { kind: kind.to_owned(), namespace: namespace.to_owned(), access: access.iter().map(pair).collect() }
    }

    /// The same without one `resource:action`.
    #[must_use]
    pub fn without(mut self, entry: &str) -> Self {
        self.access.retain(|(resource, action)| format!("{resource}:{action}") != entry);
        self
    }

    fn allows(&self, resource: &str, action: &str) -> bool {
        self.access.iter().any(|(known, verb)| known == resource && verb == action)
    }

    pub(super) fn is_system(&self) -> bool {
        self.kind == "system"
    }

    pub(super) fn render(&self) -> Value {
        let pair = |(resource, action): &(String, String)| json!({ "action": action, "resource": resource });
        json!({ "access": self.access.iter().map(pair).collect::<Vec<_>>(), "kind": self.kind, "namespace": self.namespace })
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// No login, or a wrong one.
    Nobody,
    User(i64),
    Robot(i64),
}

/// A request and who makes it.
pub(super) struct Call<'a> {
    pub(super) asked: &'a Asked,
    pub(super) caller: Caller,
    /// The variable segments of the path.
    pub(super) path: Vec<&'a str>,
}

impl<'a> Call<'a> {
    /// The variable segments, by number; empty where the path has fewer.
    pub(super) fn segment(&self, number: usize) -> &'a str {
        self.path.get(number).copied().unwrap_or_default()
    }

    /// A variable segment that is a number.
    pub(super) fn number(&self, number: usize, name: &str) -> Result<i64, Refused> {
        let text = self.segment(number);
        text.parse().map_err(|_| Refused::invalid(&[format!("{name} in path must be of type int64: {text:?}")]))
    }

    pub(super) fn require_login(&self) -> Result<(), Refused> {
        if self.caller == Caller::Nobody { Err(Refused::unauthorized()) } else { Ok(()) }
    }
}

/// What everybody may do in a public project.
const PUBLIC: &[&str] = &[
    "project:read",
    "repository:list",
    "repository:read",
    "repository:pull",
    "artifact:list",
    "artifact:read",
    "tag:list",
];

/// What members may do who do not administer a project, by role; a summary of Harbor's own table.
fn role_allows(role: i64, resource: &str, action: &str) -> bool {
    let reads = matches!(action, "read" | "list" | "pull");
    match (role, resource) {
        (1, _) | (4, "repository" | "artifact" | "tag" | "metadata" | "immutable-tag") => true,
        (2, "repository") => reads || matches!(action, "push" | "update"),
        (2, "artifact" | "tag") => reads || action == "create",
        (2..=4, "project" | "member" | "quota")
        | (3 | 5, "repository" | "artifact" | "tag")
        | (5, "project" | "quota") => reads,
        _ => false,
    }
}

impl State {
    /// Whoever cannot be authenticated is taken for nobody, and told nothing.
    pub(super) fn caller(&mut self, asked: &Asked) -> Caller {
        let Some((name, password)) = asked.login() else { return Caller::Nobody };
        let now = self.now();
        let caller = if let Some(robot) = name.strip_prefix(&self.settings.robot_prefix) {
            let robot = self.robots.values().find(|known| known.name == robot);
            let robot = robot.filter(|robot| robot.secret.expose_secret() == password);
            robot.filter(|robot| !robot.disabled && !robot.is_expired(now)).map(|robot| Caller::Robot(robot.id))
        } else {
            let user = self.users.values().find(|user| user.name == name);
            let user = user.filter(|user| user.password.expose_secret() == password);
            user.map(|user| Caller::User(user.id))
        };
        if caller.is_none() {
            self.requests.refused_logins += 1;
        }
        caller.unwrap_or(Caller::Nobody)
    }

    /// What the caller is called, in refusals.
    pub(super) fn name_of(&self, caller: Caller) -> String {
        match caller {
            Caller::Nobody => String::new(),
            Caller::User(id) => self.users.get(&id).map(|user| user.name.clone()).unwrap_or_default(),
            Caller::Robot(id) => {
                let name = self.robots.get(&id).map(|robot| robot.name.as_str()).unwrap_or_default();
                format!("{}{name}", self.settings.robot_prefix)
            }
        }
    }

    pub(super) fn is_admin(&self, caller: Caller) -> bool {
        matches!(caller, Caller::User(id) if self.users.get(&id).is_some_and(|user| user.is_admin))
    }

    /// May the caller do this in the system as a whole?
    pub(super) fn may(&self, caller: Caller, resource: &str, action: &str) -> bool {
        match caller {
            Caller::Robot(id) => self.robots.get(&id).is_some_and(|robot| {
                let mut own = robot.permissions.iter().filter(|permission| permission.is_system());
                robot.is_of_the_system() && own.any(|permission| permission.allows(resource, action))
            }),
            caller => self.is_admin(caller),
        }
    }

    /// May the caller do this in a project? In one that does not exist nobody may do anything but administrators: so
    /// robots are told 403 where these are told 404.
    pub(super) fn may_in(&self, caller: Caller, project: Option<&Project>, resource: &str, action: &str) -> bool {
        if self.is_admin(caller) {
            return true;
        }
        let Some(project) = project else { return false };
        let in_public = project.is_public() && PUBLIC.contains(&format!("{resource}:{action}").as_str());
        in_public
            || match caller {
                Caller::Nobody => false,
                Caller::User(id) => {
                    let role = project.members.iter().find(|member| member.entity == Entity::User(id));
                    role.is_some_and(|member| role_allows(member.role, resource, action))
                }
                Caller::Robot(id) => self.robots.get(&id).is_some_and(|robot| {
                    let covers = |permission: &&Permission| {
                        !permission.is_system()
                            && (permission.namespace == project.name
                                || (robot.is_of_the_system() && permission.namespace == "*"))
                    };
                    let own = robot.is_of_the_system() || robot.project == project.id;
                    own && robot.permissions.iter().filter(covers).any(|known| known.allows(resource, action))
                }),
            }
    }

    pub(super) fn require(&self, call: &Call<'_>, resource: &str, action: &str) -> Result<(), Refused> {
        call.require_login()?;
        if self.may(call.caller, resource, action) {
            return Ok(());
        }
        Err(Refused::forbidden(self.name_of(call.caller)))
    }

    /// The project that the path names, if the caller may do this in it.
    pub(super) fn project_for(&self, call: &Call<'_>, resource: &str, action: &str) -> Result<&Project, Refused> {
        let key = call.segment(0);
        self.permitted(call, key, self.find_project(key, call.asked.is_name()), resource, action)
    }

    /// As [`Self::project_for`], on paths that take a name and never an id.
    pub(super) fn project_by_name(&self, call: &Call<'_>, resource: &str, action: &str) -> Result<&Project, Refused> {
        let key = call.segment(0);
        self.permitted(call, key, self.project_named(key), resource, action)
    }

    fn permitted<'a>(
        &'a self,
        call: &Call<'_>,
        key: &str,
        project: Option<&'a Project>,
        resource: &str,
        action: &str,
    ) -> Result<&'a Project, Refused> {
        if self.may_in(call.caller, project, resource, action) {
            return project.ok_or_else(|| Refused::missing(format!("project {key} not found")));
        }
        call.require_login()?;
        Err(Refused::forbidden("forbidden"))
    }
}
