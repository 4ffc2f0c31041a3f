//! The shares of users in a component's usage.

use http::StatusCode;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::usages::{decimal, instant, usage_of};
use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::{Fields, Incoming},
    lists::{Filters, page},
    model::UserUsage,
    state::State,
    usage::Share,
    words::Generation,
};
use crate::types::OfferingUserUuid;

/// `GET marketplace-component-user-usages/` (recorded: 247, 248). Whether generation 2024 filters by month is not known,
/// so it does not.
pub(super) fn list(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut filters = Filters::new(call);
    let resource = filters.uuid("resource_uuid");
    let offering = filters.uuid("offering_uuid");
    let usage = filters.uuid("component_usage_uuid");
    let username = filters.text("username");
    let kind = filters.text("type");
    let period = match call.generation {
        Generation::V2024 => None,
        Generation::V8 => filters.date("component_usage__billing_period"),
    };
    filters.check()?;
    let wanted = |row: &UserUsage| {
        let of = state.usages.get(row.usage)?;
        let resource_row = state.resource(of.key.resource)?;
        let visible =
            state.provides_resource(call.user, resource_row) || state.consumes_resource(call.user, resource_row);
        Some(
            visible
                && resource.is_none_or(|uuid| of.key.resource.uuid() == uuid)
                && offering.is_none_or(|uuid| resource_row.offering.uuid() == uuid)
                && kind.is_none_or(|kind| of.key.kind == kind)
                && period.is_none_or(|first| of.key.billing_period == first),
        )
    };
    let rows: Vec<&UserUsage> = state
        .user_usages
        .iter()
        .filter(|row| usage.is_none_or(|uuid| row.usage == uuid))
        .filter(|row| username.is_none_or(|name| row.username == name))
        .filter(|row| wanted(row) == Some(true))
        .collect();
    page(call, &rows, |row| state.show_user_usage(call, row))
}

/// `POST marketplace-component-usages/{}/set_user_usage/` (recorded: 242 to 244).
pub(super) fn set_user_usage(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let usage = reported(state, call)?;
    let mut fields = call.fields()?;
    let share = share(state, call, &mut fields);
    fields.check()?;
    state.share(usage, share.ok_or_else(Answer::broken)?);
    Ok(Answer::empty(StatusCode::CREATED))
}

/// `POST marketplace-component-usages/{}/set_user_usages/`, since generation 8: all or none.
pub(super) fn set_user_usages(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let usage = reported(state, call)?;
    let mut fields = call.fields()?;
    let rows = fields.required("usages").and_then(|rows| rows.as_array().cloned()).unwrap_or_default();
    let (mut shares, mut errors) = (Vec::new(), Vec::new());
    for row in rows {
        let mut inner = Fields::of(row);
        shares.extend(share(state, call, &mut inner));
        errors.push(inner.into_errors());
    }
    if errors.iter().any(|errors| errors.as_object().is_some_and(|errors| !errors.is_empty())) {
        fields.wrong_within("usages", Value::Array(errors));
    }
    fields.check()?;
    for share in shares {
        state.share(usage, share);
    }
    Ok(Answer::empty(StatusCode::CREATED))
}

/// The usage in the path, which the caller's side reports.
fn reported(state: &State, call: &Incoming<'_>) -> Result<Uuid, Answer> {
    let row = usage_of(state, call)?;
    let resource = state.resource(row.key.resource).ok_or_else(Answer::broken)?;
    if state.provides_resource(call.user, resource) { Ok(row.uuid) } else { Err(Answer::forbidden()) }
}

fn share(state: &State, call: &Incoming<'_>, fields: &mut Fields) -> Option<Share> {
    let username = fields.required_text("username", 100);
    let amount = if fields.has("usage") {
        decimal(fields.get("usage")).map_err(|text| fields.wrong("usage", text)).ok()
    } else {
        Some(Decimal::ZERO)
    };
    let user = fields.link("user", "marketplace-offering-users/");
    if user.is_some_and(|uuid| state.offering_users.get(uuid).is_none()) {
        fields.wrong_link("user");
    }
    if call.generation == Generation::V8 {
        instant(fields, "date");
    }
    Some(Share { username: username?, amount: amount?, user: user.map(OfferingUserUuid::new) })
}
