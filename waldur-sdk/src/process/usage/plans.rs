//! Which rows of Waldur a report goes to when the resource changed its plan within the month (core.md §4.5, §10 #2).
//!
//! Waldur keeps a row for each component, month and *plan*, and files a report under the plan that the resource is on.
//! A back end measures the month as a whole. So the row of the last plan gets what the earlier rows do not hold: then
//! the rows add up to what was measured. If there are rows already, the report names the plan, because the resource may
//! be on another one when the report arrives.

use std::collections::{BTreeMap, HashMap};

use jiff::{Timestamp, tz::TimeZone};

use super::compare::Stored;
use crate::{
    backend::Period,
    client::{PlanPeriod, UsageTarget},
    error::{Error, ErrorKind, Result},
    types::{Amounts, ComponentUsageUuid, Decimal, PlanPeriodUuid, ResourceUuid, WaldurAmount},
};

/// One request's worth of amounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) target: UsageTarget,
    pub(super) amounts: Amounts,
    /// Waldur makes rows of it beside those that there are.
    pub(super) adds_rows: bool,
}

impl Part {
    /// Everything, under the plan that the resource is on.
    pub(super) fn whole(resource: ResourceUuid, amounts: &Amounts) -> Self {
        Self { target: UsageTarget::Resource(resource), amounts: amounts.clone(), adds_rows: false }
    }

    fn of(plan: PlanPeriodUuid) -> Self {
        Self { target: UsageTarget::PlanPeriod(plan), amounts: Amounts::new(), adds_rows: false }
    }
}

/// The plans that a resource was on until the end of a month, oldest first, and which of them each row of the month
/// belongs to. No plans, if the resource has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    plans: Vec<PlanPeriodUuid>,
    places: HashMap<ComponentUsageUuid, usize>,
}

impl Timeline {
    /// `stored` is what Waldur has of the month; `planned` says whether the resource is on a plan.
    ///
    /// # Errors
    /// `Inconsistent` when it cannot be told which plan came last, or what belongs to one.
    pub(super) fn new(plans: &[PlanPeriod], period: Period, stored: &Stored, planned: bool) -> Result<Self> {
        let is_planless = !planned && plans.is_empty();
        let end = period.bounds(&TimeZone::UTC).map_or(Timestamp::MAX, |bounds| bounds.end);
        // A report of a time before the first plan is filed under that.
        let claims = |plan: &PlanPeriod| plan.components.iter().flatten().any(|row| stored.has(row.uuid));
        let mut plans: Vec<&PlanPeriod> =
            plans.iter().filter(|plan| plan.start.is_none_or(|start| start < end) || claims(plan)).collect();
        plans.sort_by_key(|plan| plan.start);
        // A start that cannot be read would put the plan that lasts before those that are over.
        let is_ordered = plans.split_last().map_or(is_planless, |(last, earlier)| {
            earlier.iter().all(|plan| plan.end.is_some()) && (earlier.is_empty() || last.start.is_some())
        });
        if !is_ordered {
            return Err(Error::new(
                ErrorKind::Inconsistent,
                "Waldur does not say which plan of the resource is the last",
            ));
        }
        let mut timeline = Self::default();
        for (place, plan) in plans.into_iter().enumerate() {
            let Some(rows) = &plan.components else {
                let text = "Waldur does not say what was reported for a plan of the resource";
                return Err(Error::new(ErrorKind::Inconsistent, text));
            };
            timeline.plans.push(plan.uuid);
            for row in rows.iter().filter(|row| stored.has(row.uuid)) {
                if timeline.places.insert(row.uuid, place).is_some_and(|other| other != place) {
                    return Err(unknown(&row.kind));
                }
            }
        }
        Ok(timeline)
    }

    /// Divides amounts among the plans. Without plans that is one part, about the resource itself.
    ///
    /// # Errors
    /// `Inconsistent` when it cannot be told which plan a row belongs to, or what a row of an earlier plan holds.
    pub(super) fn divide(&self, resource: ResourceUuid, amounts: &Amounts, stored: &Stored) -> Result<Vec<Part>> {
        let Some((last, earlier)) = self.plans.split_last() else {
            let several = amounts.keys().find(|component| stored.rows(component).len() > 1);
            return several.map_or_else(|| Ok(vec![Part::whole(resource, amounts)]), |name| Err(unknown(name)));
        };
        let mut parts: Vec<Part> = earlier.iter().map(|plan| Part::of(*plan)).collect();
        let mut rest = Part::of(*last);
        for (component, amount) in amounts {
            let held = self.held(component, stored)?;
            let mut left = amount.decimal();
            for (place, part) in parts.iter_mut().enumerate() {
                let Some(held) = held.get(&place) else { continue };
                let held = held.ok_or_else(|| unknown(component))?;
                // An amount that went down, where it may, takes from the last plan first.
                let keeps = held.min(left);
                left = left.checked_sub(keeps).ok_or_else(|| unknown(component))?;
                if keeps != held {
                    part.amounts.insert(component.clone(), WaldurAmount::new(keeps));
                }
            }
            rest.adds_rows |= !held.contains_key(&earlier.len());
            rest.amounts.insert(component.clone(), WaldurAmount::new(left));
        }
        parts.retain(|part| !part.amounts.is_empty());
        parts.push(rest);
        Ok(parts)
    }

    /// Puts the rows of each component in the order of their plans.
    ///
    /// # Errors
    /// `Inconsistent` when it cannot be told which plan a row belongs to.
    pub(super) fn sorted(&self, stored: &Stored) -> Result<Stored> {
        for component in stored.split() {
            self.held(&component, stored)?;
        }
        Ok(stored.clone().sorted(|row| self.places.get(&row).copied()))
    }

    /// What the rows of a component hold, by the place of their plan: one row each.
    fn held(&self, component: &str, stored: &Stored) -> Result<BTreeMap<usize, Option<Decimal>>> {
        let mut held = BTreeMap::new();
        for row in stored.rows(component) {
            let place = self.places.get(&row.uuid).ok_or_else(|| unknown(component))?;
            if held.insert(*place, row.amount).is_some() {
                return Err(unknown(component));
            }
        }
        Ok(held)
    }
}

fn unknown(component: &str) -> Error {
    Error::new(ErrorKind::Inconsistent, format!("{component}: it cannot be told what each plan holds of it"))
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

    fn plan(number: u32, start: &str, end: Option<&str>, rows: &[u32]) -> PlanPeriod {
        let rows: Vec<_> = rows.iter().map(|row| json!({ "uuid": format!("{row:032x}"), "type": "cpu" })).collect();
        let plan = json!({ "uuid": format!("{number:032x}"), "start": start, "end": end, "components": rows });
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

    fn parts(amount: &str, rows: &[(u32, &str)], plans: &[PlanPeriod]) -> Result<Vec<Part>> {
        let stored = stored(rows);
        let period = Period::containing(jiff::civil::date(2026, 11, 1));
        Timeline::new(plans, period, &stored, !plans.is_empty())?.divide(RESOURCE, &amounts(amount), &stored)
    }

    fn divided(amount: &str, rows: &[(u32, &str)], plans: &[PlanPeriod]) -> Vec<(Option<u128>, String)> {
        let target = |target| match target {
            UsageTarget::PlanPeriod(uuid) => Some(uuid.uuid().as_u128()),
            UsageTarget::Resource(_) => None,
        };
        let parts = parts(amount, rows, plans).unwrap();
        parts.iter().map(|part| (target(part.target), part.amounts["cpu"].to_string())).collect()
    }

    fn old() -> PlanPeriod {
        plan(1, "2026-10-03T00:00:00Z", Some("2026-11-20T00:00:00Z"), &[11, 90])
    }

    fn new() -> PlanPeriod {
        plan(2, "2026-11-20T00:00:00Z", None, &[12])
    }

    #[test]
    fn c51_the_last_plan_gets_what_the_earlier_ones_do_not_hold() {
        let both = [new(), old()];
        // The switch has just been found out: one row yet.
        assert_eq!(divided("10", &[(11, "4")], &both), [(Some(2), "6".into())]);
        assert_eq!(divided("12", &[(11, "4"), (12, "6")], &both), [(Some(2), "8".into())]);
        // A gauge that went down.
        assert_eq!(divided("4.5", &[(11, "4"), (12, "6")], &both), [(Some(2), "0.5".into())]);
        assert_eq!(divided("3", &[(11, "4"), (12, "6")], &both), [(Some(1), "3".into()), (Some(2), "0".into())]);
        // No change of plan, or one of another month: the plan is named all the same.
        assert_eq!(divided("10", &[(12, "4")], &[new()]), [(Some(2), "10".into())]);
        assert_eq!(divided("10", &[(12, "4")], &both), [(Some(2), "10".into())]);
        assert_eq!(divided("10", &[], &both), [(Some(2), "10".into())]);
        let later = plan(3, "2026-12-01T00:00:00Z", None, &[]);
        assert_eq!(divided("10", &[(11, "4")], &[old(), later]), [(Some(1), "10".into())]);
        // Reported of a month before the resource came.
        let later = plan(3, "2026-12-01T00:00:00Z", None, &[31]);
        assert_eq!(divided("10", &[(31, "4")], &[later]), [(Some(3), "10".into())]);
        // Without plans there is nothing to divide among.
        assert_eq!(divided("10", &[(11, "4")], &[]), [(None, "10".into())]);
    }

    #[test]
    fn c51_a_row_that_no_plan_claims_is_never_billed_beside_another() {
        let refused = |rows: &[(u32, &str)], plans: &[PlanPeriod]| {
            let error = parts("10", rows, plans).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Inconsistent, "{rows:?}");
        };
        refused(&[(13, "4")], &[old(), new()]);
        refused(&[(11, "4"), (13, "4")], &[old(), new()]);
        // No plan had begun, and none claims it.
        refused(&[(31, "4")], &[plan(3, "2026-12-01T00:00:00Z", None, &[])]);
        // Two rows of one plan, and one row of two.
        refused(&[(12, "4"), (14, "1")], &[old(), plan(2, "2026-11-20T00:00:00Z", None, &[12, 14])]);
        refused(&[(11, "4")], &[old(), plan(2, "2026-11-20T00:00:00Z", None, &[11])]);
        // Two rows of no plan, and no plans although there is one.
        refused(&[(11, "4"), (12, "6")], &[]);
        let period = Period::containing(jiff::civil::date(2026, 11, 1));
        assert!(Timeline::new(&[], period, &stored(&[(11, "4")]), true).is_err());
    }

    #[test]
    fn c51_plans_that_are_not_told_whole_are_not_taken_for_empty_or_first() {
        let error = |last: serde_json::Value| {
            let plans = [old(), serde_json::from_value(last).unwrap()];
            parts("10", &[(11, "4")], &plans).unwrap_err().kind()
        };
        let uuid = format!("{:032x}", 2);
        let start = "2026-11-20T00:00:00Z";
        assert_eq!(error(json!({ "uuid": uuid, "start": start })), ErrorKind::Inconsistent);
        assert_eq!(error(json!({ "uuid": uuid, "start": start, "components": null })), ErrorKind::Inconsistent);
        // It lasts, and would be sorted before the one that is over.
        assert_eq!(error(json!({ "uuid": uuid, "start": null, "components": [] })), ErrorKind::Inconsistent);
        // Two began nobody knows when.
        let (mut one, mut other) = (old(), new());
        (one.start, other.start, other.end) = (None, None, one.end);
        assert_eq!(parts("10", &[(11, "4")], &[one, other]).unwrap_err().kind(), ErrorKind::Inconsistent);
    }
}
