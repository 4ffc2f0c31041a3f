//! What has to be reported, if anything: measured amounts against those that Waldur has (core.md §4.3, §4.5). Pure.

use std::collections::BTreeMap;

use super::report::Decrease;
use crate::{
    client::ComponentUsage,
    types::{Amounts, ComponentUsageUuid, Decimal, WaldurAmount},
};

/// What Waldur has of one resource in one month, by component: one row each, or several after a change of plan.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored(BTreeMap<String, Vec<StoredRow>>);

#[derive(Clone, Copy, Debug)]
pub(super) struct StoredRow {
    pub(super) uuid: ComponentUsageUuid,
    /// `None` when Waldur does not say: nothing equals it.
    pub(super) amount: Option<Decimal>,
}

impl Stored {
    pub(super) fn add(&mut self, row: &ComponentUsage) {
        let stored = StoredRow { uuid: row.uuid, amount: row.usage };
        self.0.entry(row.kind.clone()).or_default().push(stored);
    }

    pub(super) fn rows(&self, component: &str) -> &[StoredRow] {
        self.0.get(component).map_or(&[], Vec::as_slice)
    }

    /// Whether a row is among them.
    pub(super) fn has(&self, uuid: ComponentUsageUuid) -> bool {
        self.0.values().flatten().any(|row| row.uuid == uuid)
    }

    /// The rows of each component in the order of `key`.
    pub(super) fn sorted<K: Ord>(mut self, key: impl Fn(ComponentUsageUuid) -> K) -> Self {
        for rows in self.0.values_mut() {
            rows.sort_by_key(|row| key(row.uuid));
        }
        self
    }

    /// The components of which there are several rows.
    pub(super) fn split(&self) -> Vec<String> {
        self.0.iter().filter(|(_, rows)| rows.len() > 1).map(|(component, _)| component.clone()).collect()
    }

    /// The sum of a component's rows; `None` when one of them is not said, or when there are none.
    fn sum(&self, component: &str) -> Option<Decimal> {
        let rows = self.0.get(component)?;
        rows.iter().try_fold(Decimal::ZERO, |sum, row| sum.checked_add(row.amount?))
    }

    /// Whether a component's rows do not add up to `amount`.
    pub(super) fn differs(&self, component: &str, amount: WaldurAmount) -> bool {
        self.sum(component) != Some(amount.decimal())
    }

    fn components(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

/// What the comparison obeys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Amounts may go down.
    pub(super) decreasing: bool,
    /// Components whose amounts went down are left out, instead of everything.
    pub(super) omit: bool,
    /// That a component is not measured any more is a change.
    pub(super) vanishing: bool,
}

/// What is to be done about one month of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// What goes out: everything that may, or nothing when Waldur has it all.
    pub(super) submit: Amounts,
    /// What may be reported, be it in Waldur already: the users' shares of these go out.
    pub(super) kept: Amounts,
    pub(super) decreases: Vec<Decrease>,
}

/// Compares. `last` is what Waldur took from us last: of components that are not measured any more it keeps the rows, so
/// that they differ for ever, and are reported once.
pub(super) fn decide(
    measured: &Amounts,
    stored: &Stored,
    rules: Rules,
    last: Option<&Amounts>,
    billed: impl Fn(&str) -> bool,
) -> Decision {
    let decreases = if rules.decreasing { Vec::new() } else { decreases(measured, stored) };
    let is_less = |component: &str| decreases.iter().any(|decrease| decrease.component == component);
    if !decreases.is_empty() && !rules.omit {
        return Decision { decreases, ..Decision::default() };
    }
    let kept: Amounts = measured
        .iter()
        .filter(|(component, _)| !is_less(component))
        .map(|(component, amount)| (component.clone(), *amount))
        .collect();
    let changed = kept.iter().any(|(component, amount)| stored.differs(component, *amount));
    let vanished =
        rules.vanishing && stored.components().any(|name| !kept.contains_key(name) && !is_less(name) && billed(name));
    let submit = changed || (vanished && last != Some(&kept));
    Decision { submit: if submit { kept.clone() } else { Amounts::new() }, kept, decreases }
}

fn decreases(measured: &Amounts, stored: &Stored) -> Vec<Decrease> {
    let decrease = |(component, measured): (&String, &WaldurAmount)| {
        let stored = WaldurAmount::new(stored.sum(component)?);
        (*measured < stored).then(|| Decrease { component: component.clone(), stored, measured: *measured })
    };
    measured.iter().filter_map(decrease).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

    use super::*;

    fn amounts<const N: usize>(entries: [(&str, &str); N]) -> Amounts {
        entries.map(|(name, amount)| (name.to_owned(), WaldurAmount::new(amount.parse().unwrap()))).into()
    }

    fn stored<const N: usize>(rows: [(&str, &str); N]) -> Stored {
        let mut stored = Stored::default();
        for (number, (kind, usage)) in rows.into_iter().enumerate() {
            let row = serde_json::json!({ "uuid": format!("{number:032x}"), "type": kind, "usage": usage });
            stored.add(&serde_json::from_value(row).unwrap());
        }
        stored
    }

    const STRICT: Rules = Rules { decreasing: false, omit: false, vanishing: true };

    fn decided(measured: &Amounts, stored: &Stored, rules: Rules) -> Decision {
        decide(measured, stored, rules, None, |_| true)
    }

    #[test]
    fn c49_only_what_changed_is_submitted() {
        let measured = amounts([("cpu", "10.00"), ("mem", "5")]);
        let table = [
            (stored([("cpu", "10"), ("mem", "5.00")]), false),
            (stored([("cpu", "9.99"), ("mem", "5.00")]), true),
            // A component appears, or is not measured any more.
            (stored([("cpu", "10")]), true),
            (stored([("cpu", "10"), ("mem", "5"), ("gpu", "1")]), true),
            (stored([]), true),
        ];
        for (stored, submits) in table {
            let decision = decided(&measured, &stored, STRICT);
            assert_eq!(!decision.submit.is_empty(), submits, "{stored:?}");
            assert_eq!(decision.kept, measured);
        }
    }

    #[test]
    fn c49_what_vanished_is_submitted_once() {
        let measured = amounts([("cpu", "10")]);
        let stored = stored([("cpu", "10"), ("mem", "5")]);
        let decide = |last| decide(&measured, &stored, STRICT, last, |_| true);
        assert_eq!(decide(None).submit, measured);
        assert!(decide(Some(&measured)).submit.is_empty());
        assert_eq!(decide(Some(&amounts([("cpu", "10"), ("mem", "5")]))).submit, measured);
    }

    #[test]
    fn c50_less_than_before_holds_everything_up_or_is_left_out() {
        let measured = amounts([("cpu", "9.99"), ("mem", "6")]);
        let stored = stored([("cpu", "10"), ("mem", "5")]);
        let decision = decided(&measured, &stored, STRICT);
        assert!(decision.submit.is_empty() && decision.kept.is_empty());
        assert_eq!(decision.decreases.len(), 1);
        let decision = decided(&measured, &stored, Rules { omit: true, ..STRICT });
        assert_eq!(decision.submit, amounts([("mem", "6")]));
        assert_eq!(decision.decreases.len(), 1);
        let decision = decided(&measured, &stored, Rules { decreasing: true, ..STRICT });
        assert_eq!((decision.submit, decision.decreases.len()), (measured, 0));
    }

    #[test]
    fn c50_the_rest_that_waldur_has_already_is_not_sent_again() {
        let stored = stored([("cpu", "10"), ("mem", "5")]);
        let decision = decided(&amounts([("cpu", "9"), ("mem", "5")]), &stored, Rules { omit: true, ..STRICT });
        assert!(decision.submit.is_empty());
        assert_eq!(decision.kept, amounts([("mem", "5")]));
    }

    #[test]
    fn c51_several_rows_of_a_component_are_summed() {
        let stored = stored([("cpu", "4"), ("cpu", "6")]);
        assert!(decided(&amounts([("cpu", "10")]), &stored, STRICT).submit.is_empty());
        assert_eq!(decided(&amounts([("cpu", "9")]), &stored, STRICT).decreases.len(), 1);
        assert_eq!(decided(&amounts([("cpu", "11")]), &stored, STRICT).submit.len(), 1);
        assert_eq!(stored.split(), ["cpu"]);
    }
}
