//! Components that stand for others on the back end (core.md §4.8).

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::{Component, Components};
use crate::{
    error::{Error, ErrorKind, Result},
    types::{Amounts, Limit, Limits, WaldurAmount},
};

/// How the components that Waldur sells are mapped to those that the back end knows: `target_components` of each. A
/// component without any stands for itself. All amounts are in Waldur's units, those of targets in the units of the
/// system behind.
///
/// ```
/// use waldur_sdk::{settings::{AccountingType, Component, ComponentMapping, Components}, types::Amounts};
///
/// let mut node_hours = Component::new("node_hours", AccountingType::Usage);
/// node_hours.target_components = [("gpu".to_owned(), 5.into()), ("storage".to_owned(), 10.into())].into();
/// let mapping = ComponentMapping::new(&Components::from_iter([node_hours]))?;
///
/// let measured: Amounts = [("gpu".to_owned(), 500_u32.into()), ("storage".to_owned(), 800_u32.into())].into();
/// let sold = mapping.usage_from_targets(&measured)?;
/// assert_eq!(sold["node_hours"].to_string(), "180");
/// # Ok::<(), waldur_sdk::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ComponentMapping {
    sources: BTreeMap<String, BTreeMap<String, Decimal>>,
    /// Components that nothing can be told of, with what is measured of each.
    ambiguous: BTreeMap<String, BTreeSet<String>>,
}

impl ComponentMapping {
    /// Reads the mapping of components. What is fixed takes no usage, and is in nobody's way.
    ///
    /// A component that only Waldur has is added there by somebody who does not know the file: where it has the name of
    /// another's target, both are [ambiguous](Self::ambiguous), and all others as they were.
    ///
    /// # Errors
    /// `Config` when two components of the file share a target, or one has another's name for a target: what is measured
    /// of it could not be told apart, and would be billed twice.
    pub fn new(components: &Components) -> Result<Self> {
        let mut sources = BTreeMap::new();
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        let is_ours = |component: &&Component| !component.is_adopted && !component.is_fixed();
        for component in components.iter().filter(is_ours) {
            let targets = &component.target_components;
            let own = targets.is_empty().then_some(component.name.as_str());
            for target in targets.keys().map(String::as_str).chain(own) {
                if let Some(other) = taken.insert(target, &component.name) {
                    let name = &component.name;
                    return Err(Error::config(format!(
                        "component {name}: target_components: {target} already stands for component {other}; usage of \
                         it would be counted twice"
                    )));
                }
            }
            if !targets.is_empty() {
                sources.insert(component.name.clone(), targets.clone());
            }
        }
        let mut ambiguous = BTreeMap::new();
        for component in components.iter().filter(|component| component.is_adopted && !component.is_fixed()) {
            let name = component.name.as_str();
            if let Some(targets) = taken.get(name).and_then(|other| sources.get(*other).map(|targets| (other, targets)))
            {
                let (other, targets) = targets;
                ambiguous.insert(name.to_owned(), BTreeSet::from([name.to_owned()]));
                ambiguous.insert((*other).to_owned(), targets.keys().cloned().collect());
            }
        }
        Ok(Self { sources, ambiguous })
    }

    /// The components whose usage cannot be told apart: the back end has one quantity for the names of two components.
    /// They are left out of [usage](Self::usage_from_targets).
    pub fn ambiguous(&self, measured: &Amounts) -> Vec<String> {
        let is_measured = |targets: &BTreeSet<String>| targets.iter().any(|target| measured.contains_key(target));
        self.ambiguous.iter().filter(|(_, targets)| is_measured(targets)).map(|(name, _)| name.clone()).collect()
    }

    /// Whether every component stands for itself.
    pub fn is_passthrough(&self) -> bool {
        self.sources.is_empty()
    }

    /// What was measured of targets, as what was sold: the sum of `target / factor`. If one target of a component was
    /// not measured, the component was not measured, whatever the back end reports under the component's own name.
    /// Quantities that are neither component nor target stay as they are.
    ///
    /// # Errors
    /// `InvalidRequest` for an amount that is out of range.
    pub fn usage_from_targets(&self, measured: &Amounts) -> Result<Amounts> {
        let targets: BTreeSet<&String> = self.sources.values().flat_map(BTreeMap::keys).collect();
        let mut usage: Amounts = measured
            .iter()
            .filter(|(name, _)| !targets.contains(name) && !self.sources.contains_key(*name))
            .map(|(name, amount)| (name.clone(), *amount))
            .collect();
        for (source, targets) in &self.sources {
            let parts = targets.iter().map(|(target, factor)| Some((measured.get(target)?, factor)));
            let Some(parts) = parts.collect::<Option<Vec<_>>>().filter(|_| !self.ambiguous.contains_key(source)) else {
                continue;
            };
            let mut sum = Decimal::ZERO;
            for (amount, factor) in parts {
                let part = amount.decimal().checked_div(*factor).and_then(|part| sum.checked_add(part));
                sum = part.ok_or_else(|| out_of_range(source))?;
            }
            usage.insert(source.clone(), WaldurAmount::new(sum));
        }
        Ok(usage)
    }

    /// What one user used, of what was measured in `total`. A target that was counted, and not for somebody who used
    /// others of the same component, is one that they used nothing of.
    ///
    /// # Errors
    /// As [`usage_from_targets`](Self::usage_from_targets).
    pub(crate) fn shares_from_targets(&self, share: &Amounts, total: &Amounts) -> Result<Amounts> {
        let mut share = share.clone();
        for targets in self.sources.values() {
            let is_counted = targets.keys().all(|target| total.contains_key(target));
            if is_counted && targets.keys().any(|target| share.contains_key(target)) {
                for target in targets.keys() {
                    share.entry(target.clone()).or_default();
                }
            }
        }
        self.usage_from_targets(&share)
    }

    /// What was ordered, as limits of targets: `source × factor`, whole units. No ceiling stays none.
    ///
    /// # Errors
    /// `InvalidRequest` for a limit that is out of range.
    pub fn limits_to_targets(&self, ordered: &Limits) -> Result<Limits> {
        let mut limits = Limits::new();
        for (name, limit) in ordered {
            let Some(targets) = self.sources.get(name) else {
                limits.insert(name.clone(), *limit);
                continue;
            };
            for (target, factor) in targets {
                let limit = match limit {
                    Limit::Unlimited => Limit::Unlimited,
                    Limit::At(amount) => {
                        let product = amount.decimal().checked_mul(*factor).ok_or_else(|| out_of_range(name))?;
                        Limit::At(WaldurAmount::new(product.trunc()))
                    }
                };
                limits.insert(target.clone(), limit);
            }
        }
        Ok(limits)
    }

    /// Limits of targets, as what they leave of what was sold: the least of `target / factor`, since a resource is full
    /// when the first of them is. A component of which one target has no limit said is left out.
    ///
    /// # Errors
    /// `InvalidRequest` for a limit that is out of range.
    pub fn limits_from_targets(&self, found: &Limits) -> Result<Limits> {
        let targets: BTreeSet<&String> = self.sources.values().flat_map(BTreeMap::keys).collect();
        let mut limits: Limits = found
            .iter()
            .filter(|(name, _)| !targets.contains(name) && !self.sources.contains_key(*name))
            .map(|(name, limit)| (name.clone(), *limit))
            .collect();
        for (source, targets) in &self.sources {
            let parts = targets.iter().map(|(target, factor)| Some((found.get(target)?, factor)));
            let Some(parts) = parts.collect::<Option<Vec<_>>>() else { continue };
            let mut least = Limit::Unlimited;
            for (limit, factor) in parts {
                if let Limit::At(amount) = limit {
                    let part = amount.decimal().checked_div(*factor).ok_or_else(|| out_of_range(source))?;
                    let part = WaldurAmount::new(part);
                    least = match least {
                        Limit::At(least) if least < part => Limit::At(least),
                        _ => Limit::At(part),
                    };
                }
            }
            limits.insert(source.clone(), least);
        }
        Ok(limits)
    }
}

fn out_of_range(component: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("component {component}: the amount is out of range"))
}
