//! What agents hear of and tell (core.md §1.6 #15 to #18); since generation 8. Queues of identities and logs are not in
//! the published schema of 8.0.5 and follow core.md.

use http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::agents::{identity, own_offering};
use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::{Fields, Incoming},
    integrations::{AgentQueue, EventSubscription, SubscriptionQueue},
    lists::one,
    render::{object, time},
    state::State,
};

/// The objects that messages can be about (core.md §1.5).
const OBJECTS: [&str; 14] = [
    "order",
    "user_role",
    "resource",
    "offering_user",
    "importable_resources",
    "service_account",
    "course_account",
    "resource_periodic_limits",
    "offering_resources_sync",
    "resource_api_key_rotation",
    "resource_end_date_change_request",
    "user_lifecycle",
    "user_profile",
    "user_ssh_key",
];

/// `POST marketplace-site-agent-identities/{}/register_queue/`: 201 the first time, 200 again.
pub(super) fn register_queue(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let identity = identity(state, call)?;
    let mut fields = call.fields()?;
    let words = fields.get("object_types").and_then(Value::as_array).cloned().unwrap_or_default();
    let objects: Vec<String> = words.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect();
    if let Some(wrong) = objects.iter().find(|word| !OBJECTS.contains(&word.as_str())) {
        fields.wrong("object_types", format!("\"{wrong}\" is not a valid choice."));
    }
    fields.check()?;
    let queues = &mut state.integrations.queues;
    let status = if let Some(queue) = queues.iter_mut().find(|queue| queue.identity == identity) {
        queue.objects.clone_from(&objects);
        StatusCode::OK
    } else {
        queues.push(AgentQueue { identity, objects: objects.clone() });
        StatusCode::CREATED
    };
    let hex = identity.simple();
    let shown = if objects.is_empty() { OBJECTS.map(str::to_owned).to_vec() } else { objects };
    let answer = json!({
        "queue_name": format!("consumer_{hex}"),
        "rmq_username": hex.to_string(),
        "vhost": call.user,
        "observable_object_types": shown,
    });
    Ok(Answer::json(status, answer))
}

/// `POST marketplace-site-agent-identities/{}/register_event_subscription/`: 201 the first time, 200 again.
pub(super) fn register_event_subscription(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let identity = identity(state, call)?;
    let mut fields = call.fields()?;
    let object = object_of(&mut fields, "observable_object_type");
    let description = fields.text("description", 4096).unwrap_or_default();
    fields.check()?;
    let object = object.unwrap_or_default();
    let (created, user) = (state.now(), call.user);
    let known = state.integrations.subscriptions.iter().find(|row| row.identity == identity && row.object == object);
    let (status, uuid) = match known {
        Some(row) => (StatusCode::OK, row.uuid),
        None => (StatusCode::CREATED, state.uuid()),
    };
    if status == StatusCode::CREATED {
        let row = EventSubscription { uuid, created, user, identity, object, description };
        state.integrations.subscriptions.put(row);
    }
    let row = state.integrations.subscriptions.get(uuid);
    let shown = one(call, row.and_then(|row| show_subscription(state, call, row)))?;
    Ok(Answer { status, ..shown })
}

fn show_subscription(state: &State, call: &Incoming<'_>, row: &EventSubscription) -> Option<Map<String, Value>> {
    let user = state.user(row.user)?;
    Some(object! {
        "uuid": row.uuid.simple().to_string(),
        "url": call.link("event-subscriptions", row.uuid.simple()),
        "description": row.description,
        "user": call.link("users", user.uuid),
        "user_uuid": user.uuid,
        "user_username": user.username,
        "user_full_name": user.full_name(),
        "observable_objects": vec![json!({ "object_type": row.object })],
        "created": time(row.created),
        "modified": time(row.created),
        "source_ip": Value::Null,
    })
}

/// `POST event-subscriptions/{}/create_queue/`: 201 the first time, 200 again.
pub(super) fn create_queue(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let subscription = call.id().and_then(|uuid| state.integrations.subscriptions.get(uuid));
    let subscription = subscription.filter(|row| row.user == call.user).map(|row| row.uuid);
    let subscription = subscription.ok_or_else(|| Answer::no_such("EventSubscription"))?;
    let mut fields = call.fields()?;
    let object = object_of(&mut fields, "object_type");
    let text = fields.required_text("offering_uuid", 36).unwrap_or_default();
    let offering = own_offering(state, call, &mut fields, &text);
    fields.check()?;
    let (Some(offering), Some(object)) = (offering, object) else { return Err(Answer::broken()) };
    let created = state.now();
    let queues = &state.integrations.subscription_queues;
    let same =
        |row: &&SubscriptionQueue| row.subscription == subscription && row.offering == offering && row.object == object;
    let (status, uuid) = match queues.iter().find(same) {
        Some(row) => (StatusCode::OK, row.uuid),
        None => (StatusCode::CREATED, state.uuid()),
    };
    let row = SubscriptionQueue { uuid, created, subscription, offering, object };
    let shown = show_queue(call, &row);
    state.integrations.subscription_queues.put(row);
    Ok(Answer::json(status, Value::Object(shown)))
}

fn show_queue(call: &Incoming<'_>, row: &SubscriptionQueue) -> Map<String, Value> {
    let subscription = row.subscription.simple();
    object! {
        "uuid": row.uuid.simple().to_string(),
        "url": call.link("event-subscription-queues", row.uuid.simple()),
        "event_subscription": call.link("event-subscriptions", subscription),
        "event_subscription_uuid": subscription.to_string(),
        "offering_uuid": row.offering,
        "object_type": row.object,
        "queue_name": format!("subscription_{subscription}_offering_{}_{}", row.offering, row.object),
        "vhost": call.user,
        "created": time(row.created),
    }
}

/// `POST marketplace-site-agent-logs/`: a list of lines, all of agents of the caller, or none is taken.
pub(super) fn ship_logs(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let Value::Array(lines) = call.data()? else {
        return Err(Answer::field_error("non_field_errors", "Expected a list of items."));
    };
    for line in &lines {
        let identity = line.get("agent_identity_uuid").and_then(Value::as_str);
        let identity = identity.and_then(|text| Uuid::try_parse(text).ok());
        let known = identity.and_then(|uuid| state.identities.get(uuid));
        let own = known.and_then(|row| state.offering(row.offering)).is_some_and(|row| state.provides(call.user, row));
        let text = |name: &str| line.get(name).is_some_and(Value::is_string);
        let whole = text("level") && text("message") && text("module");
        if !own || !whole || !line.get("timestamp").is_some_and(Value::is_number) {
            return Err(Answer::field_error("non_field_errors", "A line is not one of an agent of this user."));
        }
    }
    state.integrations.logs.extend(lines);
    Ok(Answer::empty(StatusCode::CREATED))
}

fn object_of(fields: &mut Fields, name: &str) -> Option<String> {
    let word = fields.required_text(name, 50)?;
    if !OBJECTS.contains(&word.as_str()) {
        fields.wrong(name, format!("\"{word}\" is not a valid choice."));
        return None;
    }
    Some(word)
}
