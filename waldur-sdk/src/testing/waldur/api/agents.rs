//! Site agents that register themselves: identity, service, processor (core.md §1.6 #10 to #14); since generation 8.

use http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::{Fields, Incoming},
    lists::{Filters, one, page},
    model::{AgentIdentity, AgentProcessor, AgentService},
    state::State,
};
use crate::types::OfferingUuid;

/// What an identity tells about its agent besides offering and name.
const ABOUT: [&str; 5] = ["version", "dependencies", "config_file_path", "config_file_content", "last_restarted"];

/// `GET marketplace-site-agent-identities/`.
pub(super) fn list(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let name = filters.text("name");
    let offering = filters.uuid("offering_uuid");
    filters.check()?;
    let rows: Vec<&AgentIdentity> = state
        .identities
        .iter()
        .filter(|row| name.is_none_or(|name| row.name == name))
        .filter(|row| offering.is_none_or(|uuid| row.offering.uuid() == uuid))
        .filter(|row| provides(state, call, row.offering))
        .collect();
    page(call, &rows, |row| Some(state.show_identity(call, row)))
}

/// `GET marketplace-site-agent-identities/{}/`.
pub(super) fn retrieve(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = identity(state, call)?;
    one(call, state.identities.get(uuid).map(|row| state.show_identity(call, row)))
}

/// `POST marketplace-site-agent-identities/`. A second identity of one name and offering is refused.
pub(super) fn create(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let wanted = read(state, call)?;
    if state.identities.iter().any(|row| row.offering == wanted.offering && row.name == wanted.name) {
        return Err(Answer::field_error("non_field_errors", "The fields offering, name must make a unique set."));
    }
    let (uuid, created) = (state.uuid(), state.now());
    let Wanted { offering, name, about } = wanted;
    state.identities.put(AgentIdentity { uuid, created, modified: created, offering, name, about });
    let shown = one(call, state.identities.get(uuid).map(|row| state.show_identity(call, row)))?;
    Ok(Answer { status: StatusCode::CREATED, ..shown })
}

/// `PUT marketplace-site-agent-identities/{}/`.
pub(super) fn put(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = identity(state, call)?;
    let Wanted { offering, name, about } = read(state, call)?;
    let now = state.now();
    if let Some(row) = state.identities.get_mut(uuid) {
        (row.offering, row.name, row.about, row.modified) = (offering, name, about, now);
    }
    one(call, state.identities.get(uuid).map(|row| state.show_identity(call, row)))
}

/// `POST marketplace-site-agent-identities/{}/register_service/`: 201 the first time, 200 again.
pub(super) fn register_service(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let identity = identity(state, call)?;
    let mut fields = call.fields()?;
    let name = fields.required_text("name", 150);
    fields.check()?;
    let name = name.unwrap_or_default();
    let mode = fields.get("mode").cloned().unwrap_or_default();
    let now = state.now();
    let known = state.services.iter_mut().find(|row| row.identity == identity && row.name == name);
    let (status, uuid) = if let Some(row) = known {
        (row.mode, row.modified) = (mode, now);
        (StatusCode::OK, row.uuid)
    } else {
        let uuid = state.uuid();
        // Clients of 8.1 do not read a service without an object here.
        let statistics = Value::Object(Map::new());
        state.services.put(AgentService { uuid, created: now, modified: now, identity, name, mode, statistics });
        (StatusCode::CREATED, uuid)
    };
    let shown = one(call, state.services.get(uuid).and_then(|row| state.show_service(call, row)))?;
    Ok(Answer { status, ..shown })
}

/// `POST marketplace-site-agent-services/{}/set_statistics/`.
pub(super) fn set_statistics(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = service(state, call)?;
    let mut fields = call.fields()?;
    let statistics = fields.required("statistics");
    fields.check()?;
    let now = state.now();
    if let Some(row) = state.services.get_mut(uuid) {
        (row.statistics, row.modified) = (statistics.unwrap_or_default(), now);
    }
    one(call, state.services.get(uuid).and_then(|row| state.show_service(call, row)))
}

/// `POST marketplace-site-agent-services/{}/register_processor/`: 201 the first time, 200 again.
pub(super) fn register_processor(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let service = service(state, call)?;
    let mut fields = call.fields()?;
    let name = fields.required_text("name", 150);
    let backend_type = fields.required("backend_type");
    fields.check()?;
    let (name, backend_type) = (name.unwrap_or_default(), backend_type.unwrap_or_default());
    let backend_version = fields.get("backend_version").cloned().unwrap_or_default();
    let now = state.now();
    let known = state.processors.iter_mut().find(|row| row.service == service && row.name == name);
    let (status, uuid) = if let Some(row) = known {
        (row.backend_type, row.backend_version, row.modified) = (backend_type, backend_version, now);
        (StatusCode::OK, row.uuid)
    } else {
        let uuid = state.uuid();
        let row = AgentProcessor { uuid, created: now, modified: now, service, name, backend_type, backend_version };
        state.processors.put(row);
        (StatusCode::CREATED, uuid)
    };
    let shown = one(call, state.processors.get(uuid).and_then(|row| state.show_processor(call, row)))?;
    Ok(Answer { status, ..shown })
}

struct Wanted {
    offering: OfferingUuid,
    name: String,
    about: Map<String, Value>,
}

fn read(state: &State, call: &Incoming<'_>) -> Result<Wanted, Answer> {
    let mut fields = call.fields()?;
    let name = fields.required_text("name", 150);
    let offering = fields.required_text("offering", 36).and_then(|text| own_offering(state, call, &mut fields, &text));
    fields.check()?;
    let about = ABOUT.iter().filter_map(|name| Some(((*name).to_owned(), fields.get(name)?.clone()))).collect();
    let (Some(offering), Some(name)) = (offering, name) else { return Err(Answer::broken()) };
    Ok(Wanted { offering, name, about })
}

pub(super) fn own_offering(
    state: &State,
    call: &Incoming<'_>,
    fields: &mut Fields,
    text: &str,
) -> Option<OfferingUuid> {
    let uuid = Uuid::try_parse(text).ok().map(OfferingUuid::new);
    let own = uuid.filter(|uuid| provides(state, call, *uuid));
    if own.is_none() {
        fields.wrong("offering", format!("Object with uuid={text} does not exist."));
    }
    own
}

fn provides(state: &State, call: &Incoming<'_>, offering: OfferingUuid) -> bool {
    state.offering(offering).is_some_and(|offering| state.provides(call.user, offering))
}

pub(super) fn identity(state: &State, call: &Incoming<'_>) -> Result<Uuid, Answer> {
    let row = call.id().and_then(|uuid| state.identities.get(uuid));
    let row = row.filter(|row| provides(state, call, row.offering));
    Ok(row.ok_or_else(|| Answer::no_such("AgentIdentity"))?.uuid)
}

fn service(state: &State, call: &Incoming<'_>) -> Result<Uuid, Answer> {
    let row = call.id().and_then(|uuid| state.services.get(uuid));
    let offering = row.and_then(|row| state.identities.get(row.identity)).map(|identity| identity.offering);
    match (row, offering) {
        (Some(row), Some(offering)) if provides(state, call, offering) => Ok(row.uuid),
        _ => Err(Answer::no_such("AgentService")),
    }
}
