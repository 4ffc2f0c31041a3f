//! Customers, roles, and who has them (recorded: 262, 264, 276, 288 to 293).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{EMPTY, object, people::ROLES, time};
use crate::testing::waldur::{
    incoming::Incoming,
    model::{Customer, Role, Scope, User},
    state::State,
    words::Generation,
};
use crate::types::{ProjectUuid, UserUuid};

impl State {
    /// Somebody else than the caller: no token (recorded: 291, 292).
    pub(in crate::testing::waldur) fn show_user(&self, call: &Incoming<'_>, user: &User) -> Option<Map<String, Value>> {
        let mut members = self.show_me(call, user)?;
        members.retain(|name, _| !name.starts_with("token"));
        members.extend(object! {
            "description": "",
            "is_staff": user.is_staff,
            "is_active": user.is_active,
            "is_support": false,
        });
        Some(members)
    }

    /// Recorded: 288, 289.
    pub(in crate::testing::waldur) fn show_customer(&self, call: &Incoming<'_>, row: &Customer) -> Map<String, Value> {
        let projects = self.projects.iter().filter(|project| project.customer == row.uuid);
        let sells = self.providers.iter().any(|provider| provider.customer == row.uuid);
        let short = if row.abbreviation.is_empty() { &row.name } else { &row.abbreviation };
        let mut members = object! {
            "url": call.link("customers", row.uuid),
            "uuid": row.uuid,
            "display_name": short,
            "backend_id": "",
            "image": Value::Null,
            "blocked": false,
            "archived": false,
            "created": time(row.created),
            "accounting_start_date": time(row.created),
            "default_tax_percent": "0.00",
            "users_count": self.users_of(row).len(),
            "projects_count": projects.clone().count(),
            "sponsor_number": Value::Null,
            "name": row.name,
            "slug": row.slug,
            "native_name": "",
            "abbreviation": row.abbreviation,
            "contact_details": "",
            "email": row.email,
            "agreement_number": "",
            "phone_number": "",
            "access_subnets": "",
            "registration_code": "",
            "homepage": "",
            "domain": "",
            "vat_code": "",
            "postal": "",
            "address": "",
            "bank_name": "",
            "bank_account": "",
            "latitude": Value::Null,
            "longitude": Value::Null,
            "country": "",
            "payment_profiles": EMPTY,
            "is_service_provider": sells,
            "call_managing_organization_uuid": Value::Null,
        };
        members.extend(match call.generation {
            Generation::V2024 => object! {
                "country_name": Value::Null,
                "organization_group": Value::Null,
                "projects": projects.map(|project| json!({
                    "url": call.link("projects", project.uuid),
                    "uuid": project.uuid,
                    "name": project.name,
                    "image": Value::Null,
                    "resource_count": self.resources.iter().filter(|row| row.project == project.uuid).count(),
                    "end_date": project.end_date.map(|date| date.to_string()),
                })).collect::<Vec<_>>(),
            },
            Generation::V8 => object! {
                "country_name": "",
                "organization_groups": EMPTY,
                "description": "",
                "notification_emails": "",
            },
        });
        members
    }

    /// A customer as its provider sees it (recorded: 262).
    pub(in crate::testing::waldur) fn show_provider_customer(
        &self,
        call: &Incoming<'_>,
        row: &Customer,
        served: &[ProjectUuid],
    ) -> Map<String, Value> {
        let projects = self.projects.iter().filter(|project| project.customer == row.uuid);
        let projects: Vec<_> = projects.filter(|project| served.contains(&project.uuid)).collect();
        let within =
            |scope| matches!(scope, Scope::Project(uuid) if projects.iter().any(|project| project.uuid == uuid));
        let held = |user: UserUuid| self.roles.iter().any(|role| role.user == user && within(role.scope));
        let users: Vec<_> = self.users.iter().filter(|user| held(user.uuid)).collect();
        let mut members = object! {
            "uuid": row.uuid,
            "name": row.name,
            "abbreviation": row.abbreviation,
            "phone_number": "",
            "email": row.email,
            "projects_count": projects.len(),
            "users_count": users.len(),
            "projects": projects.iter().map(|project| json!({
                "uuid": project.uuid, "name": project.name, "image": Value::Null,
            })).collect::<Vec<_>>(),
            "users": users.iter().map(|user| json!({
                "uuid": user.uuid, "full_name": user.full_name(), "email": user.email, "image": Value::Null,
            })).collect::<Vec<_>>(),
        };
        members.extend(match call.generation {
            Generation::V2024 => object! {
                "payment_profiles": Value::Null,
                "billing_price_estimate": json!({ "total": 0.0, "current": 0.0, "tax": 0.0, "tax_current": 0.0 }),
            },
            Generation::V8 => object! { "slug": row.slug, "payment_profiles": EMPTY },
        });
        members
    }

    /// Everybody with a role in a customer, or in one of its projects or offerings.
    fn users_of(&self, row: &Customer) -> BTreeSet<UserUuid> {
        let within = |scope| match scope {
            Scope::Customer(customer) => customer == row.uuid,
            Scope::Project(project) => self.project(project).is_some_and(|project| project.customer == row.uuid),
            Scope::Offering(offering) => self.offering(offering).is_some_and(|sold| sold.customer == row.uuid),
        };
        self.roles.iter().filter(|role| within(role.scope)).map(|role| role.user).collect()
    }

    /// Recorded: 276, 290.
    pub(in crate::testing::waldur) fn show_holder(
        &self,
        call: &Incoming<'_>,
        role: &Role,
    ) -> Option<Map<String, Value>> {
        let user = self.user(role.user)?;
        let mut members = object! {
            "uuid": role.uuid.simple().to_string(),
            "created": time(role.created),
            "expiration_time": role.expires.map(time),
            "role_name": role.name,
            "role_uuid": role_uuid(role),
            "user_email": user.email,
            "user_full_name": user.full_name(),
            "user_username": user.username,
            "user_uuid": user.uuid,
        };
        match call.generation {
            Generation::V2024 => members.extend(object! { "user_image": Value::Null }),
            Generation::V8 => members.extend(object! { "created_by_full_name": "" }),
        }
        Some(members)
    }

    /// Recorded: 264. Generation 8 names the role in full as well.
    pub(in crate::testing::waldur) fn show_project_permission(
        &self,
        call: &Incoming<'_>,
        role: &Role,
    ) -> Option<Map<String, Value>> {
        let Scope::Project(project) = role.scope else { return None };
        let (user, project) = (self.user(role.user)?, self.project(project)?);
        let mut members = object! {
            "role": role.name.strip_prefix("PROJECT.").unwrap_or(&role.name).to_lowercase(),
            "created": time(role.created),
            "expiration_time": role.expires.map(time),
            "created_by": Value::Null,
            "project": call.link("projects", project.uuid),
            "project_uuid": project.uuid,
            "project_name": project.name,
            "project_created": time(project.created),
            "customer_uuid": project.customer,
            "customer_name": self.customer(project.customer)?.name,
            "user": call.link("users", user.uuid),
            "user_full_name": user.full_name(),
            "user_native_name": "",
            "user_username": user.username,
            "user_uuid": user.uuid,
            "user_email": user.email,
        };
        match call.generation {
            Generation::V2024 => {
                members.extend(object! { "project_end_date": project.end_date.map(|date| date.to_string()) });
            }
            Generation::V8 => members.extend(object! {
                "role_name": role.name,
                "created_by_full_name": Value::Null,
                "created_by_username": Value::Null,
            }),
        }
        Some(members)
    }
}

fn role_uuid(role: &Role) -> String {
    let known = ROLES.iter().find(|(name, ..)| *name == role.name);
    known.map_or_else(|| role.uuid.simple().to_string(), |(_, uuid, _)| (*uuid).to_owned())
}

/// Recorded: 293. What a role allows is not played.
pub(in crate::testing::waldur) fn show_role(
    call: &Incoming<'_>,
    (name, uuid, description): &(&str, &str, &str),
) -> Map<String, Value> {
    let scope = name.split('.').next().unwrap_or_default().to_lowercase();
    let mut members = object! {
        "uuid": uuid,
        "name": name,
        "description": description,
        "description_en": description,
        "permissions": EMPTY,
        "is_system_role": true,
        "is_active": true,
        "content_type": scope,
    };
    if call.generation == Generation::V8 {
        members.extend(object! { "users_count": 0 });
    }
    members
}
