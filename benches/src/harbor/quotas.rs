//! `/quotas`.

use serde_json::Value;

use super::{
    model::{Quota, State},
    pages,
    wire::{self, Asked, Outcome, Refusal},
};

/// The newest first.
pub(super) fn list(state: &State, asked: &Asked<'_>) -> Outcome {
    asked.knows_only(&["page", "page_size", "reference", "reference_id"])?;
    let of_projects = asked.parameter("reference").is_none_or(|reference| reference == "project");
    let project = asked.parameter("reference_id");
    let wanted = |quota: &&Quota| of_projects && project.is_none_or(|id| id == quota.project.to_string());
    let found: Vec<&Quota> = state.quotas.values().rev().filter(wanted).collect();
    pages::page(asked, &found, |quota| quota.render())
}

pub(super) fn retrieve(state: &State, quota: &str) -> Outcome {
    let id = quota.parse().unwrap_or_default();
    Ok(wire::json(&state.quotas.get(&id).ok_or_else(|| missing(quota))?.render()))
}

pub(super) fn change(state: &mut State, asked: &Asked<'_>, quota: &str) -> Outcome {
    let body = asked.body()?;
    let hard = body.get("hard").and_then(Value::as_object).ok_or_else(|| Refusal::unprocessable("hard is required"))?;
    if let Some(other) = hard.keys().find(|name| *name != "storage") {
        return Err(Refusal::bad(format!("resource {other} not support")));
    }
    let limit = hard.get("storage").and_then(Value::as_i64);
    let limit = limit.ok_or_else(|| Refusal::unprocessable("parsing hard body failed"))?;
    let now = state.now;
    let row = state.quotas.get_mut(&quota.parse().unwrap_or_default()).ok_or_else(|| missing(quota))?;
    if limit == 0 || limit < -1 {
        return Err(Refusal::bad(format!("invalid non-positive value for quota limit, value={limit}")));
    }
    // Recorded: the time is that of the last change of what is used, so a new limit does not show in it.
    row.hard = limit;
    row.updated = row.updated.map(|_| now);
    Ok(wire::empty())
}

fn missing(quota: &str) -> Refusal {
    Refusal::not_found(format!("quota {quota} not found"))
}
