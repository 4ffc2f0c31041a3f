//! Usage, the shares of users, and plan periods (recorded: 214 to 218, 247, 322).

use serde_json::{Map, Value, json};

use super::{object, time};
use crate::testing::waldur::{
    incoming::Incoming,
    lists::Shown,
    model::{ComponentUsage, PlanPeriod, Resource, UserUsage},
    state::State,
    words::{Generation, ResourceState},
};

impl State {
    /// A row of the list of usages.
    pub(in crate::testing::waldur) fn show_usage(&self, row: &ComponentUsage) -> Option<Map<String, Value>> {
        let resource = self.resource(row.key.resource)?;
        let mut members = self.usage_members(resource, row)?;
        members.extend(self.usage_scope(resource)?);
        members.extend(object! {
            "billing_period": row.key.billing_period.to_string(),
            // The server's own number of the user; the fake counts them.
            "modified_by": row.modified_by.and_then(|user| {
                self.users.iter().position(|row| row.uuid == user).map(|place| place + 1)
            }),
        });
        Some(members)
    }

    fn usage_members(&self, resource: &Resource, row: &ComponentUsage) -> Option<Map<String, Value>> {
        let component = self.offering(resource.offering)?.component(&row.key.kind)?;
        Some(object! {
            "uuid": row.uuid.simple().to_string(),
            "created": time(row.created),
            "description": row.description,
            "type": component.kind,
            "name": component.name,
            "measured_unit": component.measured_unit,
            "usage": format!("{:.2}", row.amount),
            "date": time(row.date),
            "recurring": row.recurring,
        })
    }

    fn usage_scope(&self, resource: &Resource) -> Option<Map<String, Value>> {
        let offering = self.offering(resource.offering)?;
        let project = self.project(resource.project)?;
        let customer = self.customer(project.customer)?;
        Some(object! {
            "resource_name": resource.name,
            "resource_uuid": resource.uuid,
            "offering_name": offering.name,
            "offering_uuid": offering.uuid,
            "project_name": project.name,
            "project_uuid": project.uuid,
            "customer_name": customer.name,
            "customer_uuid": customer.uuid,
        })
    }

    /// A row of the list of users' shares.
    pub(in crate::testing::waldur) fn show_user_usage(&self, call: &Incoming<'_>, row: &UserUsage) -> Option<Shown> {
        let usage = self.usages.get(row.usage)?;
        let resource = self.resource(usage.key.resource)?;
        let component = self.offering(resource.offering)?.component(&usage.key.kind)?;
        let mut members = object! {
            "uuid": row.uuid.simple().to_string(),
            "username": row.username,
            "component_usage": call.link("marketplace-component-usages", usage.uuid.simple()),
            "usage": format!("{:.2}", row.amount),
            "measured_unit": component.measured_unit,
            "description": "",
            "created": time(row.created),
            "modified": time(row.modified),
            "backend_id": "",
            "component_type": component.kind,
            "date": time(usage.date),
        };
        members.extend(self.usage_scope(resource)?);
        let user = row.user.map(|user| call.link("marketplace-offering-users", user));
        match call.generation {
            Generation::V2024 => drop(members.insert("user".to_owned(), json!(user))),
            Generation::V8 => {
                members.insert("billing_period".to_owned(), json!(usage.key.billing_period.to_string()));
                if let Some(user) = user {
                    members.insert("user".to_owned(), json!(user));
                }
            }
        }
        // Generation 8 allows no `null` there.
        Some(Shown { left_out: &["user"], ..members.into() })
    }

    /// A plan period, with what was reported for it: what was reported last comes last (recorded: 218).
    pub(in crate::testing::waldur) fn show_plan_period(&self, period: &PlanPeriod) -> Option<Map<String, Value>> {
        let resource = self.resource(period.resource)?;
        let plan = self.offering(resource.offering)?.plan(period.plan)?;
        let mut reported: Vec<_> = self.usages.iter().filter(|row| row.key.plan_period == Some(period.uuid)).collect();
        reported.sort_by_key(|row| row.date);
        let components: Option<Vec<_>> = reported.into_iter().map(|row| self.usage_members(resource, row)).collect();
        // Recorded: 322.
        let over = (resource.state == ResourceState::Terminated).then_some(resource.modified);
        Some(object! {
            "uuid": period.uuid.simple().to_string(),
            "plan_name": plan.name,
            "plan_uuid": plan.uuid,
            "start": time(period.start),
            "end": period.end.or(over).map(time),
            "components": components?,
        })
    }
}
