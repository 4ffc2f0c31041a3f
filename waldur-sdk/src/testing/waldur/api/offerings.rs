//! Offerings, their components and plans.

use http::StatusCode;
use serde_json::{Value, json};

use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::{Fields, Incoming},
    lists::{Filters, one, page, whole},
    model::{Component, Offering},
    render::{Side, show_attribute_config},
    state::State,
    words::{Billing, Generation, LimitPeriod, OfferingState},
};
use crate::types::{OfferingUuid, PlanUuid};

/// `GET marketplace-provider-offerings/` (recorded: 036, 038).
pub(super) fn list(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let states = filters.words::<OfferingState>("state");
    let customer = filters.uuid("customer_uuid");
    let name = filters.text("name").map(str::to_lowercase);
    let name_exact = filters.text("name_exact");
    filters.check()?;
    let rows: Vec<&Offering> = state
        .offerings
        .iter()
        .filter(|row| states.is_empty() || states.contains(&row.state))
        .filter(|row| customer.is_none_or(|uuid| row.customer.uuid() == uuid))
        .filter(|row| name.as_ref().is_none_or(|part| row.name.to_lowercase().contains(part)))
        .filter(|row| name_exact.is_none_or(|name| row.name == name))
        .filter(|row| state.provides(call.user, row))
        .collect();
    page(call, &rows, |row| state.show_offering(call, row, Side::ProviderRow))
}

/// `GET marketplace-provider-offerings/{}/` (recorded: 039 to 047).
pub(super) fn retrieve(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    one(call, state.offering(uuid).and_then(|row| state.show_offering(call, row, Side::Provider)))
}

/// `GET marketplace-public-offerings/{}/`: everybody's view (recorded: 049).
pub(super) fn retrieve_public(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let row = public(state, call)?;
    one(call, state.show_offering(call, row, Side::Public))
}

/// `GET marketplace-public-offerings/{}/plans/`: no pages (recorded: 050).
pub(super) fn public_plans(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let row = public(state, call)?;
    whole(Some(row.plans.iter().map(|plan| state.plan_members(call, row, plan, Side::Public)).collect()))
}

/// `GET marketplace-plans/{}/` (recorded: 051).
pub(super) fn retrieve_plan(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let none = || Answer::no_such("Plan");
    let uuid = PlanUuid::new(call.id().ok_or_else(none)?);
    let offering = state.offering_of_plan(uuid).filter(|row| state.provides(call.user, row)).ok_or_else(none)?;
    one(call, offering.plan(uuid).map(|plan| state.show_plan(call, offering, plan)))
}

/// `POST …/{}/create_offering_component/` (recorded: 053 to 056, 063).
pub(super) fn create_component(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let offering = provided(state, call)?;
    let mut fields = call.fields()?;
    let uuid = state.uuid();
    let component = read_component(call, &mut fields, uuid);
    fields.check()?;
    let component = component.ok_or_else(Answer::broken)?;
    let row = state.offerings.get_mut(offering.uuid()).ok_or_else(Answer::broken)?;
    if row.component(&component.kind).is_some() {
        // Recorded: 054. The database refuses what nobody checked.
        return Err(Answer::server_error());
    }
    row.components.push(component);
    Ok(Answer::empty(StatusCode::CREATED))
}

/// `POST …/{}/update_offering_component/` (recorded: 058, 061, 062). Unknown: an empty 404.
pub(super) fn update_component(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let offering = provided(state, call)?;
    let mut fields = call.fields()?;
    let uuid = fields.get("uuid").and_then(Value::as_str).and_then(|text| uuid::Uuid::try_parse(text).ok());
    let row = state.offerings.get_mut(offering.uuid()).ok_or_else(Answer::broken)?;
    let known = row.components.iter_mut().find(|component| Some(component.uuid) == uuid);
    let Some(known) = known else { return Err(Answer::empty(StatusCode::NOT_FOUND)) };
    let component = read_component(call, &mut fields, known.uuid);
    fields.check()?;
    *known = component.ok_or_else(Answer::broken)?;
    Ok(Answer::empty(StatusCode::OK))
}

fn read_component(call: &Incoming<'_>, fields: &mut Fields, uuid: uuid::Uuid) -> Option<Component> {
    let billing = fields.required("billing_type").and_then(|_| fields.choice::<Billing>("billing_type"));
    let kind = fields.required_text("type", 50);
    let word = |kind: &str| kind.chars().all(|letter| letter.is_alphanumeric() || "_-".contains(letter));
    if kind.as_deref().is_some_and(|kind| !word(kind)) {
        fields.wrong("type", "Enter a valid value.");
    }
    let name = fields.required_text("name", 150);
    let limit_period = fields.choice::<LimitPeriod>("limit_period");
    if call.generation == Generation::V2024 && limit_period == Some(LimitPeriod::Quarterly) {
        fields.wrong("limit_period", "\"quarterly\" is not a valid choice.");
    }
    let number = |fields: &Fields, name: &str| fields.get(name).and_then(Value::as_i64);
    Some(Component {
        uuid,
        description: fields.text("description", 4096).unwrap_or_default(),
        measured_unit: fields.text("measured_unit", 30).unwrap_or_default(),
        article_code: fields.text("article_code", 30).unwrap_or_default(),
        unit_factor: number(fields, "unit_factor").unwrap_or(1),
        limit_period,
        limit_amount: number(fields, "limit_amount"),
        min_value: number(fields, "min_value"),
        max_value: number(fields, "max_value"),
        max_available_limit: number(fields, "max_available_limit"),
        default_limit: number(fields, "default_limit"),
        is_boolean: fields.boolean("is_boolean").unwrap_or_default(),
        is_prepaid: fields.boolean("is_prepaid").unwrap_or_default(),
        kind: kind?,
        billing: billing?,
        name: name?,
    })
}

/// `POST …/{}/check_unique_backend_id/`, since generation 8: whether no resource of the offering, or of all the
/// customer's offerings, has the id. Resources that are gone count too.
pub(super) fn check_unique_backend_id(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    let mut fields = call.fields()?;
    let backend_id = fields.required_text("backend_id", 255);
    let everywhere = fields.boolean("check_all_offerings").unwrap_or_default();
    fields.check()?;
    let customer = state.offering(uuid).map(|row| row.customer);
    let among = |offering: OfferingUuid| {
        offering == uuid || (everywhere && state.offering(offering).map(|row| row.customer) == customer)
    };
    let taken = state.resources.iter().any(|row| among(row.offering) && Some(&row.backend_id) == backend_id.as_ref());
    Ok(Answer::ok(json!({ "is_unique": !taken, "is_valid_format": null, "errors": [] })))
}

/// `GET …/{}/user-attribute-config/`, since generation 8: what people tell the provider about themselves.
pub(super) fn attribute_config(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = provided(state, call)?;
    one(call, state.offering(uuid).map(show_attribute_config))
}

pub(super) fn provided(state: &State, call: &Incoming<'_>) -> Result<OfferingUuid, Answer> {
    let row = call.id().and_then(|uuid| state.offerings.get(uuid));
    let row = row.filter(|row| state.provides(call.user, row));
    Ok(row.ok_or_else(|| Answer::no_such("Offering"))?.uuid)
}

fn public<'s>(state: &'s State, call: &Incoming<'_>) -> Result<&'s Offering, Answer> {
    call.id().and_then(|uuid| state.offerings.get(uuid)).ok_or_else(|| Answer::no_such("Offering"))
}
