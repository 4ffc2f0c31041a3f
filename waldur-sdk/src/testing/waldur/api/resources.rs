//! Resources: reading them, and what their provider writes back.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::{Fields, Incoming},
    lists::{Filters, one, one_of, page, sort, whole},
    model::{Endpoint, Resource},
    render::Side,
    state::State,
    words::{Generation, ResourceState},
};
use crate::types::ResourceUuid;

/// `GET marketplace-provider-resources/`: what the caller sells (recorded: 148 to 153).
pub(super) fn list(state: &mut State, call: &Incoming<'_>) -> Outcome {
    list_where(state, call, |state, row| state.provides_resource(call.user, row))
}

/// `GET marketplace-resources/`: what the caller uses or sells.
pub(super) fn list_seen(state: &mut State, call: &Incoming<'_>) -> Outcome {
    list_where(state, call, |state, row| sees(state, call, row))
}

fn list_where(state: &State, call: &Incoming<'_>, visible: impl Fn(&State, &Resource) -> bool) -> Outcome {
    let mut filters = Filters::new(call);
    let states = filters.words::<ResourceState>("state");
    let offerings = filters.uuids("offering_uuid");
    let project = filters.uuid("project_uuid");
    let customer = filters.uuid("customer_uuid");
    let plan = filters.uuid("plan_uuid");
    let backend_id = filters.text("backend_id");
    let name = filters.text("name").map(str::to_lowercase);
    let name_exact = filters.text("name_exact");
    let created = filters.instant("created");
    let modified = filters.instant("modified");
    let paused = filters.boolean("paused");
    let downscaled = filters.boolean("downscaled");
    let restricted = filters.boolean("restrict_member_access");
    let order = filters.order(&["created", "name", "end_date", "state", "project_name"]);
    filters.check()?;

    let customer_of = |row: &Resource| state.project(row.project).map(|project| project.customer.uuid());
    let mut rows: Vec<&Resource> = state
        .resources
        .iter()
        .filter(|row| states.is_empty() || states.contains(&row.state))
        .filter(|row| offerings.is_empty() || offerings.contains(&row.offering.uuid()))
        .filter(|row| project.is_none_or(|uuid| row.project.uuid() == uuid))
        .filter(|row| customer.is_none_or(|uuid| customer_of(row) == Some(uuid)))
        .filter(|row| plan.is_none_or(|uuid| row.plan.is_some_and(|plan| plan.uuid() == uuid)))
        .filter(|row| backend_id.is_none_or(|id| row.backend_id == id))
        .filter(|row| name.as_ref().is_none_or(|part| row.name.to_lowercase().contains(part)))
        .filter(|row| name_exact.is_none_or(|name| row.name == name))
        .filter(|row| created.is_none_or(|at| at <= row.created))
        .filter(|row| modified.is_none_or(|at| at <= row.modified))
        .filter(|row| paused.is_none_or(|yes| row.paused == yes))
        .filter(|row| downscaled.is_none_or(|yes| row.downscaled == yes))
        .filter(|row| restricted.is_none_or(|yes| row.restrict_member_access == yes))
        .filter(|row| visible(state, row))
        .collect();
    sort(&mut rows, &order, |row, name| match name {
        "name" => row.name.clone(),
        "end_date" => row.end_date.map(|date| date.to_string()).unwrap_or_default(),
        "state" => row.state.to_string(),
        "project_name" => state.project(row.project).map(|project| project.name.clone()).unwrap_or_default(),
        _ => format!("{:040}", row.created.as_nanosecond()),
    });
    page(call, &rows, |row| state.show_resource_row(call, row))
}

/// `GET marketplace-provider-resources/{}/`.
pub(super) fn retrieve(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    one_of(call, || state.resource(uuid).and_then(|row| state.show_resource(call, row)))
}

/// `GET marketplace-resources/{}/` (recorded: 157).
pub(super) fn retrieve_seen(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = seen(state, call)?;
    one_of(call, || state.resource(uuid).and_then(|row| state.show_resource(call, row)))
}

/// `PATCH marketplace-provider-resources/{}/`: name and description; other members are ignored (recorded: 189, 190).
pub(super) fn patch(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    let name = if fields.has("name") { fields.required_text("name", 150) } else { None };
    let description = fields.text("description", 4096);
    fields.check()?;
    state.change_resource(uuid, |row| {
        row.name = name.unwrap_or_else(|| row.name.clone());
        row.description = description.unwrap_or_else(|| row.description.clone());
    });
    let row = state.resource(uuid).ok_or_else(Answer::broken)?;
    let end_date = row.end_date.map(|date| date.to_string());
    Ok(Answer::ok(json!({ "name": row.name, "description": row.description, "end_date": end_date })))
}

/// `GET …/{}/team/`: no pages (recorded: 173, 174, 241). Generation 2024 knows no consent.
pub(super) fn team(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = seen(state, call)?;
    if state.team_delay > 0 {
        state.team_delay -= 1;
        return whole(Some(Vec::new()));
    }
    whole(state.resource(uuid).and_then(|row| state.show_team(call, row)))
}

/// `GET …/{}/offering/` (recorded: 177).
pub(super) fn offering(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = seen(state, call)?;
    let offering = state.resource(uuid).and_then(|row| state.offering(row.offering));
    one(call, offering.and_then(|offering| state.show_offering(call, offering, Side::Public)))
}

/// `POST …/{}/set_backend_id/` (recorded: 028 to 033, 125, 126, 159, 161). Without the member the server breaks (031).
pub(super) fn set_backend_id(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    if !fields.has("backend_id") {
        return Err(Answer::server_error());
    }
    let backend_id = fields.text("backend_id", 255);
    fields.check()?;
    let backend_id = backend_id.unwrap_or_default();
    if state.resource(uuid).is_some_and(|row| row.backend_id == backend_id) {
        return Ok(Answer::status_text("Resource backend_id is not changed."));
    }
    state.change_resource(uuid, |row| row.backend_id = backend_id);
    Ok(Answer::status_text("Resource backend_id has been changed."))
}

/// `POST …/{}/set_backend_metadata/`: any JSON, in place of what was there (recorded: 167 to 170).
pub(super) fn set_backend_metadata(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    let metadata = fields.required("backend_metadata");
    fields.check()?;
    state.change_resource(uuid, |row| row.backend_metadata = metadata.unwrap_or_default());
    Ok(Answer::status_text("The backend metadata is updated"))
}

/// `POST …/{}/set_as_erred/`. In generation 2024 staff alone may, and what they say is lost (recorded: 178, 324, 325).
pub(super) fn set_as_erred(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let (mut message, mut traceback) = (None, None);
    match call.generation {
        Generation::V2024 if !state.is_staff(call.user) => return Err(Answer::forbidden()),
        Generation::V2024 => {}
        Generation::V8 => {
            let mut fields = call.fields()?;
            message = fields.text("error_message", 65_536);
            traceback = fields.text("error_traceback", 65_536);
            fields.check()?;
        }
    }
    state.change_resource(uuid, |row| {
        row.state = ResourceState::Erred;
        row.error_message = message.unwrap_or_else(|| row.error_message.clone());
        row.error_traceback = traceback.unwrap_or_else(|| row.error_traceback.clone());
    });
    Ok(Answer::empty(StatusCode::OK))
}

/// `POST …/{}/set_as_ok/`, since generation 8.
pub(super) fn set_as_ok(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    state.change_resource(uuid, |row| {
        row.state = ResourceState::Ok;
        row.error_message.clear();
        row.error_traceback.clear();
    });
    Ok(Answer::empty(StatusCode::OK))
}

/// `POST …/{}/set_limits/`, since generation 8: in place of what was there, without an order.
pub(super) fn set_limits(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    let limits = fields.required("limits").and_then(|limits| numbers(&mut fields, limits));
    fields.check()?;
    state.change_resource(uuid, |row| row.limits = limits.unwrap_or_default());
    Ok(Answer::status_text("Resource limits have been changed."))
}

/// `POST marketplace-slurm-remote/{}/set_limits/`, only in generation 2024: the body is the map (recorded: 181, 182,
/// 187).
pub(super) fn set_limits_of_allocation(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    if state.resource(uuid).is_none_or(|row| row.allocation.is_none()) {
        return Err(Answer::no_such("Resource"));
    }
    let Value::Object(limits) = call.data()? else {
        return Err(Answer::sentence("The payload must have dictionary type, not <class 'list'>."));
    };
    state.change_resource(uuid, |row| row.limits = limits);
    Ok(Answer::status_text("Limits are successfully set."))
}

fn numbers(fields: &mut Fields, limits: Value) -> Option<Map<String, Value>> {
    match limits {
        Value::Object(limits) if limits.values().all(Value::is_number) => Some(limits),
        _ => {
            fields.wrong("limits", "Limits must be a dictionary of numbers.");
            None
        }
    }
}

/// `POST …/{}/set_endpoints/`, since generation 8 (core.md §1.6; not in the published schema).
pub(super) fn set_endpoints(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    let wanted = fields.required("endpoints");
    let wanted: Vec<(String, String)> = wanted.as_ref().and_then(Value::as_array).map_or_else(Vec::new, |rows| {
        let text = |row: &Value, name: &str| Some(row.get(name)?.as_str()?.to_owned());
        rows.iter().filter_map(|row| Some((text(row, "name")?, text(row, "url")?))).collect()
    });
    let asked = fields.get("endpoints").and_then(Value::as_array).map(Vec::len);
    if fields.has("endpoints") && asked != Some(wanted.len()) {
        fields.wrong("endpoints", "Each endpoint must have a name and a url.");
    }
    fields.check()?;
    let endpoints = wanted.into_iter().map(|(name, url)| Endpoint { uuid: state.uuid(), name, url }).collect();
    state.change_resource(uuid, |row| row.endpoints = endpoints);
    Ok(Answer::status_text("Endpoints have been set."))
}

/// `POST …/{}/refresh_last_sync/`, since generation 8.
pub(super) fn refresh_last_sync(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let now = state.now();
    state.change_resource(uuid, |row| row.last_sync = now);
    Ok(Answer::empty(StatusCode::OK))
}

fn sees(state: &State, call: &Incoming<'_>, row: &Resource) -> bool {
    state.provides_resource(call.user, row) || state.consumes_resource(call.user, row)
}

/// Whether the caller sells a resource.
pub(super) fn is_provided(state: &State, call: &Incoming<'_>, resource: ResourceUuid) -> bool {
    state.resource(resource).is_some_and(|row| state.provides_resource(call.user, row))
}

/// The resource in the path, as its provider sees it.
pub(super) fn provided(state: &State, call: &Incoming<'_>) -> Result<ResourceUuid, Answer> {
    let row = call.id().and_then(|uuid| state.resources.get(uuid));
    let row = row.filter(|row| state.provides_resource(call.user, row));
    Ok(row.ok_or_else(|| Answer::no_such("Resource"))?.uuid)
}

/// The resource in the path, as both sides see it.
pub(super) fn seen(state: &State, call: &Incoming<'_>) -> Result<ResourceUuid, Answer> {
    let row = call.id().and_then(|uuid| state.resources.get(uuid)).filter(|row| sees(state, call, row));
    Ok(row.ok_or_else(|| Answer::no_such("Resource"))?.uuid)
}
