//! Keys of customers (core.md §1.6 #47); since generation 8. They are not in the published schema of 8.0.5: members and
//! states follow core.md, and the answers of writes what the Python client 8.1.2 wants to read, a row as in the list. The
//! secret is in none of them: only calls that this fake does not serve show it (`{}/` and `{}/reveal/`).

use http::StatusCode;
use serde_json::{Map, Value};

use super::resources;
use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::Incoming,
    integrations::ApiKey,
    lists::{Filters, page},
    render::{object, time},
    state::State,
    words::ApiKeyState,
};
use crate::types::ResourceUuid;

/// `GET marketplace-resource-api-keys/`: of the resources that the caller sells. No secret is in it.
pub(super) fn list(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let resource = filters.uuid("resource_uuid");
    let offering = filters.uuid("offering_uuid");
    let states = filters.words::<ApiKeyState>("state");
    let before = filters.instant("modified_before");
    filters.check()?;
    let offering_of = |row: &ApiKey| state.resource(row.resource).map(|row| row.offering.uuid());
    let rows: Vec<&ApiKey> = state
        .integrations
        .api_keys
        .iter()
        .filter(|row| resource.is_none_or(|uuid| row.resource.uuid() == uuid))
        .filter(|row| offering.is_none_or(|uuid| offering_of(row) == Some(uuid)))
        .filter(|row| states.is_empty() || states.contains(&row.state))
        .filter(|row| before.is_none_or(|at| row.modified < at))
        .filter(|row| state.resource(row.resource).is_some_and(|row| state.provides_resource(call.user, row)))
        .collect();
    page(call, &rows, |row| show(state, row))
}

fn show(state: &State, row: &ApiKey) -> Option<Map<String, Value>> {
    let resource = state.resource(row.resource)?;
    Some(object! {
        "uuid": row.uuid.simple().to_string(),
        "resource_uuid": row.resource,
        "resource_backend_id": resource.backend_id,
        "client_id": row.client_id,
        "state": row.state.as_str(),
        "error_message": row.error_message,
        "modified": time(row.modified),
    })
}

/// `POST marketplace-resource-api-keys/report_created/`. A second key of one `client_id` is refused.
pub(super) fn report_created(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut fields = call.fields()?;
    let resource = fields.required_text("resource", 36).and_then(|text| uuid::Uuid::try_parse(&text).ok());
    let resource = resource.map(ResourceUuid::new).filter(|uuid| resources::is_provided(state, call, *uuid));
    let client_id = fields.required_text("client_id", 255);
    let secret = fields.required_text("api_key", 4096);
    if resource.is_none() {
        fields.wrong("resource", "Object does not exist.");
    }
    fields.check()?;
    let (Some(resource), Some(secret)) = (resource, secret) else { return Err(Answer::broken()) };
    if state.integrations.api_keys.iter().any(|row| row.resource == resource && row.client_id == client_id) {
        let text = "The fields resource, client_id must make a unique set.";
        return Err(Answer::field_error("non_field_errors", text));
    }
    let (uuid, modified) = (state.uuid(), state.now());
    let row =
        ApiKey { uuid, modified, resource, client_id, secret, state: ApiKeyState::Ok, error_message: String::new() };
    let shown = show(state, &row).ok_or_else(Answer::broken)?;
    state.integrations.api_keys.put(row);
    Ok(Answer::json(StatusCode::CREATED, Value::Object(shown)))
}

/// `POST …/{}/set_key/`: the key is in use again.
pub(super) fn set_key(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    let secret = fields.required_text("api_key", 4096);
    let client_id = fields.text("client_id", 255);
    fields.check()?;
    change(state, uuid, |row| {
        row.secret = secret.unwrap_or_default();
        row.client_id = client_id.or_else(|| row.client_id.take());
        row.state = ApiKeyState::Ok;
        row.error_message.clear();
    })
}

/// `POST …/{}/set_erred/`.
pub(super) fn set_erred(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    let message = fields.text("error_message", 65_536).unwrap_or_default();
    fields.check()?;
    change(state, uuid, |row| {
        row.state = ApiKeyState::Erred;
        row.error_message = message;
    })
}

/// Answers with the key as it is afterwards, as every call about keys does.
fn change(state: &mut State, uuid: uuid::Uuid, change: impl FnOnce(&mut ApiKey)) -> Outcome {
    let now = state.now();
    let row = state.integrations.api_keys.get_mut(uuid).ok_or_else(Answer::broken)?;
    change(row);
    row.modified = now;
    let row = state.integrations.api_keys.get(uuid).ok_or_else(Answer::broken)?;
    Ok(Answer::json(StatusCode::OK, Value::Object(show(state, row).ok_or_else(Answer::broken)?)))
}

fn provided(state: &State, call: &Incoming<'_>) -> Result<uuid::Uuid, Answer> {
    let row = call.id().and_then(|uuid| state.integrations.api_keys.get(uuid));
    let row = row.filter(|row| resources::is_provided(state, call, row.resource));
    Ok(row.ok_or_else(|| Answer::no_such("ResourceApiKey"))?.uuid)
}
