//! From what was measured to what can be billed.

use std::collections::BTreeMap;

use crate::{
    backend::UsageReport,
    client::{Offering, OfferingComponent},
    error::{Error, ErrorKind, Result},
    settings::ComponentMapping,
    types::{Amounts, BillingType, Decimal, WaldurAmount},
};

/// How Waldur bills the components of the offering: what decides whether it takes their usage.
#[derive(Clone, Debug, Default)]
pub(super) struct Billing(BTreeMap<String, Option<BillingType>>);

/// The two kinds of components that take usage. Waldur has other rules for each in months that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Usage,
    Limit,
}

impl Billing {
    pub(super) fn new(offering: &Offering) -> Self {
        let entry = |component: &OfferingComponent| (component.kind.clone(), component.billing_type.clone());
        Self(offering.components.iter().map(entry).collect())
    }

    /// `None` for what takes no usage or is not there.
    pub(super) fn kind(&self, component: &str) -> Option<Kind> {
        match self.0.get(component)?.as_ref()? {
            BillingType::Usage => Some(Kind::Usage),
            BillingType::Limit => Some(Kind::Limit),
            _ => None,
        }
    }

    fn is_known(&self, component: &str) -> bool {
        self.0.contains_key(component)
    }
}

/// What one resource used in one month, as it can be reported.
#[derive(Default)]
pub(super) struct Sold {
    /// Rounded, by component.
    pub(super) total: Amounts,
    /// Rounded, by component and user name.
    pub(super) users: BTreeMap<String, BTreeMap<String, WaldurAmount>>,
    pub(super) unknown: Vec<String>,
    pub(super) unbilled: Vec<String>,
    pub(super) unequal: Vec<String>,
    pub(super) untotalled: Vec<String>,
    pub(super) ambiguous: Vec<String>,
    pub(super) unproven: Option<String>,
    /// There was something to report, and all of it was nothing.
    pub(super) idle: bool,
}

impl Sold {
    /// # Errors
    /// When an amount is negative: a measurement that cannot be right is none (faults.md row 135). When an amount is out
    /// of range.
    pub(super) fn new(measured: &UsageReport, mapping: &ComponentMapping, billing: &Billing) -> Result<Self> {
        let mut sold = Self { unproven: measured.unproven.clone(), ..Self::default() };
        for (component, amount) in plausible(mapping.usage_from_targets(&measured.total)?)? {
            match billing.kind(&component) {
                Some(_) => drop(sold.total.insert(component, amount)),
                None if billing.is_known(&component) => sold.unbilled.push(component),
                None => sold.unknown.push(component),
            }
        }
        for (user, amounts) in &measured.per_user {
            for (component, amount) in plausible(mapping.shares_from_targets(amounts, &measured.total)?)? {
                // Without a total there is no row that the share would be one of.
                if sold.total.contains_key(&component) {
                    sold.users.entry(component).or_default().insert(user.clone(), amount);
                } else if billing.kind(&component).is_some() && !sold.untotalled.contains(&component) {
                    sold.untotalled.push(component);
                }
            }
        }
        sold.ambiguous = mapping.ambiguous(&measured.total);
        sold.unequal =
            sold.users.iter().filter(|(component, users)| sold.differs(component, users)).map(name).collect();
        for (component, amount) in &mut sold.total {
            *amount = amount.rounded();
            for share in sold.users.get_mut(component).into_iter().flat_map(BTreeMap::values_mut) {
                *share = share.rounded();
            }
        }
        Ok(sold)
    }

    fn differs(&self, component: &str, users: &BTreeMap<String, WaldurAmount>) -> bool {
        let sum: Option<Decimal> =
            users.values().try_fold(Decimal::ZERO, |sum, amount| sum.checked_add(amount.decimal()));
        let total = self.total.get(component).map(|total| total.rounded());
        sum.map(|sum| WaldurAmount::new(sum).rounded()) != total
    }

    /// Leaves out what is zero.
    pub(super) fn drop_nothing(&mut self) {
        let something = |amount: &WaldurAmount| !amount.decimal().is_zero();
        let measured = !self.total.is_empty();
        self.total.retain(|_, amount| something(amount));
        self.idle = measured && self.total.is_empty();
        self.users.retain(|component, users| {
            users.retain(|_, amount| something(amount));
            !users.is_empty() && self.total.contains_key(component)
        });
    }
}

fn name<T>((component, _): (&String, T)) -> String {
    component.clone()
}

fn plausible(amounts: Amounts) -> Result<Amounts> {
    match amounts.iter().find(|(_, amount)| amount.is_negative()) {
        None => Ok(amounts),
        Some((component, amount)) => {
            let text = format!("{component}: the back end measured {amount}, which is less than nothing");
            Err(Error::new(ErrorKind::Inconsistent, text))
        }
    }
}
