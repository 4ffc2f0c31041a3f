//! The components of an offering as a whole: Waldur's added, units converted.

use std::{collections::BTreeMap, sync::Arc};

use rust_decimal::Decimal;

use super::{AccountingType, Component, Warning};
use crate::{
    error::{Error, Result},
    types::{BackendAmount, BillingType, Limit, Limits, UnitFactor, WaldurAmount},
};

/// The components of one offering, in the order of their names. Never changes: [`Self::merge_waldur`] makes another
/// one, from which the back end is then built (core.md §6.5). Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Components(Arc<BTreeMap<String, Component>>);

/// A limit in the back end's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendLimit {
    /// No ceiling.
    Unlimited,
    /// At most this much.
    At(BackendAmount),
}

/// Limits by component, in the back end's units.
pub type BackendLimits = BTreeMap<String, BackendLimit>;

/// What a component of an offering in Waldur tells the merge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaldurComponent {
    /// `type`: the component's key everywhere.
    pub component_type: String,
    /// `name`: for people.
    pub name: String,
    /// `measured_unit`: for people.
    pub measured_unit: String,
    /// `billing_type`
    pub billing_type: BillingType,
    /// `unit_factor`
    pub unit_factor: Option<Decimal>,
    /// `limit_amount`
    pub limit_amount: Option<Decimal>,
    /// `is_prepaid`
    pub is_prepaid: Option<bool>,
}

impl Components {
    /// The component of that name.
    pub fn get(&self, name: &str) -> Option<&Component> {
        self.0.get(name)
    }

    /// The component of that name, which must exist.
    ///
    /// # Errors
    /// `Config`, naming it and those that exist.
    pub fn require(&self, name: &str) -> Result<&Component> {
        self.get(name).ok_or_else(|| {
            let known: Vec<_> = self.0.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::config(format!("component {name:?} is neither configured nor in Waldur; known: {known}"))
        })
    }

    /// All components, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Component> {
        self.0.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These components, and those of Waldur that the file does not have (core.md §6.5). The file wins, but for one
    /// thing: what either side calls prepaid is, since no monthly limit may replace what was paid for. That the two bill a
    /// component by different things is warned of, and [`Component::billing_type`] keeps Waldur's word. Whatever Waldur
    /// says, there is a result: what makes no sense is warned of.
    #[must_use]
    pub fn merge_waldur(&self, waldur: &[WaldurComponent]) -> (Self, Vec<Warning>) {
        let mut merged = (*self.0).clone();
        let mut warnings = Vec::new();
        for theirs in waldur {
            let ours = merged.entry(theirs.component_type.clone()).or_insert_with(|| theirs.adopt(&mut warnings));
            ours.billing_type = Some(theirs.billing_type.clone());
            let is_told = !matches!(theirs.billing_type, BillingType::Unknown(_));
            if is_told && ours.accounting_type != AccountingType::from(&theirs.billing_type) {
                let (file, waldur) = (ours.accounting_type.word(), theirs.billing_type.as_str());
                let text = format!("is billed by {waldur:?} in Waldur, and by {file:?} in the file, which counts here");
                warnings.push(Warning::new(format!("component {}", theirs.component_type), text));
            }
            if theirs.is_prepaid == Some(true) && ours.is_prepaid != Some(true) {
                if ours.is_prepaid.is_some() {
                    let text = "is prepaid in Waldur and not in the file; it is taken for prepaid";
                    warnings.push(Warning::new(format!("component {}", theirs.component_type), text));
                }
                ours.is_prepaid = Some(true);
            }
        }
        (Self(Arc::new(merged)), warnings)
    }

    /// A limit in the back end's unit: `waldur × unit_factor`, exact. Back ends that count whole units take
    /// [`BackendAmount::whole`], which truncates (core.md §4.8).
    ///
    /// # Errors
    /// `Config` for an unknown component, `InvalidRequest` for a product that is out of range.
    pub fn limit_to_backend(&self, component: &str, limit: Limit) -> Result<BackendLimit> {
        let component = self.require(component)?;
        match limit {
            Limit::Unlimited => Ok(BackendLimit::Unlimited),
            Limit::At(amount) => component.unit_factor.to_backend(amount).map(BackendLimit::At),
        }
    }

    /// The limits of a resource in the back end's units: its own, and for a component that is billed by usage and has
    /// none, the static one of the file (`limit`, core.md §6.4). Fixed components are left out.
    ///
    /// # Errors
    /// As [`Self::limit_to_backend`].
    pub fn limits_to_backend(&self, limits: &Limits) -> Result<BackendLimits> {
        let mut converted = BackendLimits::new();
        for component in self.iter().filter(|component| component.accounting_type == AccountingType::Usage) {
            if let Some(limit) = component.limit {
                converted.insert(component.name.clone(), self.limit_to_backend(&component.name, limit)?);
            }
        }
        for (name, limit) in limits {
            if !self.require(name)?.is_fixed() {
                converted.insert(name.clone(), self.limit_to_backend(name, *limit)?);
            }
        }
        Ok(converted)
    }

    /// An amount or a limit of the back end in Waldur's unit: `backend / unit_factor`.
    ///
    /// # Errors
    /// `Config` for an unknown component, `InvalidRequest` for a quotient that is out of range.
    pub fn to_waldur(&self, component: &str, amount: BackendAmount) -> Result<WaldurAmount> {
        self.require(component)?.unit_factor.to_waldur(amount)
    }

    /// Measured usage in Waldur's unit: as [`Self::to_waldur`], by `unit_factor_reporting` where there is one.
    ///
    /// # Errors
    /// As [`Self::to_waldur`].
    pub fn usage_to_waldur(&self, component: &str, amount: BackendAmount) -> Result<WaldurAmount> {
        self.require(component)?.reporting_factor().to_waldur(amount)
    }
}

impl FromIterator<Component> for Components {
    fn from_iter<I: IntoIterator<Item = Component>>(components: I) -> Self {
        Self(Arc::new(components.into_iter().map(|component| (component.name.clone(), component)).collect()))
    }
}

impl WaldurComponent {
    /// A component with nothing optional.
    pub fn new(component_type: impl Into<String>, billing_type: impl Into<BillingType>) -> Self {
        let component_type = component_type.into();
        Self {
            name: component_type.clone(),
            component_type,
            measured_unit: String::new(),
            billing_type: billing_type.into(),
            unit_factor: None,
            limit_amount: None,
            is_prepaid: None,
        }
    }

    fn adopt(&self, warnings: &mut Vec<Warning>) -> Component {
        let mut warn = |text: String| warnings.push(Warning::new(format!("component {}", self.component_type), text));
        if let BillingType::Unknown(word) = &self.billing_type {
            warn(format!("Waldur's billing type {:?} is unknown; its limits and usage are ignored", word.as_str()));
        }
        let unit_factor = match self.unit_factor.map(UnitFactor::new) {
            None => UnitFactor::ONE,
            Some(Ok(factor)) => factor,
            Some(Err(_)) => {
                warn("Waldur's unit_factor is not greater than 0; 1 is used".to_owned());
                UnitFactor::ONE
            }
        };
        let limit = self.limit_amount.and_then(|amount| {
            let limit = Limit::from_waldur(&self.component_type, amount).ok();
            if limit.is_none() {
                warn("Waldur's limit_amount is negative; it is ignored".to_owned());
            }
            limit
        });
        let bare = Component::new(&*self.component_type, AccountingType::from(&self.billing_type));
        Component {
            label: self.name.clone(),
            measured_unit: self.measured_unit.clone(),
            unit_factor,
            limit,
            is_prepaid: bare.is_prepaid.or(self.is_prepaid),
            is_adopted: true,
            ..bare
        }
    }
}
