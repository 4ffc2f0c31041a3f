//! Objects that may be imported, and wishes for them (core.md §1.6 #45, #46); since generation 8.

use http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::agents::own_offering;
use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::Incoming,
    integrations::{BackendResource, ImportRequest},
    lists::{Filters, one, page},
    render::{object, time},
    state::State,
    words::ImportState,
};
use crate::types::{OfferingUuid, ProjectUuid};

/// `GET backend-resources/`.
pub(super) fn list(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let backend_id = filters.text("backend_id");
    let project = filters.uuid("project_uuid");
    let offering = filters.uuid("offering_uuid");
    filters.check()?;
    let rows: Vec<&BackendResource> = state
        .integrations
        .backend_resources
        .iter()
        .filter(|row| backend_id.is_none_or(|id| row.backend_id == id))
        .filter(|row| project.is_none_or(|uuid| row.project.uuid() == uuid))
        .filter(|row| offering.is_none_or(|uuid| row.offering.uuid() == uuid))
        .filter(|row| provides(state, call, row.offering))
        .collect();
    page(call, &rows, |row| show(state, call, row))
}

fn show(state: &State, call: &Incoming<'_>, row: &BackendResource) -> Option<Map<String, Value>> {
    let (project, offering) = (state.project(row.project)?, state.offering(row.offering)?);
    Some(object! {
        "url": call.link("backend-resources", row.uuid.simple()),
        "uuid": row.uuid.simple().to_string(),
        "name": row.name,
        "created": time(row.created),
        "modified": time(row.created),
        "project": project.uuid,
        "project_name": project.name,
        "project_url": call.link("projects", project.uuid),
        "offering": offering.uuid,
        "offering_name": offering.name,
        "offering_url": call.link("marketplace-provider-offerings", offering.uuid),
        "backend_id": row.backend_id,
        "backend_metadata": row.backend_metadata,
    })
}

/// `POST backend-resources/`. The server takes the same object twice.
pub(super) fn create(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut fields = call.fields()?;
    let name = fields.required_text("name", 150);
    let text = fields.required_text("offering", 36).unwrap_or_default();
    let offering = own_offering(state, call, &mut fields, &text);
    let project = fields.required_text("project", 36).and_then(|text| Uuid::try_parse(&text).ok());
    let project = project.map(ProjectUuid::new).filter(|uuid| state.project(*uuid).is_some());
    if project.is_none() {
        fields.wrong("project", "Object does not exist.");
    }
    let backend_id = fields.text("backend_id", 255).unwrap_or_default();
    fields.check()?;
    let backend_metadata = fields.get("backend_metadata").cloned().unwrap_or_else(|| json!({}));
    let (Some(name), Some(project), Some(offering)) = (name, project, offering) else { return Err(Answer::broken()) };
    let (uuid, created) = (state.uuid(), state.now());
    let row = BackendResource { uuid, created, name, project, offering, backend_id, backend_metadata };
    let shown = show(state, call, &row).ok_or_else(Answer::broken)?;
    state.integrations.backend_resources.put(row);
    Ok(Answer::json(StatusCode::CREATED, Value::Object(shown)))
}

/// `GET backend-resource-requests/`.
pub(super) fn list_requests(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let offering = filters.uuid("offering_uuid");
    let states = filters.words::<ImportState>("state");
    filters.check()?;
    let rows: Vec<&ImportRequest> = state
        .integrations
        .import_requests
        .iter()
        .filter(|row| offering.is_none_or(|uuid| row.offering.uuid() == uuid))
        .filter(|row| states.is_empty() || states.contains(&row.state))
        .filter(|row| provides(state, call, row.offering))
        .collect();
    page(call, &rows, |row| show_request(state, call, row))
}

/// `GET backend-resource-requests/{}/`.
pub(super) fn retrieve_request(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = request(state, call, None)?;
    one(call, state.integrations.import_requests.get(uuid).and_then(|row| show_request(state, call, row)))
}

fn show_request(state: &State, call: &Incoming<'_>, row: &ImportRequest) -> Option<Map<String, Value>> {
    let offering = state.offering(row.offering)?;
    Some(object! {
        "url": call.link("backend-resource-requests", row.uuid.simple()),
        "uuid": row.uuid.simple().to_string(),
        "created": time(row.created),
        "modified": time(row.modified),
        "started": row.started.map(time),
        "finished": row.finished.map(time),
        "state": row.state.as_str(),
        "offering": offering.uuid,
        "offering_name": offering.name,
        "offering_url": call.link("marketplace-provider-offerings", offering.uuid),
        "error_message": row.error_message,
        "error_traceback": row.error_traceback,
    })
}

/// `POST backend-resource-requests/{}/start_processing/`.
pub(super) fn start_processing(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = request(state, call, Some(ImportState::Sent))?;
    let now = state.now();
    Ok(go(state, uuid, ImportState::Processing, |row| row.started = Some(now)))
}

/// `POST backend-resource-requests/{}/set_done/`.
pub(super) fn set_done(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = request(state, call, Some(ImportState::Processing))?;
    let now = state.now();
    Ok(go(state, uuid, ImportState::Done, |row| row.finished = Some(now)))
}

/// `POST backend-resource-requests/{}/set_erred/`.
pub(super) fn set_erred(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = request(state, call, Some(ImportState::Processing))?;
    let mut fields = call.fields()?;
    let message = fields.text("error_message", 65_536).unwrap_or_default();
    let traceback = fields.text("error_traceback", 65_536).unwrap_or_default();
    fields.check()?;
    let now = state.now();
    Ok(go(state, uuid, ImportState::Erred, |row| {
        (row.error_message, row.error_traceback, row.finished) = (message, traceback, Some(now));
    }))
}

fn go(state: &mut State, uuid: Uuid, to: ImportState, change: impl FnOnce(&mut ImportRequest)) -> Answer {
    let now = state.now();
    if let Some(row) = state.integrations.import_requests.get_mut(uuid) {
        (row.state, row.modified) = (to, now);
        change(row);
    }
    Answer::status_text(&format!("The request is {to}."))
}

/// The request in the path; in the state `from` if one is asked for.
fn request(state: &State, call: &Incoming<'_>, from: Option<ImportState>) -> Result<Uuid, Answer> {
    let row = call.id().and_then(|uuid| state.integrations.import_requests.get(uuid));
    let row = row.filter(|row| provides(state, call, row.offering));
    let row = row.ok_or_else(|| Answer::no_such("BackendResourceRequest"))?;
    match from {
        Some(valid) if row.state != valid => Err(Answer::wrong_state(&[valid.as_str()])),
        _ => Ok(row.uuid),
    }
}

fn provides(state: &State, call: &Incoming<'_>, offering: OfferingUuid) -> bool {
    state.offering(offering).is_some_and(|offering| state.provides(call.user, offering))
}
