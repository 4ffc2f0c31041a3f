//! Which rows of Waldur a report goes to when the resource changed its plan within the month (core.md §4.5, §10 #2).
//!
//! Waldur keeps a row for each component, month and *plan*, and files a report about a resource under the plan that it is
//! on. A back end measures the month as a whole. So that the rows add up to what was measured, the row of the last plan
//! gets what the earlier ones do not hold.

use jiff::{Timestamp, tz::TimeZone};

use super::compare::Stored;
use crate::{
    backend::Period,
    client::{PlanPeriod, UsageTarget},
    error::{Error, ErrorKind, Result},
    types::{Amounts, Decimal, ResourceUuid, WaldurAmount},
};

/// One request's worth of amounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) target: UsageTarget,
    pub(super) amounts: Amounts,
}

/// Divides amounts among the plans of the month. Without a change of plan that is one part, about the resource itself.
///
/// # Errors
/// `Inconsistent` when Waldur does not say what a row of an earlier plan holds.
pub(super) fn divide(
    resource: ResourceUuid,
    amounts: &Amounts,
    stored: &Stored,
    plans: &[PlanPeriod],
    period: Period,
) -> Result<Vec<Part>> {
    let whole = || vec![Part { target: UsageTarget::Resource(resource), amounts: amounts.clone() }];
    let end = period.bounds(&TimeZone::UTC).map_or(Timestamp::MAX, |bounds| bounds.end);
    let mut plans: Vec<&PlanPeriod> = plans.iter().filter(|plan| plan.start.is_none_or(|start| start < end)).collect();
    plans.sort_by_key(|plan| plan.start);
    let Some((last, earlier)) = plans.split_last() else { return Ok(whole()) };
    let mut parts: Vec<Part> = earlier.iter().map(|plan| part(plan)).collect();
    let mut rest = part(last);
    let mut divided = false;
    for (component, amount) in amounts {
        let mut left = amount.decimal();
        for (plan, part) in earlier.iter().zip(&mut parts) {
            let Some(held) = held(plan, component, stored)? else { continue };
            divided = true;
            // An amount that went down, where it may, takes from the last plan first.
            let keeps = held.min(left);
            left = left.checked_sub(keeps).ok_or_else(|| unknown(component))?;
            if keeps != held {
                part.amounts.insert(component.clone(), WaldurAmount::new(keeps));
            }
        }
        rest.amounts.insert(component.clone(), WaldurAmount::new(left));
    }
    if !divided {
        return Ok(whole());
    }
    parts.retain(|part| !part.amounts.is_empty());
    parts.push(rest);
    Ok(parts)
}

fn part(plan: &PlanPeriod) -> Part {
    Part { target: UsageTarget::PlanPeriod(plan.uuid), amounts: Amounts::new() }
}

/// What the rows of this month hold of a component for a plan; `None` when there are none.
fn held(plan: &PlanPeriod, component: &str, stored: &Stored) -> Result<Option<Decimal>> {
    let of_plan = |uuid| plan.components.iter().any(|usage| usage.uuid == uuid);
    let mut held = None;
    for row in stored.rows(component).iter().filter(|row| of_plan(row.uuid)) {
        let sum = row.amount.and_then(|amount| held.unwrap_or(Decimal::ZERO).checked_add(amount));
        held = Some(sum.ok_or_else(|| unknown(component))?);
    }
    Ok(held)
}

fn unknown(component: &str) -> Error {
    Error::new(ErrorKind::Inconsistent, format!("{component}: it cannot be told what an earlier plan holds of it"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where it fails")]

    use serde_json::json;

    use super::*;
    use crate::types::Uuid;

    const RESOURCE: ResourceUuid = ResourceUuid::new(Uuid::from_u128(7));

    fn amounts(amount: &str) -> Amounts {
        [("cpu".to_owned(), WaldurAmount::new(amount.parse().unwrap()))].into()
    }

    fn plan(number: u32, start: &str, rows: &[u32]) -> PlanPeriod {
        let rows: Vec<_> = rows.iter().map(|row| json!({ "uuid": format!("{row:032x}"), "type": "cpu" })).collect();
        let plan = json!({ "uuid": format!("{number:032x}"), "start": start, "components": rows });
        serde_json::from_value(plan).unwrap()
    }

    fn stored(rows: &[(u32, &str)]) -> Stored {
        let mut stored = Stored::default();
        for (number, usage) in rows {
            let row = json!({ "uuid": format!("{number:032x}"), "type": "cpu", "usage": usage });
            stored.add(&serde_json::from_value(row).unwrap());
        }
        stored
    }

    fn divided(amount: &str, rows: &[(u32, &str)], plans: &[PlanPeriod]) -> Vec<(Option<u128>, String)> {
        let period = Period::containing(jiff::civil::date(2026, 11, 1));
        let parts = divide(RESOURCE, &amounts(amount), &stored(rows), plans, period).unwrap();
        let target = |target| match target {
            UsageTarget::PlanPeriod(uuid) => Some(uuid.uuid().as_u128()),
            UsageTarget::Resource(_) => None,
        };
        parts.iter().map(|part| (target(part.target), part.amounts["cpu"].to_string())).collect()
    }

    #[test]
    fn c51_the_last_plan_gets_what_the_earlier_ones_do_not_hold() {
        let old = plan(1, "2026-10-03T00:00:00Z", &[11, 90]);
        let new = plan(2, "2026-11-20T00:00:00Z", &[12]);
        let both = [new.clone(), old.clone()];
        // The switch has just been found out: one row yet.
        assert_eq!(divided("10", &[(11, "4")], &both), [(Some(2), "6".into())]);
        assert_eq!(divided("12", &[(11, "4"), (12, "6")], &both), [(Some(2), "8".into())]);
        // A gauge that went down.
        assert_eq!(divided("4.5", &[(11, "4"), (12, "6")], &both), [(Some(2), "0.5".into())]);
        assert_eq!(divided("3", &[(11, "4"), (12, "6")], &both), [(Some(1), "3".into()), (Some(2), "0".into())]);
        // No change of plan, or one of another month.
        assert_eq!(divided("10", &[(12, "4")], std::slice::from_ref(&new)), [(None, "10".into())]);
        assert_eq!(divided("10", &[(12, "4")], &both), [(None, "10".into())]);
        assert_eq!(divided("10", &[], &both), [(None, "10".into())]);
        let later = plan(3, "2026-12-01T00:00:00Z", &[]);
        assert_eq!(divided("10", &[(11, "4")], &[old, later]), [(None, "10".into())]);
    }
}
