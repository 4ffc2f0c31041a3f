//! Customers, other users, roles and who has them (recorded: 276, 277, 288 to 293).

use uuid::Uuid;

use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::Incoming,
    lists::{Filters, Shown, one, page},
    model::{Customer, Role, Scope, User},
    render::{ROLES, show_role},
    state::State,
};
use crate::types::{CustomerUuid, ProjectUuid, UserUuid};

/// `GET customers/`: those in which the caller has a role (recorded: 288).
pub(super) fn list_customers(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let name_exact = filters.text("name_exact");
    let query = filters.text("query").map(str::to_lowercase);
    let user = filters.uuid("user_uuid");
    let archived = filters.boolean("archived");
    filters.check()?;
    let held_by = |row: &Customer, user: Uuid| {
        state.roles.iter().any(|role| role.user.uuid() == user && role.scope == Scope::Customer(row.uuid))
    };
    let rows: Vec<&Customer> = state
        .customers
        .iter()
        .filter(|row| name_exact.is_none_or(|name| row.name == name))
        .filter(|row| query.as_ref().is_none_or(|part| row.name.to_lowercase().contains(part)))
        .filter(|row| user.is_none_or(|user| held_by(row, user)))
        .filter(|_| archived != Some(true))
        .filter(|row| sees_customer(state, call, row))
        .collect();
    page(call, &rows, |row| Some(state.show_customer(call, row)))
}

/// `GET customers/{}/` (recorded: 289).
pub(super) fn retrieve_customer(state: &mut State, call: &Incoming<'_>) -> Outcome {
    one(call, Some(state.show_customer(call, customer(state, call)?)))
}

/// `GET customers/{}/list_users/` (recorded: 290).
pub(super) fn customer_users(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let scope = Scope::Customer(customer(state, call)?.uuid);
    holders(state, call, scope)
}

fn customer<'s>(state: &'s State, call: &Incoming<'_>) -> Result<&'s Customer, Answer> {
    let row = call.id().and_then(|uuid| state.customers.get(uuid)).filter(|row| sees_customer(state, call, row));
    row.ok_or_else(|| Answer::no_such("Customer"))
}

fn sees_customer(state: &State, call: &Incoming<'_>, row: &Customer) -> bool {
    let holds = |scope| state.roles.iter().any(|role| role.user == call.user && role.scope == scope);
    let of_projects = || {
        let mut projects = state.projects.iter().filter(|project| project.customer == row.uuid);
        projects.any(|project| holds(Scope::Project(project.uuid)))
    };
    state.is_staff(call.user) || holds(Scope::Customer(row.uuid)) || of_projects()
}

/// `GET projects/{}/list_users/` (recorded: 276, 277).
pub(super) fn project_users(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let row = call.id().and_then(|uuid| state.projects.get(uuid)).filter(|row| state.consumes(call.user, row));
    let scope = Scope::Project(row.ok_or_else(|| Answer::no_such("Project"))?.uuid);
    holders(state, call, scope)
}

fn holders(state: &State, call: &Incoming<'_>, scope: Scope) -> Outcome {
    let mut filters = Filters::new(call);
    let user = filters.uuid("user");
    let username = filters.text("username");
    filters.check()?;
    let called = |role: &Role, name: &str| state.user(role.user).is_some_and(|user| user.username == name);
    let rows: Vec<&Role> = state
        .roles
        .iter()
        .filter(|role| role.scope == scope)
        .filter(|role| user.is_none_or(|uuid| role.user.uuid() == uuid))
        .filter(|role| username.is_none_or(|name| called(role, name)))
        .collect();
    page(call, &rows, |row| state.show_holder(call, row))
}

/// `GET users/`: the caller, those who share a customer or project, and everybody to staff (recorded: 291).
pub(super) fn list_users(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let username = filters.text("username");
    let email = filters.text("email");
    let project = filters.uuid("project_uuid");
    let customer = filters.uuid("customer_uuid");
    let active = filters.boolean("is_active");
    filters.check()?;
    let state = &*state;
    let scopes = |row: &User| {
        let user = row.uuid;
        state.roles.iter().filter(move |role| role.user == user).map(|role| role.scope)
    };
    let in_project = |row: &User, uuid: Uuid| scopes(row).any(|scope| scope == Scope::Project(ProjectUuid::new(uuid)));
    let in_customer =
        |row: &User, uuid: Uuid| scopes(row).any(|scope| customer_of(state, scope) == Some(CustomerUuid::new(uuid)));
    let rows: Vec<&User> = state
        .users
        .iter()
        .filter(|row| username.is_none_or(|name| row.username == name))
        .filter(|row| email.is_none_or(|email| row.email == email))
        .filter(|row| active.is_none_or(|yes| row.is_active == yes))
        .filter(|row| project.is_none_or(|uuid| in_project(row, uuid)))
        .filter(|row| customer.is_none_or(|uuid| in_customer(row, uuid)))
        .filter(|row| sees_user(state, call, row))
        .collect();
    page(call, &rows, |row| Some(Shown::from(state.show_user(call, row)?)))
}

/// `GET users/{}/` (recorded: 292).
pub(super) fn retrieve_user(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let row = call.id().and_then(|uuid| state.users.get(uuid)).filter(|row| sees_user(state, call, row));
    let row = row.ok_or_else(|| Answer::no_such("User"))?;
    one(call, state.show_user(call, row))
}

fn customer_of(state: &State, scope: Scope) -> Option<CustomerUuid> {
    match scope {
        Scope::Customer(customer) => Some(customer),
        Scope::Project(project) => state.project(project).map(|project| project.customer),
        Scope::Offering(_) => None,
    }
}

fn sees_user(state: &State, call: &Incoming<'_>, row: &User) -> bool {
    let customers = |user: UserUuid| {
        state.roles.iter().filter(move |role| role.user == user).filter_map(|role| customer_of(state, role.scope))
    };
    row.uuid == call.user
        || state.is_staff(call.user)
        || customers(call.user).any(|mine| customers(row.uuid).any(|theirs| mine == theirs))
}

/// `GET roles/` (recorded: 293). The fake has those that it can grant.
pub(super) fn list_roles(_: &mut State, call: &Incoming<'_>) -> Outcome {
    let filters = Filters::new(call);
    let name = filters.text("name").map(str::to_uppercase);
    filters.check()?;
    let rows: Vec<_> = ROLES.iter().filter(|(row, ..)| name.as_ref().is_none_or(|part| row.contains(part))).collect();
    page(call, &rows, |row| Some(show_role(call, row)))
}
