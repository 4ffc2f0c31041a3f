//! What a test puts into the fake, as if it had always been there.

use secrecy::SecretString;

use super::{
    FakeHarbor,
    access::Permission,
    images::Image,
    inspect::{GroupView, ProjectView},
    records::{Entity, OIDC, Robot},
    refused::Refused,
    robots::expiry,
    state::{State, next},
};

/// A project, private and without a quota of its own unless said otherwise.
#[derive(Clone, Debug)]
#[must_use]
pub struct SeedProject {
    name: String,
    public: bool,
    hard: Hard,
    groups: Vec<(String, i64, i64)>,
    tolerated: Vec<String>,
    auto_scan: Option<String>,
    images: Vec<(String, Image)>,
}

impl SeedProject {
    /// A private project with the server's default quota.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            public: false,
            hard: Hard::Default,
            groups: Vec::new(),
            tolerated: Vec::new(),
            auto_scan: None,
            images: Vec::new(),
        }
    }

    /// Everybody may see it.
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// Its quota in bytes; -1: none.
    pub fn quota(mut self, bytes: i64) -> Self {
        self.hard = Hard::At(bytes);
        self
    }

    /// There is no row for it among the quotas, as for projects that were made while quotas were switched off.
    pub fn without_quota(mut self) -> Self {
        self.hard = Hard::NoRow;
        self
    }

    /// An OIDC group with a role in it; made where nobody has the name.
    pub fn group(self, name: &str, role: i64) -> Self {
        self.group_of_kind(name, OIDC, role)
    }

    /// A group of any kind with a role in it: 1 LDAP, 2 HTTP, 3 OIDC.
    pub fn group_of_kind(mut self, name: &str, kind: i64, role: i64) -> Self {
        self.groups.push((name.to_owned(), kind, role));
        self
    }

    /// An entry of its list of vulnerabilities that do not count.
    pub fn tolerates(mut self, item: &str) -> Self {
        self.tolerated.push(item.to_owned());
        self
    }

    /// What it says of the scanning of images that come in: any text.
    pub fn auto_scan(mut self, text: &str) -> Self {
        self.auto_scan = Some(text.to_owned());
        self
    }

    /// An image in it. Its quota is not asked.
    pub fn image(mut self, repository: &str, image: Image) -> Self {
        self.images.push((repository.to_owned(), image));
        self
    }

    /// So many bytes, in one image of the repository `data`.
    pub fn used(self, bytes: u64) -> Self {
        self.image("data", Image::new("latest").layer("data", bytes))
    }
}

/// The quota of a project to begin with.
#[derive(Clone, Copy, Debug)]
enum Hard {
    /// The server's.
    Default,
    At(i64),
    NoRow,
}

/// A robot.
#[derive(Clone, Debug)]
#[must_use]
pub struct SeedRobot {
    name: String,
    project: Option<String>,
    secret: Option<SecretString>,
    permissions: Vec<Permission>,
    duration: i64,
    expires_at: Option<i64>,
    disabled: bool,
}

impl SeedRobot {
    /// One of the system, that never expires. Its login has the server's prefix in front.
    pub fn system(name: &str, permissions: Vec<Permission>) -> Self {
        let name = name.to_owned();
        Self { name, project: None, secret: None, permissions, duration: -1, expires_at: None, disabled: false }
    }

    /// One of a project, which can never make or remove one.
    pub fn of_project(project: &str, name: &str, access: &[&str]) -> Self {
        let permissions = vec![Permission::project(project, access)];
        Self { project: Some(project.to_owned()), ..Self::system(name, permissions) }
    }

    /// Its secret; otherwise one is minted.
    pub fn secret(mut self, secret: impl Into<SecretString>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// For how many days it works.
    pub fn days(mut self, days: i64) -> Self {
        self.duration = days;
        self
    }

    /// When it stops to work, in seconds since 1970.
    pub fn expires_at(mut self, seconds: i64) -> Self {
        (self.duration, self.expires_at) = (30, Some(seconds));
        self
    }

    /// It does not work.
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }
}

/// What [`FakeHarbor::edit_robot`] may change.
#[derive(Debug)]
#[non_exhaustive]
pub struct RobotEdit<'a> {
    /// Disabled?
    pub disabled: &'a mut bool,
    /// In seconds since 1970, or -1.
    pub expires_at: &'a mut i64,
    /// What it may do.
    pub permissions: &'a mut Vec<Permission>,
    /// Its secret.
    pub secret: &'a mut SecretString,
}

impl State {
    /// Puts a robot there, whatever the release would say of its permissions. Its login and secret.
    pub(super) fn add_robot(&mut self, seed: SeedRobot) -> (String, SecretString) {
        let (now, id) = (self.now(), next(&mut self.counters.robot));
        let project = seed.project.as_deref().and_then(|name| self.project_named(name));
        let (project, name) = match project {
            Some(project) => (project.id, format!("{}+{}", project.name, seed.name)),
            None => (0, seed.name),
        };
        let secret = seed.secret.unwrap_or_else(|| self.mint_secret());
        let login = format!("{}{name}", self.settings.robot_prefix);
        let robot = Robot {
            id,
            name,
            secret: secret.clone(),
            description: String::new(),
            duration: seed.duration,
            expires_at: seed.expires_at.unwrap_or_else(|| expiry(now, seed.duration)),
            disabled: seed.disabled,
            project,
            permissions: seed.permissions,
            created: now,
            updated: now,
        };
        self.robots.insert(id, robot);
        (login, secret)
    }

    fn group_for(&mut self, name: &str, kind: i64) -> i64 {
        let known = self.group_named(name).map(|group| group.id);
        known.unwrap_or_else(|| self.insert_group(name, kind, ""))
    }
}

impl FakeHarbor {
    /// Replaces the list of vulnerabilities that do not count in a project. Is there such a project?
    pub fn set_allowlist(&self, project: &str, items: &[&str]) -> bool {
        let mut state = self.state();
        let project = state.project_named_mut(project);
        project.map(|project| project.tolerated = items.iter().map(|item| (*item).to_owned()).collect()).is_some()
    }

    /// Puts a project there.
    ///
    /// # Errors
    /// 409 when the name is taken.
    pub fn add_project(&self, seed: SeedProject) -> Result<ProjectView, Refused> {
        let mut state = self.state();
        if state.project_named(&seed.name).is_some() {
            return Err(Refused::conflict(format!("The project named {} already exists", seed.name)));
        }
        let owner = state.first_admin().ok_or_else(Refused::internal)?;
        let id = state.insert_project(&seed.name, owner, [("public".to_owned(), seed.public.to_string())].into());
        if let Some(project) = state.projects.get_mut(&id) {
            project.tolerated = seed.tolerated;
            project.metadata.extend(seed.auto_scan.map(|text| ("auto_scan".to_owned(), text)));
        }
        for (name, kind, role) in seed.groups {
            let group = state.group_for(&name, kind);
            state.insert_member(id, Entity::Group(group), role);
        }
        match seed.hard {
            Hard::Default => {
                let bytes = state.settings.storage_per_project;
                state.insert_quota(id, bytes);
            }
            Hard::At(bytes) => state.insert_quota(id, bytes),
            Hard::NoRow => {}
        }
        for (repository, image) in seed.images {
            state.put_image(id, &repository, image);
        }
        state.count_usage(id);
        drop(state);
        self.project(&seed.name).ok_or_else(Refused::internal)
    }

    /// Removes a project, as an operator would behind the client's back, whatever is in it. Was it there?
    pub fn remove_project(&self, name: &str) -> bool {
        let mut state = self.state();
        let Some(id) = state.project_named(name).map(|project| project.id) else { return false };
        state.remove_project(id);
        true
    }

    /// Makes a project public or private, as an operator would. Is it there?
    pub fn set_public(&self, name: &str, public: bool) -> bool {
        let mut state = self.state();
        let project = state.project_named_mut(name);
        project.map(|project| project.metadata.insert("public".to_owned(), public.to_string())).is_some()
    }

    /// Puts a group there: 1 LDAP, 2 HTTP, 3 OIDC.
    ///
    /// # Errors
    /// 409 when the name is taken.
    pub fn add_group(&self, name: &str, kind: i64) -> Result<GroupView, Refused> {
        let mut state = self.state();
        if state.group_named(name).is_some() {
            return Err(Refused::conflict("duplicate user group"));
        }
        let id = state.insert_group(name, kind, "");
        Ok(GroupView { id, name: name.to_owned(), kind })
    }

    /// Removes a group, also as a member. Was it there?
    pub fn remove_group(&self, name: &str) -> bool {
        let mut state = self.state();
        let Some(id) = state.group_named(name).map(|group| group.id) else { return false };
        state.remove_group(id)
    }

    /// Renames a group, as an operator would. Was it there, and the new name free?
    pub fn rename_group(&self, name: &str, to: &str) -> bool {
        let mut state = self.state();
        let Some(id) = state.group_named(name).map(|group| group.id) else { return false };
        state.group_named(to).is_none() && state.rename_group(id, to.to_owned())
    }

    /// Puts a local user there, who may administer the system.
    ///
    /// # Errors
    /// 409 when the name is taken.
    pub fn add_user(&self, name: &str, password: impl Into<SecretString>, is_admin: bool) -> Result<i64, Refused> {
        let mut state = self.state();
        if state.users.values().any(|user| user.name == name) {
            return Err(Refused::conflict(format!("user {name} or email  already exists")));
        }
        Ok(state.insert_user(name, password, is_admin))
    }

    /// Gives a group a role in a project, or another one, as an operator would. The group is made where nobody has the
    /// name. Is the project there?
    pub fn set_group_role(&self, project: &str, group: &str, role: i64) -> bool {
        let mut state = self.state();
        let Some(project) = state.project_named(project).map(|project| project.id) else { return false };
        let group = state.group_for(group, OIDC);
        state.set_role(project, Entity::Group(group), role);
        true
    }

    /// Gives a user a role in a project, or another one. Are both there?
    pub fn set_user_role(&self, project: &str, user: &str, role: i64) -> bool {
        let mut state = self.state();
        let project = state.project_named(project).map(|project| project.id);
        let user = state.users.values().find(|known| known.name == user).map(|user| user.id);
        let Some((project, user)) = project.zip(user) else { return false };
        state.set_role(project, Entity::User(user), role);
        true
    }

    /// Takes a group's role in a project away. Did it have one?
    pub fn remove_group_role(&self, project: &str, group: &str) -> bool {
        let mut state = self.state();
        let Some(group) = state.group_named(group).map(|group| Entity::Group(group.id)) else { return false };
        let Some(project) = state.project_named_mut(project) else { return false };
        let before = project.members.len();
        project.members.retain(|member| member.entity != group);
        project.members.len() < before
    }

    /// Sets a quota, as an operator would. A change that is in flight then fails. Is there one?
    pub fn set_quota(&self, project: &str, bytes: i64) -> bool {
        let mut state = self.state();
        let Some(id) = state.project_named(project).map(|project| project.id) else { return false };
        let quota = state.quota_of_mut(id);
        quota.map(|quota| (quota.hard, quota.version) = (bytes, quota.version + 1)).is_some()
    }

    /// Takes the row of a quota away. Was there one?
    pub fn remove_quota(&self, project: &str) -> bool {
        let mut state = self.state();
        let Some(id) = state.project_named(project).map(|project| project.id) else { return false };
        state.remove_quota(id)
    }

    /// Puts a robot there, whatever the release would say of its permissions. Its login and secret.
    pub fn add_robot(&self, seed: SeedRobot) -> (String, SecretString) {
        self.state().add_robot(seed)
    }

    /// Changes a robot, by its login, as an operator would. Is it there?
    pub fn edit_robot(&self, login: &str, change: impl FnOnce(RobotEdit<'_>)) -> bool {
        let mut state = self.state();
        let name = login.strip_prefix(&state.settings.robot_prefix).unwrap_or(login).to_owned();
        let Some(robot) = state.robots.values_mut().find(|robot| robot.name == name) else { return false };
        change(RobotEdit {
            disabled: &mut robot.disabled,
            expires_at: &mut robot.expires_at,
            permissions: &mut robot.permissions,
            secret: &mut robot.secret,
        });
        true
    }
}

impl State {
    fn set_role(&mut self, project: i64, entity: Entity, role: i64) {
        let members = self.projects.get_mut(&project).map(|project| &mut project.members);
        match members.and_then(|members| members.iter_mut().find(|member| member.entity == entity)) {
            Some(member) => member.role = role,
            None => {
                self.insert_member(project, entity, role);
            }
        }
    }
}
