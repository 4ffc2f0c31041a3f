//! What each type holds, by the place of the member in the row.
#![allow(unreachable_pub)]

use rust_decimal::Decimal;
use serde_json::{Number, Value, json};
use waldur_sdk::{
    client::{
        ComponentUsage, ComponentUserUsage, CurrentUser, Customer, Offering, OfferingUser, Order, Plan, PlanPeriod,
        Project, ProjectPermission, Resource, Role, RoleHolder, ServiceProvider, SshKey, TeamMember, User,
    },
    types::{JsonObject, Personal, Uuid},
};

/// A member as it was read: where it stands in the row, and what the type holds.
pub type Members = Vec<(String, Value)>;

fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

fn shown<T: ToString>(value: Option<&T>) -> Value {
    value.map_or(Value::Null, |value| Value::from(value.to_string()))
}

fn person(value: Option<&Personal>) -> Value {
    text(value.map(Personal::as_str))
}

fn number(value: Option<Decimal>) -> Value {
    value.map_or(Value::Null, |value| Value::Number(value.to_string().parse::<Number>().unwrap()))
}

fn numbers<'a>(map: impl IntoIterator<Item = (&'a String, &'a Decimal)>) -> Value {
    map.into_iter().map(|(name, value)| (name.clone(), number(Some(*value)))).collect()
}

fn object(object: &JsonObject) -> Value {
    Value::Object((**object).clone())
}

fn members<const N: usize>(members: [(&str, Value); N]) -> Members {
    members.into_iter().map(|(pointer, value)| (format!("/{pointer}"), value)).collect()
}

fn nested(into: &mut Members, list: &str, index: usize, inner: Members) {
    into.extend(inner.into_iter().map(|(pointer, value)| (format!("/{list}/{index}{pointer}"), value)));
}

pub fn order_members(order: &Order) -> Members {
    members([
        ("uuid", shown(Some(&order.uuid))),
        ("state", text(Some(order.state.as_str()))),
        ("type", text(Some(order.kind.as_str()))),
        ("offering_uuid", shown(order.offering_uuid.as_ref())),
        ("marketplace_resource_uuid", shown(order.resource_uuid.as_ref())),
        ("resource_name", text(order.resource_name.as_deref())),
        ("backend_id", text(order.backend_id.as_deref())),
        ("limits", numbers(&order.limits)),
        ("attributes", object(&order.attributes)),
        ("plan_uuid", shown(order.plan_uuid.as_ref())),
        ("old_plan_uuid", shown(order.old_plan_uuid.as_ref())),
        ("new_plan_uuid", shown(order.new_plan_uuid.as_ref())),
        ("order_subtype", text(order.order_subtype.as_deref())),
        ("project_uuid", shown(order.project_uuid.as_ref())),
        ("project_slug", text(order.project_slug.as_deref())),
        ("project_name", text(order.project_name.as_deref())),
        ("customer_uuid", shown(order.customer_uuid.as_ref())),
        ("customer_slug", text(order.customer_slug.as_deref())),
        ("customer_name", text(order.customer_name.as_deref())),
        ("error_message", text(order.error_message.as_deref())),
        ("created_by_username", person(order.created_by_username.as_ref())),
        ("created_by_full_name", person(order.created_by_full_name.as_ref())),
        ("created", shown(order.created.as_ref())),
    ])
}

pub fn resource_members(resource: &Resource) -> Members {
    let mut all = members([
        ("uuid", shown(Some(&resource.uuid))),
        ("backend_id", shown(resource.backend_id.as_ref())),
        ("effective_id", text(resource.effective_id.as_deref())),
        ("name", text(resource.name.as_deref())),
        ("slug", text(resource.slug.as_deref())),
        ("state", shown(resource.state.as_ref())),
        ("error_message", text(resource.error_message.as_deref())),
        ("offering_uuid", shown(resource.offering_uuid.as_ref())),
        ("offering_backend_id", text(resource.offering_backend_id.as_deref())),
        ("offering_plugin_options", object(&resource.offering_plugin_options)),
        ("plan_uuid", shown(resource.plan_uuid.as_ref())),
        ("limits", numbers(&resource.limits)),
        ("attributes", object(&resource.attributes)),
        ("options", object(&resource.options)),
        ("backend_metadata", object(&resource.backend_metadata)),
        ("project_uuid", shown(resource.project_uuid.as_ref())),
        ("project_slug", text(resource.project_slug.as_deref())),
        ("project_name", text(resource.project_name.as_deref())),
        ("project_description", text(resource.project_description.as_deref())),
        ("project_end_date", shown(resource.project_end_date.as_ref())),
        ("customer_uuid", shown(resource.customer_uuid.as_ref())),
        ("customer_slug", text(resource.customer_slug.as_deref())),
        ("customer_name", text(resource.customer_name.as_deref())),
        ("created", shown(resource.created.as_ref())),
        ("end_date", shown(resource.end_date.as_ref())),
        ("end_date_updated_at", shown(resource.end_date_updated_at.as_ref())),
        ("end_date_requested_by", text(resource.end_date_requested_by.as_deref())),
        ("last_sync", shown(resource.last_sync.as_ref())),
        ("restrict_member_access", json!(resource.restrict_member_access)),
        ("paused", json!(resource.paused)),
        ("downscaled", json!(resource.downscaled)),
    ]);
    for (index, endpoint) in resource.endpoints.iter().enumerate() {
        nested(&mut all, "endpoints", index, members([("name", json!(endpoint.name)), ("url", json!(endpoint.url))]));
    }
    all
}

pub fn team_member(member: &TeamMember) -> Members {
    members([
        ("uuid", shown(Some(&member.uuid))),
        ("username", person(member.username.as_ref())),
        ("full_name", person(member.full_name.as_ref())),
        ("email", person(member.email.as_ref())),
        ("role", text(member.role.as_deref())),
        ("expiration_time", shown(member.expiration_time.as_ref())),
        ("offering_user_username", person(member.offering_user_username.as_ref())),
        ("offering_user_state", shown(member.offering_user_state.as_ref())),
    ])
}

pub fn offering_members(offering: &Offering) -> Members {
    let mut all = members([
        ("uuid", shown(Some(&offering.uuid))),
        ("name", text(offering.name.as_deref())),
        ("state", shown(offering.state.as_ref())),
        ("customer_uuid", shown(offering.customer_uuid.as_ref())),
        ("customer_name", text(offering.customer_name.as_deref())),
        ("backend_id", text(offering.backend_id.as_deref())),
        ("plugin_options", object(&offering.plugin_options)),
    ]);
    for (index, component) in offering.components.iter().enumerate() {
        let inner = members([
            ("uuid", shown(component.uuid.as_ref())),
            ("type", text(Some(&component.kind))),
            ("name", text(component.name.as_deref())),
            ("measured_unit", text(component.measured_unit.as_deref())),
            ("billing_type", shown(component.billing_type.as_ref())),
            ("unit_factor", number(component.unit_factor)),
            ("limit_amount", number(component.limit_amount)),
            ("limit_period", shown(component.limit_period.as_ref())),
            ("is_prepaid", json!(component.is_prepaid)),
        ]);
        nested(&mut all, "components", index, inner);
    }
    all
}

pub fn plan_members(plan: &Plan) -> Members {
    members([
        ("uuid", shown(Some(&plan.uuid))),
        ("name", text(plan.name.as_deref())),
        ("quotas", numbers(&plan.quotas)),
    ])
}

pub fn service_provider(provider: &ServiceProvider) -> Members {
    members([
        ("uuid", shown(Some(&provider.uuid))),
        ("customer_uuid", shown(provider.customer_uuid.as_ref())),
        ("customer_name", text(provider.customer_name.as_deref())),
    ])
}

pub fn ssh_key(key: &SshKey) -> Members {
    members([
        ("uuid", shown(Some(&key.uuid))),
        ("public_key", person(key.public_key.as_ref())),
        ("user_uuid", shown(key.user_uuid.as_ref())),
    ])
}

pub fn offering_user(user: &OfferingUser) -> Members {
    members([
        ("uuid", shown(Some(&user.uuid))),
        ("url", text(user.url.as_deref())),
        ("offering_uuid", shown(user.offering_uuid.as_ref())),
        ("user_uuid", shown(user.user_uuid.as_ref())),
        ("username", person(user.username.as_ref())),
        ("user_username", person(user.user_username.as_ref())),
        ("user_full_name", person(user.user_full_name.as_ref())),
        ("user_email", person(user.user_email.as_ref())),
        ("state", shown(user.state.as_ref())),
        ("is_restricted", json!(user.is_restricted)),
    ])
}

pub fn current_user(user: &CurrentUser) -> Members {
    let mut all = members([
        ("uuid", shown(user.uuid.as_ref())),
        ("username", person(user.username.as_ref())),
        ("full_name", person(user.full_name.as_ref())),
        ("is_staff", json!(user.is_staff)),
    ]);
    for (index, permission) in user.permissions.iter().enumerate() {
        let inner = members([
            ("role_name", text(permission.role_name.as_deref())),
            ("scope_type", text(permission.scope_type.as_deref())),
            ("scope_uuid", shown(permission.scope_uuid.as_ref())),
            ("scope_name", text(permission.scope_name.as_deref())),
            ("expiration_time", shown(permission.expiration_time.as_ref())),
        ]);
        nested(&mut all, "permissions", index, inner);
    }
    all
}

pub fn project_members(project: &Project) -> Members {
    members([
        ("uuid", shown(Some(&project.uuid))),
        ("name", text(project.name.as_deref())),
        ("slug", text(project.slug.as_deref())),
        ("description", text(project.description.as_deref())),
        ("customer_uuid", shown(project.customer_uuid.as_ref())),
        ("customer_name", text(project.customer_name.as_deref())),
        ("customer_slug", text(project.customer_slug.as_deref())),
        ("backend_id", text(project.backend_id.as_deref())),
        ("created", shown(project.created.as_ref())),
        ("start_date", shown(project.start_date.as_ref())),
        ("end_date", shown(project.end_date.as_ref())),
        ("end_date_updated_at", shown(project.end_date_updated_at.as_ref())),
        ("oecd_fos_2007_code", text(project.oecd_fos_2007_code.as_deref())),
        ("science_sub_domain_code", text(project.science_sub_domain_code.as_deref())),
        ("is_industry", json!(project.is_industry)),
    ])
}

pub fn customer_members(customer: &Customer) -> Members {
    members([
        ("uuid", shown(Some(&customer.uuid))),
        ("name", text(customer.name.as_deref())),
        ("slug", text(customer.slug.as_deref())),
        ("native_name", text(customer.native_name.as_deref())),
        ("abbreviation", text(customer.abbreviation.as_deref())),
        ("backend_id", text(customer.backend_id.as_deref())),
        ("country", text(customer.country.as_deref())),
        ("registration_code", text(customer.registration_code.as_deref())),
        ("is_service_provider", json!(customer.is_service_provider)),
        ("blocked", json!(customer.blocked)),
        ("archived", json!(customer.archived)),
    ])
}

pub fn user_members(user: &User) -> Members {
    members([
        ("uuid", shown(Some(&user.uuid))),
        ("username", person(user.username.as_ref())),
        ("full_name", person(user.full_name.as_ref())),
        ("first_name", person(user.first_name.as_ref())),
        ("last_name", person(user.last_name.as_ref())),
        ("email", person(user.email.as_ref())),
        ("organization", person(user.organization.as_ref())),
        ("is_active", json!(user.is_active)),
    ])
}

pub fn role_members(role: &Role) -> Members {
    let mut all = members([
        ("uuid", shown(Some(&role.uuid))),
        ("name", text(role.name.as_deref())),
        ("description", text(role.description.as_deref())),
        ("content_type", text(role.content_type.as_deref())),
        ("is_system_role", json!(role.is_system_role)),
        ("is_active", json!(role.is_active)),
    ]);
    let permissions = role.permissions.iter().enumerate();
    all.extend(permissions.map(|(index, permission)| (format!("/permissions/{index}"), json!(permission))));
    all
}

pub fn role_holder(holder: &RoleHolder) -> Members {
    members([
        ("uuid", shown(holder.uuid.map(Uuid::simple).as_ref())),
        ("user_uuid", shown(Some(&holder.user_uuid))),
        ("user_username", person(holder.user_username.as_ref())),
        ("user_full_name", person(holder.user_full_name.as_ref())),
        ("user_email", person(holder.user_email.as_ref())),
        ("role_name", text(holder.role_name.as_deref())),
        ("role_uuid", shown(holder.role_uuid.as_ref())),
        ("created", shown(holder.created.as_ref())),
        ("expiration_time", shown(holder.expiration_time.as_ref())),
    ])
}

pub fn project_permission(row: &ProjectPermission) -> Members {
    members([
        ("user_uuid", shown(Some(&row.user_uuid))),
        ("user_username", person(row.user_username.as_ref())),
        ("user_full_name", person(row.user_full_name.as_ref())),
        ("user_email", person(row.user_email.as_ref())),
        ("role", text(row.role.as_deref())),
        ("role_name", text(row.role_name.as_deref())),
        ("project_uuid", shown(row.project_uuid.as_ref())),
        ("project_name", text(row.project_name.as_deref())),
        ("customer_uuid", shown(row.customer_uuid.as_ref())),
        ("created", shown(row.created.as_ref())),
        ("expiration_time", shown(row.expiration_time.as_ref())),
    ])
}

pub fn component_usage(usage: &ComponentUsage) -> Members {
    members([
        ("uuid", shown(Some(&usage.uuid))),
        ("type", text(Some(&usage.kind))),
        ("usage", shown(usage.usage.as_ref())),
        ("resource_uuid", shown(usage.resource_uuid.as_ref())),
        ("billing_period", shown(usage.billing_period.as_ref())),
    ])
}

pub fn component_user_usage(usage: &ComponentUserUsage) -> Members {
    let link = |uuid| format!("http://127.0.0.1:8000/api/marketplace-component-usages/{uuid}/");
    members([
        ("uuid", shown(Some(&usage.uuid))),
        ("component_usage", text(usage.component_usage.map(link).as_deref())),
        ("component_type", text(usage.component_type.as_deref())),
        ("resource_uuid", shown(usage.resource_uuid.as_ref())),
        ("billing_period", shown(usage.billing_period.as_ref())),
        ("username", person(usage.username.as_ref())),
        ("usage", shown(usage.usage.as_ref())),
        ("user", text(usage.user.as_deref())),
    ])
}

pub fn plan_period(period: &PlanPeriod) -> Members {
    let mut all = members([
        ("uuid", shown(Some(&period.uuid))),
        ("plan_uuid", shown(period.plan_uuid.as_ref())),
        ("plan_name", text(period.plan_name.as_deref())),
        ("start", shown(period.start.as_ref())),
        ("end", shown(period.end.as_ref())),
    ]);
    for (index, usage) in period.components.iter().flatten().enumerate() {
        nested(&mut all, "components", index, component_usage(usage));
    }
    all
}
