//! Usage of components: reading it, and what the provider reports.

use http::StatusCode;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::resources::seen;
use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::{Fields, Incoming},
    lists::{Filters, one, page, whole},
    model::{ComponentUsage, Offering, Resource},
    state::State,
    usage::{Item, month_of},
    words::{Backfilling, Billing, Generation, ResourceState},
};
use crate::types::ResourceUuid;

/// `GET marketplace-component-usages/` (recorded: 214 to 216).
pub(super) fn list(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let resource = filters.uuid("resource_uuid");
    let offering = filters.uuid("offering_uuid");
    let project = filters.uuid("project_uuid");
    let period = filters.date("billing_period");
    let after = filters.date("date_after");
    let before = filters.date("date_before");
    let kind = filters.text("type");
    filters.check()?;
    let rows: Vec<&ComponentUsage> = state
        .usages
        .iter()
        .filter(|row| resource.is_none_or(|uuid| row.key.resource.uuid() == uuid))
        .filter(|row| period.is_none_or(|first| row.key.billing_period == first))
        .filter(|row| after.is_none_or(|first| row.key.billing_period >= first))
        .filter(|row| before.is_none_or(|last| row.key.billing_period <= last))
        .filter(|row| kind.is_none_or(|kind| row.key.kind == kind))
        .filter(|row| {
            state.resource(row.key.resource).is_some_and(|resource| {
                offering.is_none_or(|uuid| resource.offering.uuid() == uuid)
                    && project.is_none_or(|uuid| resource.project.uuid() == uuid)
                    && sees(state, call, resource)
            })
        })
        .collect();
    page(call, &rows, |row| state.show_usage(row))
}

/// `GET marketplace-component-usages/{}/` (recorded: 217).
pub(super) fn retrieve(state: &mut State, call: &Incoming<'_>) -> Outcome {
    one(call, state.show_usage(usage_of(state, call)?))
}

/// `GET marketplace-provider-resources/{}/plan_periods/`: no pages (recorded: 175, 195, 218, 322).
pub(super) fn plan_periods(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = seen(state, call)?;
    let periods = state.plan_periods_of(uuid);
    whole(periods.iter().map(|period| state.show_plan_period(period)).collect())
}

/// `POST marketplace-component-usages/set_usage/` (recorded: 196 to 213, 311).
pub(super) fn set_usage(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut fields = call.fields()?;
    let items = items(&mut fields);
    let target = target(state, &mut fields);
    // Recorded: 211. The old server takes no notice of it.
    let date = if call.generation == Generation::V8 { instant(&mut fields, "date") } else { None };
    fields.check()?;
    let (resource, plan_period) = target.ok_or_else(Answer::broken)?;
    let row = state.resource(resource).ok_or_else(Answer::broken)?;
    if !state.provides_resource(call.user, row) {
        return Err(Answer::forbidden());
    }
    // core.md §4.7; recorded: 311.
    if !matches!(row.state, ResourceState::Ok | ResourceState::Updating | ResourceState::Terminating) {
        return Err(Answer::field_error("resource", "Resource is not in valid state."));
    }
    let offering = state.offering(row.offering).ok_or_else(Answer::broken)?;
    refuse_components(offering, &items)?;
    let date = date.unwrap_or_else(|| state.now());
    if month_of(date) < month_of(state.now()) && !state.is_staff(call.user) {
        refuse_backfilling(state.backfilling, offering, &items)?;
    }
    let plan_period = plan_period.or_else(|| state.plan_period_at(resource, date));
    state.report(resource, plan_period, date, items, Some(call.user));
    Ok(Answer::empty(StatusCode::CREATED))
}

/// Refuses the whole report if a component takes no usage (core.md §4.3).
fn refuse_components(offering: &Offering, items: &[Item]) -> Result<(), Answer> {
    let takes = |kind: &str| {
        let billing = offering.component(kind).map(|component| component.billing);
        matches!(billing, Some(Billing::Usage | Billing::Limit))
    };
    let invalid: Vec<&str> = items.iter().map(|item| item.kind.as_str()).filter(|kind| !takes(kind)).collect();
    if invalid.is_empty() {
        return Ok(());
    }
    Err(Answer::field_error("usages", &format!("These components are invalid: {}.", invalid.join(", "))))
}

/// Refuses the whole report if a month that is over takes no more (core.md §4.6).
fn refuse_backfilling(allowed: Backfilling, offering: &Offering, items: &[Item]) -> Result<(), Answer> {
    let limited = |item: &Item| offering.component(&item.kind).is_some_and(|row| row.billing == Billing::Limit);
    let fits = match allowed {
        Backfilling::Everything => true,
        Backfilling::Limits => items.iter().all(limited),
        Backfilling::Nothing => false,
    };
    if fits { Ok(()) } else { Err(Answer::field_error("date", "You are backfilling past billing periods.")) }
}

/// What a report is about: a resource, or the time in which it was on one plan.
fn target(state: &State, fields: &mut Fields) -> Option<(ResourceUuid, Option<Uuid>)> {
    if fields.has("plan_period") {
        let text = fields.required_text("plan_period", 64)?;
        let period = Uuid::try_parse(&text).ok().and_then(|uuid| state.plan_periods.get(uuid));
        if period.is_none() {
            fields.wrong("plan_period", format!("Object with uuid={text} does not exist."));
        }
        return period.map(|period| (period.resource, Some(period.uuid)));
    }
    let text = fields.required_text("resource", 64)?;
    let resource = Uuid::try_parse(&text).ok().and_then(|uuid| state.resources.get(uuid));
    if resource.is_none() {
        // Recorded: 209, 210.
        fields.wrong("resource", format!("Object with uuid={text} does not exist."));
    }
    resource.map(|resource| (resource.uuid, None))
}

/// The items of a report (recorded: 199 to 207): the mistakes of each, in their places.
fn items(fields: &mut Fields) -> Vec<Item> {
    let Some(usages) = fields.required("usages") else { return Vec::new() };
    let rows = usages.as_array().cloned().unwrap_or_default();
    let (mut items, mut errors) = (Vec::new(), Vec::new());
    for row in &rows {
        let mut wrong = Map::new();
        let kind = row.get("type").and_then(Value::as_str).filter(|kind| !kind.is_empty());
        if kind.is_none() {
            wrong.insert("type".to_owned(), json!(["This field is required."]));
        }
        let amount = decimal(row.get("amount"));
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        match (kind, amount) {
            (Some(kind), Ok(amount)) => items.push(Item {
                kind: kind.to_owned(),
                amount,
                description: text("description"),
                recurring: row.get("recurring") == Some(&Value::Bool(true)),
            }),
            (_, Err(text)) => drop(wrong.insert("amount".to_owned(), json!([text]))),
            (None, Ok(_)) => {}
        }
        errors.push(Value::Object(wrong));
    }
    if errors.iter().any(|wrong| wrong.as_object().is_some_and(|wrong| !wrong.is_empty())) {
        fields.wrong_within("usages", Value::Array(errors));
    }
    items
}

/// A decimal as the server takes it: a number or its text, 20 digits, two of them behind the point.
pub(super) fn decimal(value: Option<&Value>) -> Result<Decimal, &'static str> {
    let text = match value {
        None => return Err("This field is required."),
        Some(Value::Null) => return Err("This field may not be null."),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(other) => other.to_string(),
    };
    let number = Decimal::from_str_exact(&text).map_err(|_| "A valid number is required.")?;
    if number.scale() > 2 && number.normalize().scale() > 2 {
        return Err("Ensure that there are no more than 2 decimal places.");
    }
    if number.abs() >= Decimal::from(1_000_000_000_000_000_000_i64) {
        return Err("Ensure that there are no more than 18 digits before the decimal point.");
    }
    Ok(number)
}

/// An instant, with its offset.
pub(super) fn instant(fields: &mut Fields, name: &str) -> Option<Timestamp> {
    let text = fields.get(name)?.as_str()?;
    let instant = text.parse().ok();
    if instant.is_none() {
        let format = "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]";
        fields.wrong(name, format!("Datetime has wrong format. Use one of these formats instead: {format}."));
    }
    instant
}

fn sees(state: &State, call: &Incoming<'_>, resource: &Resource) -> bool {
    state.provides_resource(call.user, resource) || state.consumes_resource(call.user, resource)
}

/// The usage in the path, as both sides see it.
pub(super) fn usage_of<'s>(state: &'s State, call: &Incoming<'_>) -> Result<&'s ComponentUsage, Answer> {
    let row = call.id().and_then(|uuid| state.usages.get(uuid));
    let row = row.filter(|row| state.resource(row.key.resource).is_some_and(|row| sees(state, call, row)));
    row.ok_or_else(|| Answer::no_such("ComponentUsage"))
}
