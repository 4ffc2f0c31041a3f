//! Computes what is reported from what a gateway says. Pure: no calls, no clocks.
//!
//! Two models (s3.md §6): [`current`] is what is stored now, [`gb_days`] is what was stored how long. Unknown is never
//! zero: for each user by itself, a model says if the usage is not known.

pub mod current;
pub mod gb_days;

use std::ops::Range;

use waldur_sdk::{
    Result,
    settings::{AccountingType, Component, Components},
    types::{Amounts, BackendAmount, Timestamp, UnitFactor, WaldurAmount},
};

use self::{current::Held, gb_days::Sample};
use crate::backend::ceilings::own_keys;

/// The components of an offering that are measured, found by their `backend_name`: `storage` and `objects`.
///
/// Measured are components that are billed by usage, and those that are billed by limit (Waldur shows their usage and
/// does not bill it). Not measured are components that are billed once or by the plan, and those that only Waldur has:
/// the file does not say what they are.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    storage: Option<Measured>,
    objects: Option<Measured>,
}

#[derive(Clone, Debug)]
struct Measured {
    component: String,
    unit: String,
    factor: UnitFactor,
}

impl Meter {
    /// Finds the components.
    ///
    /// # Errors
    /// `Config` when a key of a component cannot be read.
    pub fn of(components: &Components) -> Result<Self> {
        let mut meter = Self::default();
        for component in components.iter().filter(|component| is_measured(component)) {
            let (backend_name, _enforced) = own_keys(component)?;
            let place = match backend_name.as_str() {
                "storage" => &mut meter.storage,
                "objects" => &mut meter.objects,
                _ => continue,
            };
            *place = Some(Measured {
                component: component.name.clone(),
                unit: component.measured_unit.clone(),
                factor: component.reporting_factor(),
            });
        }
        Ok(meter)
    }

    /// Whether there is nothing to measure.
    pub fn is_idle(&self) -> bool {
        self.storage.is_none() && self.objects.is_none()
    }

    /// Whether what is stored is measured by its size.
    pub fn measures_storage(&self) -> bool {
        self.storage.is_some()
    }

    /// Why the component of objects is never reported where what is stored is measured over time, if there is one: croit
    /// draws no series of it.
    pub fn objects_without_history(&self) -> Option<String> {
        let Measured { component, .. } = self.objects.as_ref()?;
        Some(format!(
            "component {component} is not reported: objects have no history, and gb_days has no usage of them"
        ))
    }

    /// Why the unit of the storage component fits the other model, if it does. Then what was reported under the
    /// component's key so far means something else. `over_time`: it is measured in days times bytes. A component
    /// without a unit is taken for one that measures what is stored now, which is the default.
    pub fn unit_of_other_model(&self, over_time: bool) -> Option<String> {
        let Measured { component, unit, .. } = self.storage.as_ref()?;
        let is_told = !unit.trim().is_empty() && unit != "unit";
        let sold = if is_told { format!("by `{unit}`") } else { "by a unit that nobody has told".to_owned() };
        let in_days = unit.to_lowercase().contains("day");
        let model = if over_time { "what was stored times the days" } else { "what is stored now" };
        let text = format!(
            "component {component} is sold {sold}, and what this back end measures is {model}: where the usage_model \
             changes, the component needs another key, or one month has both. Where another back end reports, all is well"
        );
        ((is_told || over_time) && in_days != over_time).then_some(text)
    }

    /// The amounts of what is stored now, in Waldur's units and rounded to two places.
    ///
    /// # Errors
    /// `InvalidRequest` for what is out of range.
    pub fn current(&self, held: Held) -> Result<Amounts> {
        let both = [(&self.storage, held.bytes), (&self.objects, held.objects)];
        let amount = |(measured, amount): (&Option<Measured>, u64)| {
            let measured = measured.as_ref()?;
            let sold = measured.factor.to_waldur(BackendAmount::from(amount));
            let sold = sold.map(|sold| WaldurAmount::new(gb_days::half_up(sold.decimal())));
            Some(sold.map(|sold| (measured.component.clone(), sold)))
        };
        both.into_iter().filter_map(amount).collect()
    }

    /// The amount of what was stored how long, as [`gb_days::unit_days`], and of how many seconds there is no proof.
    /// Objects have no history.
    ///
    /// # Errors
    /// As [`gb_days::unit_days`].
    pub fn unit_days(&self, samples: &[Sample], window: Range<Timestamp>) -> Result<Option<(Amounts, i64)>> {
        let Some(storage) = &self.storage else { return Ok(Some((Amounts::new(), 0))) };
        let days = gb_days::unit_days(samples, window, storage.factor)?;
        Ok(days.map(|days| ([(storage.component.clone(), WaldurAmount::new(days.amount))].into(), days.unproven)))
    }
}

fn is_measured(component: &Component) -> bool {
    !component.is_adopted && matches!(component.accounting_type, AccountingType::Usage | AccountingType::Limit)
}
