//! Accounts that no person has, limits of single users, and what is told of members (core.md §1.6 #40, #44, #57).

use serde_json::{Value, json};

use super::{offerings, resources};
use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::Incoming,
    lists::{Filters, page},
    model::{ProjectAccount, UserLimit},
    render::{show_course_account, show_service_account, show_user_limit},
    state::State,
};
use crate::types::ProjectUuid;

/// `GET marketplace-provider-offerings/{}/list_project_service_accounts/`, since generation 8.
pub(super) fn of_services(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let rows = accounts(state, call, false)?;
    page(call, &rows, |row| show_service_account(state, call, row))
}

/// `GET marketplace-provider-offerings/{}/list_course_accounts/`, since generation 8; not in the published schema.
pub(super) fn of_courses(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let rows = accounts(state, call, true)?;
    page(call, &rows, |row| show_course_account(state, call, row))
}

/// Those of the projects that have resources of the offering.
fn accounts<'s>(state: &'s State, call: &Incoming<'_>, of_course: bool) -> Result<Vec<&'s ProjectAccount>, Answer> {
    let offering = offerings::provided(state, call)?;
    let projects: std::collections::HashSet<ProjectUuid> =
        state.resources.iter().filter(|row| row.offering == offering).map(|row| row.project).collect();
    let rows = state.accounts.iter().filter(|row| row.of_course == of_course && projects.contains(&row.project));
    Ok(rows.collect())
}

/// `GET component-user-usage-limits/`, since generation 8.
pub(super) fn user_limits(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let offering = filters.uuid("offering_uuid");
    let resource = filters.uuid("resource_uuid");
    let component = filters.text("component_type");
    filters.check()?;
    let rows: Vec<&UserLimit> = state
        .user_limits
        .iter()
        .filter(|row| resource.is_none_or(|uuid| row.resource.uuid() == uuid))
        .filter(|row| component.is_none_or(|kind| row.component == kind))
        .filter(|row| {
            state.resource(row.resource).is_some_and(|resource| {
                offering.is_none_or(|uuid| resource.offering.uuid() == uuid)
                    && state.provides_resource(call.user, resource)
            })
        })
        .collect();
    page(call, &rows, |row| show_user_limit(state, call, row))
}

/// `POST marketplace-provider-resources/{}/set_membership_sync_statuses/`, since generation 8: in place of what was
/// told before, if the offering wants to be told.
pub(super) fn set_statuses(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let resource = resources::provided(state, call)?;
    let mut fields = call.fields()?;
    let statuses = fields.required("statuses").and_then(|statuses| statuses.as_array().cloned());
    fields.check()?;
    let offering = state.resource(resource).and_then(|row| state.offering(row.offering));
    let wanted =
        offering.is_some_and(|row| row.plugin_options.get("enable_membership_sync_status") == Some(&json!(true)));
    if !wanted {
        let text = "The offering does not report the synchronisation of members.";
        return Err(Answer::detail(http::StatusCode::CONFLICT, text));
    }
    let statuses: Vec<Value> = statuses.unwrap_or_default();
    let stored = statuses.len();
    state.member_statuses.insert(resource, statuses);
    Ok(Answer::ok(json!({ "stored": stored, "skipped": [] })))
}
