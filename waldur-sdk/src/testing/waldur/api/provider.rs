//! What a service provider does and sees beside its offerings: names for its users, who they are, verdicts on policies,
//! what a federation passes on.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::{people, resources};
use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::Incoming,
    lists::{Shown, page},
    model::{Customer, OfferingUser, Role, Scope, User},
    state::State,
    words::{Generation, OfferingUserState, ResourceState},
};
use crate::types::{CustomerUuid, OfferingUserUuid, OfferingUuid, ProjectUuid, ResourceUuid, UserUuid};

/// `POST marketplace-service-providers/{}/set_offerings_username/` (recorded: 260, 261): one name at every offering of
/// the provider that has a resource in a project of the user; 201 even when that was none (usernames.md §1).
/// Generation 8 ignores an empty name.
pub(super) fn set_offerings_username(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let customer = people::provider_customer(state, call)?;
    let mut fields = call.fields()?;
    let user = fields.required_text("user_uuid", 36);
    let username = fields.required("username").and_then(|_| fields.text("username", 100));
    let user = user.and_then(|text| {
        let uuid = Uuid::try_parse(&text).ok();
        if uuid.is_none() {
            fields.wrong("user_uuid", "Must be a valid UUID.");
        }
        uuid.map(UserUuid::new)
    });
    fields.check()?;
    let (Some(user), Some(username)) = (user, username) else { return Err(Answer::broken()) };
    if state.user(user).is_none() {
        return Err(Answer::sentence(&format!("A user with the uuid [{}] is not found.", user.uuid().hyphenated())));
    }
    if !(username.is_empty() && call.generation == Generation::V8) {
        for offering in offerings_used(state, customer, user) {
            name(state, offering, user, &username);
        }
    }
    Ok(Answer::json(StatusCode::CREATED, json!({ "detail": "Offering users have been set." })))
}

/// The offerings of a provider with a resource, not yet terminated, in a project of the user.
fn offerings_used(state: &State, provider: CustomerUuid, user: UserUuid) -> BTreeSet<OfferingUuid> {
    let projects: Vec<ProjectUuid> = state
        .roles
        .iter()
        .filter(|role| role.user == user)
        .filter_map(|role| match role.scope {
            Scope::Project(project) => Some(project),
            Scope::Customer(_) | Scope::Offering(_) => None,
        })
        .collect();
    let sold = |offering: OfferingUuid| state.offering(offering).is_some_and(|row| row.customer == provider);
    state
        .resources
        .iter()
        .filter(|row| row.state != ResourceState::Terminated && projects.contains(&row.project) && sold(row.offering))
        .map(|row| row.offering)
        .collect()
}

fn name(state: &mut State, offering: OfferingUuid, user: UserUuid, username: &str) {
    let ready = if username.is_empty() { OfferingUserState::Requested } else { OfferingUserState::Ok };
    let now = state.now();
    if let Some(row) = state.offering_users.iter_mut().find(|row| row.offering == offering && row.user == user) {
        (row.username, row.state, row.modified) = (Some(username.to_owned()), ready, now);
        return;
    }
    let uuid = OfferingUserUuid::new(state.uuid());
    state.offering_users.put(OfferingUser {
        uuid,
        created: now,
        modified: now,
        propagated: None,
        offering,
        user,
        username: Some(username.to_owned()),
        state: ready,
        restricted: false,
        comment: String::new(),
        comment_url: String::new(),
    });
}

/// `GET marketplace-service-providers/{}/project_permissions/` (recorded: 264).
pub(super) fn project_permissions(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let served = served(state, call)?;
    let rows: Vec<&Role> = state
        .roles
        .iter()
        .filter(|role| matches!(role.scope, Scope::Project(project) if served.contains(&project)))
        .collect();
    page(call, &rows, |row| state.show_project_permission(call, row))
}

/// `GET marketplace-service-providers/{}/customers/` (recorded: 262).
pub(super) fn customers(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let served = served(state, call)?;
    let of_projects: BTreeSet<CustomerUuid> =
        served.iter().filter_map(|project| Some(state.project(*project)?.customer)).collect();
    let rows: Vec<&Customer> = state.customers.iter().filter(|row| of_projects.contains(&row.uuid)).collect();
    page(call, &rows, |row| Some(state.show_provider_customer(call, row, &served)))
}

/// `GET marketplace-service-providers/{}/users/`: the people in those projects.
pub(super) fn users(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let served = served(state, call)?;
    let in_projects = |user: UserUuid| {
        let held = |scope| matches!(scope, Scope::Project(project) if served.contains(&project));
        state.roles.iter().any(|role| role.user == user && held(role.scope))
    };
    let rows: Vec<&User> = state.users.iter().filter(|row| in_projects(row.uuid)).collect();
    page(call, &rows, |row| Some(Shown::from(state.show_user(call, row)?)))
}

fn served(state: &State, call: &Incoming<'_>) -> Result<Vec<ProjectUuid>, Answer> {
    let customer = people::provider_customer(state, call)?;
    Ok(people::served_projects(state, customer))
}

/// `POST marketplace-slurm-periodic-usage-policies/{}/report-command-result/`, since generation 8. The fake has no
/// policies, so every one is there.
pub(super) fn report_command_result(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let policy = call.id().ok_or_else(|| Answer::no_such("SlurmPeriodicUsagePolicy"))?;
    let mut fields = call.fields()?;
    let resource = fields.required_text("resource_uuid", 36).and_then(|text| Uuid::try_parse(&text).ok());
    fields.required("success");
    fields.boolean("success");
    if !resource.is_some_and(|uuid| resources::is_provided(state, call, ResourceUuid::new(uuid))) {
        fields.wrong("resource_uuid", "Resource not found.");
    }
    fields.check()?;
    let said = call.data()?;
    state.integrations.command_results.push((policy, said));
    Ok(Answer::empty(StatusCode::OK))
}

/// `POST marketplace-provider-resources/{}/set_effective_id/`, since generation 8 (core.md §1.6 #41).
pub(super) fn set_effective_id(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = resources::provided(state, call)?;
    let mut fields = call.fields()?;
    let effective_id = fields.required("effective_id").and_then(|_| fields.text("effective_id", 255));
    fields.check()?;
    state.change_resource(uuid, |row| row.effective_id = effective_id.unwrap_or_default());
    Ok(Answer::status_text("Resource effective_id has been changed."))
}

/// `POST marketplace-provider-resources/{}/set_end_date/`, since generation 8 (core.md §1.6 #41).
pub(super) fn set_end_date(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = resources::provided(state, call)?;
    let mut fields = call.fields()?;
    let text = fields.get("end_date").and_then(serde_json::Value::as_str).map(str::to_owned);
    let date = text.as_deref().map(str::parse::<jiff::civil::Date>);
    if !fields.has("end_date") || matches!(date, Some(Err(_))) {
        fields.wrong("end_date", "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.");
    }
    fields.check()?;
    state.change_resource(uuid, |row| row.end_date = date.and_then(Result::ok));
    Ok(Answer::status_text("Resource end_date has been changed."))
}
