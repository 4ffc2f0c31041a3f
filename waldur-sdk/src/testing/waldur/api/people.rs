//! Version, users, projects and service providers.

use serde_json::json;
use uuid::Uuid;

use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::Incoming,
    lists::{Filters, Shown, one, page},
    model::{Project, Scope, ServiceProvider, SshKey},
    render::show_key,
    state::State,
    words::Generation,
};
use crate::types::{CustomerUuid, ProjectUuid};

/// `GET version/`. Generation 8 tells staff only, by its published schema.
pub(super) fn version(state: &mut State, call: &Incoming<'_>) -> Outcome {
    match call.generation {
        Generation::V2024 => Ok(Answer::ok(json!({ "version": "2024.10" }))),
        Generation::V8 if state.is_staff(call.user) => {
            Ok(Answer::ok(json!({ "version": "8.0.5", "latest_version": "8.0.5" })))
        }
        Generation::V8 => Err(Answer::forbidden()),
    }
}

/// `GET users/me/`: with the caller's own token, unless `field=` leaves it out (recorded: 003 to 005).
pub(super) fn me(state: &mut State, call: &Incoming<'_>) -> Outcome {
    one(call, state.user(call.user).and_then(|user| state.show_me(call, user)))
}

/// `GET projects/`: those the caller uses (recorded: 273, 274, 337).
pub(super) fn list_projects(state: &mut State, call: &Incoming<'_>) -> Outcome {
    list_projects_where(state, call, |row| state.consumes(call.user, row))
}

/// `GET projects/{}/` (recorded: 275).
pub(super) fn retrieve_project(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let row = call.id().and_then(|uuid| state.projects.get(uuid)).filter(|row| state.consumes(call.user, row));
    let row = row.ok_or_else(|| Answer::no_such("Project"))?;
    one(call, state.show_project(call, row))
}

fn list_projects_where(state: &State, call: &Incoming<'_>, visible: impl Fn(&Project) -> bool) -> Outcome {
    let filters = Filters::new(call);
    let slug = filters.text("slug");
    let name = filters.text("name").map(str::to_lowercase);
    let name_exact = filters.text("name_exact");
    let query = filters.text("query").map(str::to_lowercase);
    let found = |row: &Project, query: &str| {
        Uuid::try_parse(query).is_ok_and(|uuid| uuid == row.uuid.uuid())
            || row.name.to_lowercase().contains(query)
            || row.slug == query
    };
    let rows: Vec<&Project> = state
        .projects
        .iter()
        .filter(|row| slug.is_none_or(|slug| row.slug == slug))
        .filter(|row| name.as_ref().is_none_or(|part| row.name.to_lowercase().contains(part)))
        .filter(|row| name_exact.is_none_or(|name| row.name == name))
        .filter(|row| query.as_ref().is_none_or(|query| found(row, query)))
        .filter(|row| visible(row))
        .collect();
    page(call, &rows, |row| state.show_project(call, row))
}

/// `GET marketplace-service-providers/`. Generation 2024 does not know `field=` here (recorded: 257).
pub(super) fn list_providers(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let customer = filters.uuid("customer_uuid");
    filters.check()?;
    let rows: Vec<&ServiceProvider> =
        state.providers.iter().filter(|row| customer.is_none_or(|uuid| row.customer.uuid() == uuid)).collect();
    page(call, &rows, |row| {
        let mut shown: Shown = state.show_provider(call, row)?.into();
        shown.selectable = call.generation == Generation::V8;
        Some(shown)
    })
}

/// `GET marketplace-service-providers/{}/` (recorded: 258).
pub(super) fn retrieve_provider(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let row = call.id().and_then(|uuid| state.providers.get(uuid));
    let row = row.ok_or_else(|| Answer::no_such("ServiceProvider"))?;
    one(call, state.show_provider(call, row))
}

/// `GET marketplace-service-providers/{}/projects/`: those with a resource of the provider (recorded: 263, 271).
pub(super) fn provider_projects(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let customer = provider_customer(state, call)?;
    let served = served_projects(state, customer);
    list_projects_where(state, call, |row| served.contains(&row.uuid))
}

/// `GET marketplace-service-providers/{}/keys/`: of the people in those projects (recorded: 265).
pub(super) fn provider_keys(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let customer = provider_customer(state, call)?;
    let served = served_projects(state, customer);
    let mut filters = Filters::new(call);
    let user = filters.uuid("user_uuid");
    filters.check()?;
    let is_of_member = |key: &SshKey| {
        let in_project = |scope| matches!(scope, Scope::Project(project) if served.contains(&project));
        state.roles.iter().any(|role| role.user == key.user && in_project(role.scope))
    };
    let rows: Vec<&SshKey> = state
        .keys
        .iter()
        .filter(|key| user.is_none_or(|uuid| key.user.uuid() == uuid))
        .filter(|key| is_of_member(key))
        .collect();
    page(call, &rows, |key| Some(show_key(call, key)))
}

pub(super) fn provider_customer(state: &State, call: &Incoming<'_>) -> Result<CustomerUuid, Answer> {
    let row = call.id().and_then(|uuid| state.providers.get(uuid));
    let row = row.ok_or_else(|| Answer::no_such("ServiceProvider"))?;
    if state.provides_for(call.user, row.customer) { Ok(row.customer) } else { Err(Answer::forbidden()) }
}

pub(super) fn served_projects(state: &State, provider: CustomerUuid) -> Vec<ProjectUuid> {
    let of_provider = |offering| state.offering(offering).is_some_and(|offering| offering.customer == provider);
    state.resources.iter().filter(|row| of_provider(row.offering)).map(|row| row.project).collect()
}
