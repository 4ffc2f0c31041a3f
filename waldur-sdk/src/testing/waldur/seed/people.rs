//! Who is there.

use jiff::{Timestamp, civil::Date};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::testing::waldur::{
    FakeWaldur,
    model::{Customer, OfferingUser, Project, Scope, ServiceProvider, SshKey, User},
    unknown,
    words::OfferingUserState,
};
use crate::types::{CustomerUuid, OfferingUserUuid, OfferingUuid, ProjectUuid, UserUuid};

impl FakeWaldur {
    /// Another customer.
    pub fn customer(&self, name: &str) -> CustomerSeed {
        let row = self.state().blank_customer(name);
        CustomerSeed { waldur: self.clone(), row, provider: None }
    }

    /// Another project, of the [`consumer`](Self::consumer).
    pub fn project(&self, name: &str) -> ProjectSeed {
        let row = self.state().blank_project(name, self.consumer());
        ProjectSeed { waldur: self.clone(), row }
    }

    /// Another user, without roles.
    pub fn user(&self, username: &str) -> UserSeed {
        let row = self.state().blank_user(username);
        UserSeed { waldur: self.clone(), row, roles: Vec::new(), keys: Vec::new() }
    }

    /// Changes a user who is there; roles are added to those held.
    ///
    /// # Panics
    /// When there is none of that id.
    #[track_caller]
    pub fn change_user(&self, user: UserUuid, change: impl FnOnce(UserSeed) -> UserSeed) {
        let row = self.state().user(user).cloned();
        let row = row.unwrap_or_else(|| unknown("user", user));
        change(UserSeed { waldur: self.clone(), row, roles: Vec::new(), keys: Vec::new() }).create();
    }

    /// Takes all roles in a project from a user.
    pub fn remove_from_project(&self, user: UserUuid, project: ProjectUuid) {
        let mut state = self.state();
        let held: Vec<Uuid> = state
            .roles
            .iter()
            .filter(|role| role.user == user && role.scope == Scope::Project(project))
            .map(|role| role.uuid)
            .collect();
        for role in held {
            state.roles.remove(role);
        }
    }

    /// A user's name at an offering's provider: ready, called as the user.
    ///
    /// # Panics
    /// When there is no such offering or user.
    #[track_caller]
    pub fn offering_user(&self, offering: OfferingUuid, user: UserUuid) -> OfferingUserSeed {
        let mut state = self.state();
        if state.offering(offering).is_none() {
            unknown("offering", offering);
        }
        let username = state.user(user).map(|user| user.username.clone());
        let username = username.unwrap_or_else(|| unknown("user", user));
        let (uuid, created) = (OfferingUserUuid::new(state.uuid()), state.tick());
        let row = OfferingUser {
            uuid,
            created,
            modified: created,
            propagated: None,
            offering,
            user,
            username: Some(username),
            state: OfferingUserState::Ok,
            restricted: false,
            comment: String::new(),
            comment_url: String::new(),
        };
        drop(state);
        OfferingUserSeed { waldur: self.clone(), row }
    }
}

/// A customer under construction; see [`FakeWaldur::customer`].
#[derive(Clone, Debug)]
#[must_use = "a seed is nothing until it is created"]
pub struct CustomerSeed {
    waldur: FakeWaldur,
    row: Customer,
    provider: Option<Uuid>,
}

impl CustomerSeed {
    /// Gives it an id of the test's choice.
    pub fn uuid(mut self, uuid: impl Into<CustomerUuid>) -> Self {
        self.row.uuid = uuid.into();
        self
    }

    /// Its slug, instead of one made of the name.
    pub fn slug(mut self, slug: impl Into<String>) -> Self {
        self.row.slug = slug.into();
        self
    }

    /// Its abbreviation.
    pub fn abbreviation(mut self, abbreviation: impl Into<String>) -> Self {
        self.row.abbreviation = abbreviation.into();
        self
    }

    /// Its address.
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.row.email = email.into();
        self
    }

    /// Makes it a service provider of that id.
    pub fn service_provider(mut self, uuid: Uuid) -> Self {
        self.provider = Some(uuid);
        self
    }

    /// Puts it there.
    pub fn create(self) -> CustomerUuid {
        let mut state = self.waldur.state();
        let customer = self.row.uuid;
        if let Some(uuid) = self.provider {
            let created = state.tick();
            state.providers.put(ServiceProvider { uuid, created, customer });
        }
        state.customers.put(self.row);
        customer
    }
}

/// A project under construction; see [`FakeWaldur::project`].
#[derive(Clone, Debug)]
#[must_use = "a seed is nothing until it is created"]
pub struct ProjectSeed {
    waldur: FakeWaldur,
    row: Project,
}

impl ProjectSeed {
    /// Gives it an id of the test's choice.
    pub fn uuid(mut self, uuid: impl Into<ProjectUuid>) -> Self {
        self.row.uuid = uuid.into();
        self
    }

    /// Its slug, instead of one made of the name.
    pub fn slug(mut self, slug: impl Into<String>) -> Self {
        self.row.slug = slug.into();
        self
    }

    /// Whose it is.
    pub fn customer(mut self, customer: CustomerUuid) -> Self {
        self.row.customer = customer;
        self
    }

    /// What it is about.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.row.description = description.into();
        self
    }

    /// Its name on a back end.
    pub fn backend_id(mut self, backend_id: impl Into<String>) -> Self {
        self.row.backend_id = backend_id.into();
        self
    }

    /// Its last day.
    pub fn end_date(mut self, date: Date) -> Self {
        self.row.end_date = Some(date);
        self
    }

    /// Puts it there.
    pub fn create(self) -> ProjectUuid {
        let uuid = self.row.uuid;
        self.waldur.state().projects.put(self.row);
        uuid
    }
}

/// A user under construction; see [`FakeWaldur::user`].
#[derive(Clone)]
#[must_use = "a seed is nothing until it is created"]
pub struct UserSeed {
    waldur: FakeWaldur,
    row: User,
    roles: Vec<(String, Scope, Option<Timestamp>)>,
    keys: Vec<(String, String)>,
}

impl UserSeed {
    /// Gives the user an id of the test's choice.
    pub fn uuid(mut self, uuid: impl Into<UserUuid>) -> Self {
        self.row.uuid = uuid.into();
        self
    }

    /// First and last name.
    pub fn name(mut self, first: impl Into<String>, last: impl Into<String>) -> Self {
        (self.row.first_name, self.row.last_name) = (first.into(), last.into());
        self
    }

    /// The slug, instead of one made of the username.
    pub fn slug(mut self, slug: impl Into<String>) -> Self {
        self.row.slug = slug.into();
        self
    }

    /// The address, instead of one at `example.com`.
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.row.email = email.into();
        self
    }

    /// Something else that is known of the user, by the name of the attribute (`organization`); only generation 8.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.row.profile.insert(name.into(), value.into());
        self
    }

    /// The API token, instead of one made of the id.
    pub fn token(mut self, token: &SecretString) -> Self {
        token.expose_secret().clone_into(&mut self.row.token);
        self
    }

    /// Makes the user a member of staff.
    pub fn staff(mut self) -> Self {
        self.row.is_staff = true;
        self
    }

    /// Locks the user out.
    pub fn inactive(mut self) -> Self {
        self.row.is_active = false;
        self
    }

    /// A role on a customer, e.g. `CUSTOMER.OWNER`.
    pub fn customer_role(mut self, customer: CustomerUuid, role: impl Into<String>) -> Self {
        self.roles.push((role.into(), Scope::Customer(customer), None));
        self
    }

    /// A role in a project, e.g. `PROJECT.MEMBER`.
    pub fn project_role(mut self, project: ProjectUuid, role: impl Into<String>) -> Self {
        self.roles.push((role.into(), Scope::Project(project), None));
        self
    }

    /// A role in a project that ends.
    pub fn project_role_until(mut self, project: ProjectUuid, role: impl Into<String>, end: Timestamp) -> Self {
        self.roles.push((role.into(), Scope::Project(project), Some(end)));
        self
    }

    /// A role on an offering, e.g. `OFFERING.MANAGER`.
    pub fn offering_role(mut self, offering: OfferingUuid, role: impl Into<String>) -> Self {
        self.roles.push((role.into(), Scope::Offering(offering), None));
        self
    }

    /// A public key.
    pub fn ssh_key(mut self, name: impl Into<String>, public_key: impl Into<String>) -> Self {
        self.keys.push((name.into(), public_key.into()));
        self
    }

    /// Puts the user there.
    pub fn create(self) -> UserUuid {
        let mut state = self.waldur.state();
        let user = self.row.uuid;
        state.users.put(self.row);
        for (role, scope, expires) in self.roles {
            state.grant(user, &role, scope, expires);
        }
        for (name, public_key) in self.keys {
            let uuid = state.uuid();
            state.keys.put(SshKey { uuid, user, name, public_key });
        }
        user
    }
}

impl std::fmt::Debug for UserSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserSeed").field("username", &self.row.username).finish_non_exhaustive()
    }
}

/// An offering user under construction; see [`FakeWaldur::offering_user`].
#[derive(Clone, Debug)]
#[must_use = "a seed is nothing until it is created"]
pub struct OfferingUserSeed {
    waldur: FakeWaldur,
    row: OfferingUser,
}

impl OfferingUserSeed {
    pub(super) fn of(waldur: FakeWaldur, row: OfferingUser) -> Self {
        Self { waldur, row }
    }

    /// The user may use the offering again.
    pub fn unrestricted(mut self) -> Self {
        self.row.restricted = false;
        self
    }

    /// Gives it an id of the test's choice.
    pub fn uuid(mut self, uuid: impl Into<OfferingUserUuid>) -> Self {
        self.row.uuid = uuid.into();
        self
    }

    /// The name at the provider.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.row.username = Some(username.into());
        self
    }

    /// No name yet.
    pub fn without_username(mut self) -> Self {
        self.row.username = None;
        self
    }

    /// How far it is.
    pub fn state(mut self, state: OfferingUserState) -> Self {
        self.row.state = state;
        self
    }

    /// The user may not use the offering.
    pub fn restricted(mut self) -> Self {
        self.row.restricted = true;
        self
    }

    /// Puts it there.
    pub fn create(self) -> OfferingUserUuid {
        let uuid = self.row.uuid;
        self.waldur.state().offering_users.put(self.row);
        uuid
    }
}
