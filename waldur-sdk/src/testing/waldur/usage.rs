//! What becomes of a report of usage (core.md §4; recorded: 175, 195 to 218, 242 to 248, 311, 322).

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    model::{ComponentUsage, PlanPeriod, UsageKey, UserUsage},
    state::State,
};
use crate::types::{OfferingUserUuid, PlanUuid, ResourceUuid, UserUuid};

/// One component of a report.
pub(super) struct Item {
    pub(super) kind: String,
    pub(super) amount: Decimal,
    pub(super) description: String,
    pub(super) recurring: bool,
}

/// The share of one user.
pub(super) struct Share {
    pub(super) username: String,
    pub(super) amount: Decimal,
    pub(super) user: Option<OfferingUserUuid>,
}

/// The first day of the month of an instant, as the server counts: in UTC.
pub(super) fn month_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date().first_of_month()
}

impl State {
    /// The plan periods of a resource, oldest first, brought up to what the resource says now.
    pub(super) fn plan_periods_of(&mut self, resource: ResourceUuid) -> Vec<PlanPeriod> {
        let now = self.now();
        if let Some(row) = self.resource(resource).cloned()
            && let Some(plan) = row.plan
        {
            let open = self.open_plan_period(resource).cloned();
            if open.as_ref().is_none_or(|open| open.plan != plan) {
                let start = open.map_or(row.created, |_| now);
                self.begin_plan_period(resource, plan, start);
            }
        }
        self.plan_periods.iter().filter(|period| period.resource == resource).cloned().collect()
    }

    fn open_plan_period(&self, resource: ResourceUuid) -> Option<&PlanPeriod> {
        self.plan_periods.iter().find(|period| period.resource == resource && period.end.is_none())
    }

    /// Ends the plan period that is open, if one is, and begins another.
    pub(super) fn begin_plan_period(&mut self, resource: ResourceUuid, plan: PlanUuid, start: Timestamp) {
        for open in self.plan_periods.iter_mut().filter(|period| period.resource == resource && period.end.is_none()) {
            open.end = Some(start);
        }
        let uuid = self.uuid();
        self.plan_periods.put(PlanPeriod { uuid, resource, plan, start, end: None });
    }

    /// The plan period that a report about a resource goes to: the last one that had begun by then.
    pub(super) fn plan_period_at(&mut self, resource: ResourceUuid, date: Timestamp) -> Option<Uuid> {
        let periods = self.plan_periods_of(resource);
        let begun = periods.iter().rev().find(|period| period.start <= date);
        begun.or_else(|| periods.first()).map(|period| period.uuid)
    }

    /// Puts a report into effect.
    pub(super) fn report(
        &mut self,
        resource: ResourceUuid,
        plan_period: Option<Uuid>,
        date: Timestamp,
        items: Vec<Item>,
        by: Option<UserUuid>,
    ) {
        let billing_period = month_of(date);
        // Recorded: 295. Only what was reported last is shown as current.
        if billing_period == month_of(self.now()) {
            let shown = items.iter().map(|item| (item.kind.clone(), format!("{:.2}", item.amount).into())).collect();
            self.change_resource(resource, |row| row.current_usages = shown);
        }
        for item in items {
            let key = UsageKey { resource, kind: item.kind, plan_period, billing_period };
            let known = self.usage_places.get(&key).and_then(|uuid| self.usages.get(*uuid)).cloned();
            let (uuid, created) = known.map_or_else(|| (self.uuid(), self.now()), |row| (row.uuid, row.created));
            self.usage_places.insert(key.clone(), uuid);
            self.usages.put(ComponentUsage {
                uuid,
                created,
                key,
                amount: item.amount,
                date,
                description: item.description,
                recurring: item.recurring,
                modified_by: by,
            });
        }
    }

    /// Puts the share of a user into effect (recorded: 242, 243, 247: without `user` an earlier one is forgotten).
    pub(super) fn share(&mut self, usage: Uuid, share: Share) {
        let known = self.user_usages.iter().find(|row| row.usage == usage && row.username == share.username);
        let modified = self.now();
        let known = known.map(|row| (row.uuid, row.created));
        let (uuid, created) = known.unwrap_or_else(|| (self.uuid(), modified));
        let Share { username, amount, user } = share;
        self.user_usages.put(UserUsage { uuid, created, modified, usage, username, user, amount });
    }
}
