//! Resources, and the people who use them.

use serde_json::{Map, Value, json};

use super::{EMPTY, object, orders::without_absent, time};
use crate::testing::waldur::{
    incoming::Incoming,
    lists::Shown,
    model::{Offering, Project, Resource, Role, Scope},
    state::State,
    words::{Billing, Generation, OrderKind, ResourceState},
};

/// As [`LEFT_OUT`](super::orders) of orders (recorded: 148).
const LEFT_OUT: &[&str] = &["plan_unit", "plan_name", "plan_uuid", "plan_description"];

/// What generation 8 leaves out of a resource that has no parent: its schema allows no `null` there.
const LEFT_OUT_8: &[&str] = &[
    "parent_uuid",
    "parent_name",
    "parent_offering_uuid",
    "parent_offering_name",
    "parent_offering_slug",
    "service_settings_uuid",
];

impl State {
    /// A resource in a list.
    pub(in crate::testing::waldur) fn show_resource_row(&self, call: &Incoming<'_>, row: &Resource) -> Option<Shown> {
        Some(shown(call.generation, self.resource_members(call, row)?))
    }

    /// A resource by itself, with the order that made it and the one that is under way (recorded: 123, 154).
    pub(in crate::testing::waldur) fn show_resource(&self, call: &Incoming<'_>, row: &Resource) -> Option<Shown> {
        let mut members = self.resource_members(call, row)?;
        let open = self.open_orders(row.uuid).next();
        let creation = self.orders.iter().find(|order| order.resource == row.uuid && order.kind == OrderKind::Create);
        for (name, order) in [("order_in_progress", open), ("creation_order", creation)] {
            let order = match order.filter(|_| call.wants(name)) {
                None => Value::Null,
                Some(order) => Value::Object(call.in_full(|| self.show_order(call, order))?.members),
            };
            members.insert(name.to_owned(), order);
        }
        Some(shown(call.generation, members))
    }

    fn resource_members(&self, call: &Incoming<'_>, row: &Resource) -> Option<Map<String, Value>> {
        let offering = self.offering(row.offering)?;
        let project = self.project(row.project)?;
        let mut members = self.sale(call, offering, row.plan)?;
        members.extend(object! { for call;
            "attributes": row.attributes,
            "limits": row.limits,
            "uuid": row.uuid,
            "created": time(row.created),
            "modified": time(row.modified),
            "url": call.link("marketplace-resources", row.uuid),
            "scope": row.allocation.map(|uuid| call.link("slurm-allocations", uuid.simple())),
            "description": row.description,
            "state": row.state.as_str(),
            "resource_uuid": row.allocation.map(|uuid| uuid.simple().to_string()),
            "backend_id": row.backend_id,
            "effective_id": row.effective_id,
            "resource_type": row.allocation.map(|_| "SLURM.Allocation"),
            "backend_metadata": row.backend_metadata,
            "is_usage_based": offering.bills(Billing::Usage),
            "is_limit_based": offering.bills(Billing::Limit),
            "name": row.name,
            "slug": row.slug,
            "current_usages": row.current_usages,
            "can_terminate": matches!(row.state, ResourceState::Ok | ResourceState::Erred),
            "report": row.report,
            "end_date": row.end_date.map(|date| date.to_string()),
            "end_date_requested_by": Value::Null,
            "username": Value::Null,
            // Recorded: 148. Without a plan there is nothing to count against.
            "limit_usage": row.plan.map(|_| offering.limit_usage()),
            "downscaled": row.downscaled,
            "restrict_member_access": row.restrict_member_access,
            "paused": row.paused,
            "endpoints": row.endpoints.iter().map(|endpoint| json!({
                "uuid": endpoint.uuid.simple().to_string(),
                "name": endpoint.name,
                "url": endpoint.url,
            })).collect::<Vec<_>>(),
            "error_message": row.error_message,
            "error_traceback": row.error_traceback,
            "options": row.options,
            "available_actions": EMPTY,
        });
        members.extend(self.resource_project(call, project)?);
        match call.generation {
            Generation::V2024 => {
                members.insert("offering_customer_uuid".to_owned(), json!(offering.customer));
            }
            Generation::V8 => members.extend(self.resource_members_8(call, row, offering, project)?),
        }
        Some(members)
    }

    fn resource_project(&self, call: &Incoming<'_>, project: &Project) -> Option<Map<String, Value>> {
        let customer = self.customer(project.customer)?;
        Some(object! { for call;
            "project": call.link("projects", project.uuid),
            "project_uuid": project.uuid,
            "project_name": project.name,
            "project_description": project.description,
            "project_end_date": project.end_date.map(|date| date.to_string()),
            "project_end_date_requested_by": Value::Null,
            "customer_uuid": customer.uuid,
            "customer_name": customer.name,
        })
    }

    fn resource_members_8(
        &self,
        call: &Incoming<'_>,
        row: &Resource,
        offering: &Offering,
        project: &Project,
    ) -> Option<Map<String, Value>> {
        Some(object! { for call;
            "provider_slug": self.customer(offering.customer)?.slug,
            "offering_slug": offering.slug,
            "offering_backend_id": offering.backend_id,
            "offering_state": offering.state.as_str(),
            "offering_components": offering.component_rows(Generation::V8),
            "last_sync": time(row.last_sync),
            "project_slug": project.slug,
            "customer_slug": self.customer(project.customer)?.slug,
            "user_requires_reconsent": false,
            "renewal_date": Value::Null,
        })
    }

    /// The people with a role in the resource's project (recorded: 173, 241): in generation 2024 by the short name of
    /// the role. One row per user; the role held longest counts.
    pub(in crate::testing::waldur) fn show_team(
        &self,
        call: &Incoming<'_>,
        resource: &Resource,
    ) -> Option<Vec<Map<String, Value>>> {
        let now = self.now();
        let consented_only = call.generation == Generation::V8 && call.last("has_consent") == Some("true");
        let mut members: Vec<&Role> = Vec::new();
        for role in self.roles.iter().filter(|role| role.scope == Scope::Project(resource.project)) {
            let consents = !consented_only || !self.refusals.contains(&(role.user, resource.offering));
            let held = consents && role.expires.is_none_or(|end| now < end);
            if held && !members.iter().any(|other| other.user == role.user) {
                members.push(role);
            }
        }
        members.into_iter().map(|role| self.show_member(call, resource, role)).collect()
    }

    fn show_member(&self, call: &Incoming<'_>, resource: &Resource, role: &Role) -> Option<Map<String, Value>> {
        let user = self.user(role.user)?;
        let account = self.offering_users.iter().find(|row| row.offering == resource.offering && row.user == user.uuid);
        let short = role.name.strip_prefix("PROJECT.").unwrap_or(&role.name).to_lowercase();
        let mut row = object! {
            "url": call.link("users", user.uuid),
            "uuid": user.uuid,
            "username": user.username,
            "full_name": user.full_name(),
            "email": user.email,
            "role": if call.generation == Generation::V2024 { &short } else { &role.name },
            "expiration_time": role.expires.map(time),
            "offering_user_username": account.and_then(|account| account.username.as_ref()),
        };
        if call.generation == Generation::V8 {
            row.insert("offering_user_state".to_owned(), json!(account.map(|account| account.state.as_str())));
        }
        Some(row)
    }
}

fn shown(generation: Generation, members: Map<String, Value>) -> Shown {
    match generation {
        Generation::V2024 => without_absent(generation, members, LEFT_OUT),
        Generation::V8 => Shown { left_out: LEFT_OUT_8, ..members.into() },
    }
}

impl Offering {
    fn bills(&self, billing: Billing) -> bool {
        self.components.iter().any(|component| component.billing == billing)
    }

    fn limit_usage(&self) -> Map<String, Value> {
        let limited = self.components.iter().filter(|component| component.billing == Billing::Limit);
        limited.map(|component| (component.kind.clone(), Value::Null)).collect()
    }
}
