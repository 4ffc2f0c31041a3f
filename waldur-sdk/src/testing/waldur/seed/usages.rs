//! What was reported before, and what is there now.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;

use crate::testing::waldur::{
    FakeWaldur, unknown,
    usage::{Item, month_of},
};
use crate::types::{PlanUuid, ResourceUuid};

/// What was reported of one component of a resource, for one plan in one month.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageView {
    /// The component's key.
    pub component: String,
    /// The first day of the month.
    pub billing_period: Date,
    /// The plan, if the resource has one.
    pub plan: Option<PlanUuid>,
    /// The amount.
    pub amount: Decimal,
    /// The shares of users, by user name.
    pub users: BTreeMap<String, Decimal>,
}

impl FakeWaldur {
    /// Reports usage, as the provider did before the test began. `date` lies in the month that it is about.
    ///
    /// # Panics
    /// When there is no such resource.
    #[track_caller]
    pub fn reported(&self, resource: ResourceUuid, component: &str, date: Date, amount: Decimal) {
        let mut state = self.state();
        state.tick();
        if state.resource(resource).is_none() {
            unknown("resource", resource)
        }
        let this_month = date.first_of_month() == month_of(state.now());
        let at = instant(date).filter(|_| !this_month).unwrap_or_else(|| state.now());
        let item = Item { kind: component.to_owned(), amount, description: String::new(), recurring: false };
        let plan_period = state.plan_period_at(resource, at);
        state.report(resource, plan_period, at, vec![item], None);
    }

    /// Moves a resource to another plan, now and without an order. The usage of this month then has two rows.
    ///
    /// # Panics
    /// When there is no such resource.
    #[track_caller]
    pub fn switch_plan(&self, resource: ResourceUuid, plan: PlanUuid) {
        let mut state = self.state();
        let now = state.tick();
        if state.resource(resource).is_none() {
            unknown("resource", resource)
        }
        state.plan_periods_of(resource);
        state.change_resource(resource, |row| row.plan = Some(plan));
        state.begin_plan_period(resource, plan, now);
    }

    /// What was reported of a resource, oldest row first.
    pub fn usage_of(&self, resource: ResourceUuid) -> Vec<UsageView> {
        let state = self.state();
        let of = |period: Option<uuid::Uuid>| state.plan_periods.get(period?).map(|period| period.plan);
        let rows = state.usages.iter().filter(|row| row.key.resource == resource);
        rows.map(|row| UsageView {
            component: row.key.kind.clone(),
            billing_period: row.key.billing_period,
            plan: of(row.key.plan_period),
            amount: row.amount,
            users: state
                .user_usages
                .iter()
                .filter(|share| share.usage == row.uuid)
                .map(|share| (share.username.clone(), share.amount))
                .collect(),
        })
        .collect()
    }
}

/// Noon of a day.
fn instant(date: Date) -> Option<Timestamp> {
    date.at(12, 0, 0, 0).in_tz("UTC").ok().map(|zoned| zoned.timestamp())
}
