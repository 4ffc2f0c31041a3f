//! What a test puts into the fake before it begins.
//!
//! Every seed is a row under construction: it has its id and all defaults from the start and is put into the database
//! by its last call (`create`, `pending`, `executing`, `in_state`).

mod accounts;
mod integrations;
mod offerings;
mod orders;
mod people;
mod resources;
mod usages;

pub use accounts::AccountSeed;
pub use integrations::ApiKeySeed;
pub use offerings::{ComponentSeed, OfferingSeed, PlanSeed};
pub use orders::{OrderOnOffering, OrderOnResource, OrderSeed};
pub use people::{CustomerSeed, OfferingUserSeed, ProjectSeed, UserSeed};
pub use resources::ResourceSeed;
pub use usages::UsageView;

use super::{
    model::{Customer, Project, Role, Scope, ServiceProvider, User},
    state::State,
};
use crate::types::{CustomerUuid, ProjectUuid, UserUuid};

/// Who is there from the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cast {
    pub(super) provider: CustomerUuid,
    pub(super) consumer: CustomerUuid,
    pub(super) project: ProjectUuid,
    pub(super) agent: UserUuid,
    pub(super) owner: UserUuid,
    pub(super) staff: UserUuid,
}

impl Cast {
    pub(super) fn enter(state: &mut State) -> Self {
        let provider = state.blank_customer("Example Provider");
        let consumer = state.blank_customer("Example Consumer");
        let project = state.blank_project("Example Project", consumer.uuid);
        let agent = state.blank_user("agent");
        let owner = state.blank_user("owner");
        let staff = User { is_staff: true, ..state.blank_user("staff") };
        let cast = Self {
            provider: provider.uuid,
            consumer: consumer.uuid,
            project: project.uuid,
            agent: agent.uuid,
            owner: owner.uuid,
            staff: staff.uuid,
        };
        state.sell(provider.uuid);
        for customer in [provider, consumer] {
            state.customers.put(customer);
        }
        for user in [agent, owner, staff] {
            state.users.put(user);
        }
        state.projects.put(project);
        state.grant(cast.agent, "CUSTOMER.OWNER", Scope::Customer(cast.provider), None);
        state.grant(cast.owner, "CUSTOMER.OWNER", Scope::Customer(cast.consumer), None);
        cast
    }
}

impl State {
    fn blank_customer(&mut self, name: &str) -> Customer {
        let uuid = CustomerUuid::new(self.uuid());
        let slug = self.slug("customer", name);
        let (created, abbreviation, email) = (self.now(), String::new(), String::new());
        Customer { uuid, created, name: name.to_owned(), slug, abbreviation, email }
    }

    fn blank_project(&mut self, name: &str, customer: CustomerUuid) -> Project {
        let uuid = ProjectUuid::new(self.uuid());
        let (created, slug) = (self.tick(), self.slug("project", name));
        let (description, backend_id) = (String::new(), String::new());
        Project { uuid, created, customer, name: name.to_owned(), slug, description, backend_id, end_date: None }
    }

    /// A token is the id and eight digits: 40, as on the real server.
    fn blank_user(&mut self, username: &str) -> User {
        let uuid = UserUuid::new(self.uuid());
        let (created, slug) = (self.tick(), self.slug("user", username));
        User {
            uuid,
            created,
            username: username.to_owned(),
            slug,
            first_name: username.to_owned(),
            last_name: String::new(),
            email: format!("{username}@example.com"),
            token: format!("{}f4ce70ce", uuid.hex()),
            is_staff: false,
            is_active: true,
            profile: serde_json::Map::new(),
        }
    }

    fn sell(&mut self, customer: CustomerUuid) {
        let (uuid, created) = (self.uuid(), self.tick());
        self.providers.put(ServiceProvider { uuid, created, customer });
    }

    fn grant(&mut self, user: UserUuid, name: &str, scope: Scope, expires: Option<jiff::Timestamp>) {
        let (uuid, created) = (self.uuid(), self.tick());
        self.roles.put(Role { uuid, created, user, name: name.to_owned(), scope, expires });
    }
}
