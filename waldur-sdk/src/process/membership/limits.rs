//! Limits of both sides (core.md §3.7). Pure.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::report::Change;
use crate::{
    backend::{LimitsAuthority, state::same},
    error::{Error, ErrorKind, Result},
    process::convert,
    settings::{AccountingType, Components},
    types::{Limit, Limits, WaldurAmount},
};

/// What is to be done about limits.
#[derive(Clone, Debug, Default)]
pub(super) struct LimitsPlan {
    /// All limits of the resource as Waldur is to have them.
    pub(super) to_waldur: Option<Limits>,
    /// The limits that the back end is to have; others stay.
    pub(super) to_backend: Option<Limits>,
    /// What differs and stays.
    pub(super) differences: Vec<Change>,
}

/// Compares the limits of both sides, component by component, in Waldur's units.
///
/// Only components that are ordered by limit count, and of those only the ones that both sides name: one that the back
/// end does not know is nothing that it said, and stays in Waldur as it is. Prepaid components are budgets over
/// months, which no monthly number may replace.
///
/// # Errors
/// When a limit of either side is none.
pub(super) fn plan(
    authority: LimitsAuthority,
    components: &Components,
    waldur: &BTreeMap<String, Decimal>,
    backend: &Limits,
) -> Result<LimitsPlan> {
    let waldur = convert::limits(waldur)?;
    let counts = |name: &str| {
        components.get(name).is_some_and(|component| {
            component.accounting_type == AccountingType::Limit && component.is_prepaid != Some(true)
        })
    };
    let differing = backend.iter().filter(|(name, _)| counts(name)).filter_map(|(name, theirs)| {
        let ours = waldur.get(name)?;
        (!same(*ours, *theirs)).then_some((name, *ours, *theirs))
    });
    let differing: Vec<_> = differing.collect();
    let mut plan = LimitsPlan::default();
    if differing.is_empty() {
        return Ok(plan);
    }
    match authority {
        LimitsAuthority::Waldur => {
            plan.to_backend = Some(differing.into_iter().map(|(name, ours, _)| (name.clone(), ours)).collect());
        }
        LimitsAuthority::Backend => {
            let mut merged = waldur.clone();
            for (name, _, theirs) in differing {
                merged.insert(name.clone(), whole(name, theirs)?);
            }
            plan.to_waldur = (merged != waldur).then_some(merged);
        }
        LimitsAuthority::None => {
            let differences = differing.into_iter().map(|(name, waldur, backend)| Change::LimitsDiffer {
                component: name.clone(),
                waldur,
                backend,
            });
            plan.differences = differences.collect();
        }
    }
    Ok(plan)
}

/// Waldur keeps whole numbers. What is one but for the back end's blocks is taken for it; everything else is not
/// Waldur's to have.
fn whole(component: &str, limit: Limit) -> Result<Limit> {
    let Limit::At(amount) = limit else { return Ok(limit) };
    let rounded = Limit::At(WaldurAmount::new(amount.decimal().round()));
    if same(rounded, limit) {
        Ok(rounded)
    } else {
        let text =
            format!("the back end's limit of {component}, {amount}, is no whole number, and Waldur keeps no other");
        Err(Error::new(ErrorKind::Inconsistent, text))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::settings::Component;

    fn components() -> Components {
        let mut prepaid = Component::new("budget", AccountingType::Limit);
        prepaid.is_prepaid = Some(true);
        let kinds = [
            Component::new("cpu", AccountingType::Limit),
            Component::new("mem", AccountingType::Limit),
            Component::new("traffic", AccountingType::Usage),
            prepaid,
        ];
        kinds.into_iter().collect()
    }

    fn decide(authority: LimitsAuthority, waldur: &[(&str, i64)], backend: &[(&str, &str)]) -> Result<LimitsPlan> {
        let waldur = waldur.iter().map(|(name, amount)| ((*name).to_owned(), Decimal::from(*amount))).collect();
        let backend = backend.iter().map(|(name, amount)| {
            let amount: Decimal = amount.parse().unwrap();
            ((*name).to_owned(), Limit::from_waldur(name, amount).unwrap())
        });
        plan(authority, &components(), &waldur, &backend.collect())
    }

    fn shown(limits: Option<Limits>) -> String {
        let limits = limits.unwrap_or_default();
        limits.iter().map(|(name, limit)| format!("{name}={limit}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn c48_a_component_that_the_back_end_lacks_stays_in_waldur() {
        let plan = decide(LimitsAuthority::Backend, &[("cpu", 4), ("mem", 8), ("odd", 3)], &[("cpu", "5")]).unwrap();
        assert_eq!(shown(plan.to_waldur), "cpu=5 mem=8 odd=3");
        assert!(plan.to_backend.is_none() && plan.differences.is_empty());
        let nothing = decide(LimitsAuthority::Backend, &[("cpu", 4)], &[]).unwrap();
        assert!(nothing.to_waldur.is_none(), "an empty answer is no answer");
        // What only the back end names was never ordered.
        assert!(
            decide(LimitsAuthority::Backend, &[("cpu", 4)], &[("mem", "1"), ("cpu", "4")]).unwrap().to_waldur.is_none()
        );
    }

    #[test]
    fn c47_prepaid_and_measured_components_are_nobodys() {
        for authority in [LimitsAuthority::Backend, LimitsAuthority::Waldur, LimitsAuthority::None] {
            let plan = decide(authority, &[("budget", 1200), ("traffic", 5)], &[("budget", "100"), ("traffic", "9")]);
            let plan = plan.unwrap();
            assert!(plan.to_waldur.is_none() && plan.to_backend.is_none() && plan.differences.is_empty(), "{plan:?}");
        }
    }

    #[test]
    fn f112_a_quota_changed_by_hand_is_undone_told_or_reported_by_authority() {
        let sides = |authority| decide(authority, &[("cpu", 4), ("mem", 8)], &[("cpu", "6"), ("mem", "8")]).unwrap();
        assert_eq!(shown(sides(LimitsAuthority::Waldur).to_backend), "cpu=4");
        assert_eq!(shown(sides(LimitsAuthority::Backend).to_waldur), "cpu=6 mem=8");
        assert_eq!(sides(LimitsAuthority::None).differences.len(), 1);
    }

    #[test]
    fn c48_blocks_of_a_back_end_are_no_difference_and_fractions_are_refused() {
        let plan = decide(LimitsAuthority::Backend, &[("cpu", 4)], &[("cpu", "3.99999")]).unwrap();
        assert!(plan.to_waldur.is_none());
        let plan = decide(LimitsAuthority::Backend, &[("cpu", 4)], &[("cpu", "100000.5")]).unwrap();
        assert_eq!(shown(plan.to_waldur), "cpu=100000");
        assert!(decide(LimitsAuthority::Backend, &[("cpu", 4)], &[("cpu", "1.5")]).is_err());
        let unlimited = decide(LimitsAuthority::Backend, &[("cpu", 4)], &[("cpu", "-1")]).unwrap();
        assert_eq!(shown(unlimited.to_waldur), "cpu=unlimited");
    }
}
