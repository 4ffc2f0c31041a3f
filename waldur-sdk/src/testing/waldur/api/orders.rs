//! Orders: reading them, and what their provider and their customer may do.

use http::StatusCode;
use rust_decimal::Decimal;
use serde_json::json;

use super::{disabled, unserved};
use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::Incoming,
    lists::{Filters, one_of, page, sort},
    model::Order,
    state::{SITE_AGENT, State},
    words::{Generation, OrderKind, OrderState},
};
use crate::types::OrderUuid;

const LONG_TEXT: usize = 65_536;

/// `GET marketplace-orders/`.
pub(super) fn list(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let states = filters.words::<OrderState>("state");
    let kinds = filters.words::<OrderKind>("type");
    let offering = filters.uuid("offering_uuid");
    let project = filters.uuid("project_uuid");
    let customer = filters.uuid("customer_uuid");
    let provider = filters.uuid("provider_uuid");
    let resource = filters.uuid("resource_uuid");
    let created = filters.instant("created");
    let modified = filters.instant("modified");
    // core.md §5.7. The published schema does not name it; generation 2024 does not know it.
    let before = (call.generation == Generation::V8).then(|| filters.instant("modified_before")).flatten();
    let order = filters.order(&["created", "state", "cost", "consumer_reviewed_at"]);
    filters.check()?;

    let waiting: Vec<OrderUuid> = state
        .orders
        .iter()
        .filter(|order| order.approval.is_some() && state.sees_order(call.user, order))
        .map(|order| order.uuid)
        .collect();
    for uuid in waiting {
        state.read(uuid);
    }

    let customer_of = |order: &Order| state.project(order.project).map(|project| project.customer.uuid());
    let provider_of = |order: &Order| state.offering(order.offering).map(|offering| offering.customer.uuid());
    let mut rows: Vec<&Order> = state
        .orders
        .iter()
        .filter(|order| states.is_empty() || states.contains(&order.state))
        .filter(|order| kinds.is_empty() || kinds.contains(&order.kind))
        .filter(|order| offering.is_none_or(|uuid| order.offering.uuid() == uuid))
        .filter(|order| project.is_none_or(|uuid| order.project.uuid() == uuid))
        .filter(|order| resource.is_none_or(|uuid| order.resource.uuid() == uuid))
        .filter(|order| customer.is_none_or(|uuid| customer_of(order) == Some(uuid)))
        .filter(|order| provider.is_none_or(|uuid| provider_of(order) == Some(uuid)))
        .filter(|order| created.is_none_or(|at| at <= order.created))
        .filter(|order| modified.is_none_or(|at| at <= order.modified))
        .filter(|order| before.is_none_or(|at| order.modified < at))
        .filter(|order| state.sees_order(call.user, order))
        .collect();
    sort(&mut rows, &order, |order, name| sort_key(order, name));
    page(call, &rows, |order| state.show_order(call, order))
}

fn sort_key(order: &Order, name: &str) -> (i128, Decimal) {
    let at = match name {
        "state" => i128::from(order.state as u8),
        "consumer_reviewed_at" => order.consumer_review.map_or(0, |review| review.at.as_nanosecond()),
        "cost" => 0,
        _ => order.created.as_nanosecond(),
    };
    (at, if name == "cost" { order.cost.unwrap_or_default() } else { Decimal::ZERO })
}

/// `GET marketplace-orders/{}/`.
pub(super) fn retrieve(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = visible(state, call)?;
    state.read(uuid);
    one_of(call, || state.order(uuid).and_then(|order| state.show_order(call, order)))
}

/// `DELETE marketplace-orders/{}/` (recorded: 346).
pub(super) fn delete(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = visible(state, call)?;
    require(state, uuid, &[OrderState::PendingConsumer, OrderState::PendingProvider])?;
    state.orders.remove(uuid.uuid());
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// `PATCH` and `PUT marketplace-orders/{}/`: nothing in generation 2024 (recorded: 095).
pub(super) fn patch(state: &mut State, call: &Incoming<'_>) -> Outcome {
    match call.generation {
        Generation::V2024 => disabled(state, call),
        Generation::V8 => unserved(state, call),
    }
}

/// `POST …/approve_by_provider/`.
pub(super) fn approve_by_provider(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    require(state, uuid, &[OrderState::PendingProvider])?;
    state.approve_as_provider(uuid, call.user);
    Ok(said(call, "Order has been approved."))
}

/// `POST …/reject_by_provider/`, since generation 8 with a comment.
pub(super) fn reject_by_provider(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    require(state, uuid, &[OrderState::PendingProvider])?;
    let mut comment = String::new();
    if call.generation == Generation::V8 {
        let mut fields = call.fields()?;
        comment = fields.text("provider_rejection_comment", LONG_TEXT).unwrap_or_default();
        fields.check()?;
    }
    state.reject_as_provider(uuid, call.user, comment);
    Ok(Answer::empty(StatusCode::OK))
}

/// `POST …/approve_by_consumer/`: an owner of the customer may (recorded: 122, 343 to 345).
pub(super) fn approve_by_consumer(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = visible(state, call)?;
    let customer = state.order(uuid).and_then(|order| state.project(order.project)).map(|project| project.customer);
    if !customer.is_some_and(|customer| state.owns(call.user, customer)) {
        return Err(Answer::forbidden());
    }
    require(state, uuid, &[OrderState::PendingConsumer])?;
    state.approve_as_consumer(uuid, call.user);
    Ok(said(call, "Order has been approved."))
}

/// `POST …/cancel/`: only what a help desk delivers can be withdrawn (recorded: 116).
pub(super) fn cancel(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = visible(state, call)?;
    only_for(state, uuid, &["Support.OfferingTemplate"])?;
    unserved(state, call)
}

/// `POST …/set_state_executing/` (recorded: 121, 130, 142).
pub(super) fn set_state_executing(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    require(state, uuid, &[OrderState::PendingConsumer, OrderState::PendingProvider, OrderState::Erred])?;
    state.start(uuid);
    Ok(Answer::empty(StatusCode::OK))
}

/// `POST …/set_state_done/` (recorded: 109, 127, 129, 143).
pub(super) fn set_state_done(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    if call.generation == Generation::V2024 {
        only_for(state, uuid, &[SITE_AGENT, "Marketplace.Basic", "Support.OfferingTemplate"])?;
    }
    require(state, uuid, &[OrderState::Executing])?;
    state.finish(uuid);
    Ok(Answer::empty(StatusCode::OK))
}

/// `POST …/set_state_erred/`: from any state (recorded: 138, 144). Generation 2024 fails without a traceback (137).
pub(super) fn set_state_erred(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    if call.generation == Generation::V2024 {
        only_for(state, uuid, &[SITE_AGENT])?;
        if !(fields.has("error_message") && fields.has("error_traceback")) {
            return Err(Answer::server_error());
        }
    }
    let message = fields.text("error_message", LONG_TEXT).unwrap_or_default();
    let traceback = fields.text("error_traceback", LONG_TEXT).unwrap_or_default();
    fields.check()?;
    state.fail(uuid, message, traceback);
    Ok(Answer::empty(StatusCode::OK))
}

/// `POST …/unlink/`: staff only (recorded: 326, 327).
pub(super) fn unlink(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = visible(state, call)?;
    if !state.is_staff(call.user) {
        return Err(Answer::forbidden());
    }
    state.orders.remove(uuid.uuid());
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// `POST …/set_backend_id/`, since generation 8.
pub(super) fn set_backend_id(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    let backend_id = fields.required("backend_id").and_then(|_| fields.text("backend_id", 255));
    fields.check()?;
    let now = state.now();
    let (Some(backend_id), Some(order)) = (backend_id, state.orders.get_mut(uuid.uuid())) else {
        return Err(Answer::broken());
    };
    if order.backend_id == backend_id {
        return Ok(Answer::status_text("Order backend_id is not changed."));
    }
    (order.backend_id, order.modified) = (backend_id, now);
    Ok(Answer::status_text("Order backend_id has been changed."))
}

/// `POST …/set_provider_info/`, since generation 8: on an order that waits.
pub(super) fn set_provider_info(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let pending = [
        OrderState::PendingConsumer,
        OrderState::PendingProvider,
        OrderState::PendingProject,
        OrderState::PendingStartDate,
    ];
    require(state, uuid, &pending)?;
    let mut fields = call.fields()?;
    let message = fields.text("provider_message", LONG_TEXT);
    let url = fields.text("provider_message_url", 255);
    fields.check()?;
    let now = state.now();
    if let Some(order) = state.orders.get_mut(uuid.uuid()) {
        order.provider_message = message.unwrap_or_else(|| order.provider_message.clone());
        order.provider_message_url = url.unwrap_or_else(|| order.provider_message_url.clone());
        order.modified = now;
    }
    Ok(said(call, "Provider info has been set."))
}

/// Where generation 2024 says nothing, generation 8 says a sentence that nobody reads.
fn said(call: &Incoming<'_>, sentence: &str) -> Answer {
    match call.generation {
        Generation::V2024 => Answer::empty(StatusCode::OK),
        Generation::V8 => Answer::ok(json!({ "detail": sentence })),
    }
}

pub(super) fn visible(state: &State, call: &Incoming<'_>) -> Result<OrderUuid, Answer> {
    let order = call.id().and_then(|uuid| state.orders.get(uuid));
    let order = order.filter(|order| state.sees_order(call.user, order));
    Ok(order.ok_or_else(|| Answer::no_such("Order"))?.uuid)
}

fn provided(state: &State, call: &Incoming<'_>) -> Result<OrderUuid, Answer> {
    let uuid = visible(state, call)?;
    let provides = state.order(uuid).is_some_and(|order| state.provides_order(call.user, order));
    if provides { Ok(uuid) } else { Err(Answer::forbidden()) }
}

fn require(state: &State, uuid: OrderUuid, valid: &[OrderState]) -> Result<(), Answer> {
    match state.order(uuid) {
        Some(order) if valid.contains(&order.state) => Ok(()),
        _ => Err(Answer::wrong_state(&valid.iter().map(|state| state.as_str()).collect::<Vec<_>>())),
    }
}

/// Some actions are for some types of offerings (core.md §1.6 [S]; recorded: 116).
fn only_for(state: &State, uuid: OrderUuid, kinds: &[&str]) -> Result<(), Answer> {
    let offering = state.order(uuid).and_then(|order| state.offering(order.offering)).ok_or_else(Answer::broken)?;
    if kinds.contains(&offering.kind.as_str()) {
        return Ok(());
    }
    let text = format!("The order's offering with {} type does not support this action", offering.kind);
    Err(Answer::method_not_allowed(&text))
}
