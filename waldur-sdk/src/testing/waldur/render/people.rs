//! Users, keys, projects, service providers and offering users.

use serde_json::{Map, Value, json};

use super::{EMPTY, object, time};
use crate::testing::waldur::{
    incoming::Incoming,
    model::{OfferingUser, Project, ProjectAccount, Role, Scope, ServiceProvider, SshKey, User, UserLimit},
    state::State,
    words::{Generation, ResourceState},
};

/// Role ids and descriptions of the real server (recorded: 003, 276, 291).
pub(in crate::testing::waldur) const ROLES: &[(&str, &str, &str)] = &[
    ("CUSTOMER.OWNER", "35b95f3f51ac460ca753317552a2223e", "Organization owner"),
    ("CUSTOMER.MANAGER", "152fbb9e21534de5829642c4d84889bb", "Organization manager"),
    ("PROJECT.ADMIN", "a65a93da69e34b1bb36bc2acd9e24ba4", "Project administrator"),
    ("PROJECT.MANAGER", "c8c59e9e22824d30b49564291071499c", "Project manager"),
    ("PROJECT.MEMBER", "b23a2593deea447f9f19e7b2b18d1f7a", "Project member"),
];

impl State {
    /// The user behind the token, token included (recorded: 003, 005).
    pub(in crate::testing::waldur) fn show_me(&self, call: &Incoming<'_>, user: &User) -> Option<Map<String, Value>> {
        let roles = self.roles.iter().filter(|role| role.user == user.uuid);
        let permissions: Option<Vec<Value>> = roles.map(|role| self.permission(call, user, role)).collect();
        let mut members = object! {
            "url": call.link("users", user.uuid),
            "uuid": user.uuid,
            "username": user.username,
            "slug": user.slug,
            "full_name": user.full_name(),
            "native_name": "",
            "job_title": "",
            "email": user.email,
            "phone_number": "",
            "organization": "",
            "civil_number": Value::Null,
            "token": user.token,
            "token_lifetime": Value::Null,
            "registration_method": "default",
            "date_joined": time(user.created),
            "agreement_date": Value::Null,
            "preferred_language": "",
            "permissions": permissions?,
            "requested_email": Value::Null,
            "affiliations": EMPTY,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "identity_provider_name": "Local DB",
            "identity_provider_label": "Local DB",
            "identity_provider_management_url": "",
            "identity_provider_fields": EMPTY,
            "image": Value::Null,
            "identity_source": "",
        };
        if user.is_staff || call.generation == Generation::V8 {
            members.extend(object! {
                "description": "",
                "is_staff": user.is_staff,
                "is_active": user.is_active,
                "is_support": false,
            });
        }
        if call.generation == Generation::V8 {
            members.extend(profile());
        }
        Some(members)
    }

    fn permission(&self, call: &Incoming<'_>, user: &User, role: &Role) -> Option<Value> {
        let known = ROLES.iter().find(|(name, ..)| *name == role.name);
        let mut members = object! {
            "user_uuid": user.uuid,
            "user_name": user.full_name(),
            "user_slug": user.slug,
            "created": time(role.created),
            "expiration_time": role.expires.map(time),
            "role_name": role.name,
            "role_description": known.map_or("", |(_, _, text)| text),
            "role_uuid": known.map_or_else(|| role.uuid.simple().to_string(), |(_, uuid, _)| (*uuid).to_owned()),
        };
        members.extend(match role.scope {
            Scope::Customer(uuid) => object! {
                "scope_type": "customer", "scope_uuid": uuid, "scope_name": self.customer(uuid)?.name,
            },
            Scope::Project(uuid) => {
                let project = self.project(uuid)?;
                object! {
                    "scope_type": "project", "scope_uuid": uuid, "scope_name": project.name,
                    "customer_uuid": project.customer, "customer_name": self.customer(project.customer)?.name,
                }
            }
            Scope::Offering(uuid) => {
                let offering = self.offering(uuid)?;
                object! {
                    "scope_type": "offering", "scope_uuid": uuid, "scope_name": offering.name,
                    "customer_uuid": offering.customer, "customer_name": self.customer(offering.customer)?.name,
                }
            }
        });
        if call.generation == Generation::V8 {
            members.extend(object! { "created_by_full_name": "", "created_by_username": "" });
        }
        Some(Value::Object(members))
    }

    pub(in crate::testing::waldur) fn show_project(
        &self,
        call: &Incoming<'_>,
        project: &Project,
    ) -> Option<Map<String, Value>> {
        let customer = self.customer(project.customer)?;
        let resources: Vec<_> =
            self.resources.iter().filter(|row| row.project == project.uuid && row.state == ResourceState::Ok).collect();
        let mut counts: Map<String, Value> = Map::new();
        for resource in &resources {
            let category = self.offering(resource.offering)?.category.simple().to_string();
            let count = counts.get(&category).and_then(Value::as_u64).unwrap_or_default() + 1;
            counts.insert(category, count.into());
        }
        let mut members = object! {
            "url": call.link("projects", project.uuid),
            "uuid": project.uuid,
            "name": project.name,
            "slug": project.slug,
            "customer": call.link("customers", customer.uuid),
            "customer_uuid": customer.uuid,
            "customer_name": customer.name,
            "customer_slug": customer.slug,
            "customer_native_name": "",
            "customer_abbreviation": customer.abbreviation,
            "description": project.description,
            "created": time(project.created),
            "type": Value::Null,
            "backend_id": project.backend_id,
            "start_date": Value::Null,
            "end_date": project.end_date.map(|date| date.to_string()),
            "end_date_requested_by": Value::Null,
            "oecd_fos_2007_code": Value::Null,
            "oecd_fos_2007_label": Value::Null,
            "is_industry": false,
            "image": Value::Null,
            "resources_count": resources.len(),
            "billing_price_estimate": json!({ "total": 0.0, "current": 0.0, "tax": 0.0, "tax_current": 0.0 }),
            "marketplace_resource_count": counts,
        };
        if call.generation == Generation::V8 {
            members.extend(object! {
                "billing_price_estimate": json!({ "total": "0.00", "current": "0.00", "tax": "0.00", "tax_current": "0.00" }),
                "customer_display_billing_info_in_projects": true,
                "type_name": Value::Null,
                "type_uuid": Value::Null,
                "kind": "default",
                "is_removed": false,
                "max_service_accounts": Value::Null,
                "grace_period_days": Value::Null,
                "project_credit": Value::Null,
                "termination_metadata": Value::Null,
                "user_email_patterns": EMPTY,
                "user_affiliations": EMPTY,
                "user_identity_sources": EMPTY,
            });
        }
        Some(members)
    }

    /// Recorded: 257, 258.
    pub(in crate::testing::waldur) fn show_provider(
        &self,
        call: &Incoming<'_>,
        provider: &ServiceProvider,
    ) -> Option<Map<String, Value>> {
        let customer = self.customer(provider.customer)?;
        let mut members = object! {
            "url": call.link("marketplace-service-providers", provider.uuid.simple()),
            "uuid": provider.uuid.simple().to_string(),
            "created": time(provider.created),
            "description": "",
            "enable_notifications": true,
            "customer": call.link("customers", customer.uuid),
            "customer_name": customer.name,
            "customer_uuid": customer.uuid,
            "customer_image": Value::Null,
            "customer_abbreviation": customer.abbreviation,
            "customer_native_name": "",
            "customer_country": "",
            "image": Value::Null,
            "offering_count": self.offerings.iter().filter(|offering| offering.customer == customer.uuid).count(),
        };
        members.extend(match call.generation {
            Generation::V2024 => object! { "organization_group": Value::Null },
            Generation::V8 => object! { "organization_groups": EMPTY, "customer_slug": customer.slug },
        });
        Some(members)
    }

    /// Recorded: 228 to 233, 340.
    pub(in crate::testing::waldur) fn show_offering_user(
        &self,
        call: &Incoming<'_>,
        row: &OfferingUser,
    ) -> Option<Map<String, Value>> {
        let (offering, user) = (self.offering(row.offering)?, self.user(row.user)?);
        let customer = self.customer(offering.customer)?;
        let mut members = object! {
            "url": call.link("marketplace-offering-users", row.uuid),
            "uuid": row.uuid,
            "user": call.link("users", user.uuid),
            "offering": call.link("marketplace-provider-offerings", offering.uuid),
            "username": row.username,
            "offering_uuid": offering.uuid,
            "offering_name": offering.name,
            "user_uuid": user.uuid,
            "user_username": user.username,
            "user_full_name": user.full_name(),
            "created": time(row.created),
            "modified": time(row.modified),
            "customer_uuid": customer.uuid,
            "customer_name": customer.name,
            "is_restricted": row.restricted,
        };
        members.extend(match call.generation {
            Generation::V2024 => object! { "propagation_date": row.propagated.map(time) },
            Generation::V8 => object! {
                "user_first_name": user.first_name,
                "user_last_name": user.last_name,
                "user_email": user.email,
                "state": row.state.as_str(),
                "service_provider_comment": row.comment,
                "service_provider_comment_url": row.comment_url,
                "has_consent": !self.refusals.contains(&(row.user, row.offering)),
                "requires_reconsent": false,
                "has_compliance_checklist": false,
                "consent_data": Value::Null,
                "is_profile_complete": true,
                "missing_profile_attributes": EMPTY,
            },
        });
        if call.generation == Generation::V8 {
            let exposed = offering.exposed.iter().flatten();
            let told = exposed.filter_map(|name| Some((format!("user_{name}"), user.profile.get(name)?.clone())));
            members.extend(told);
        }
        Some(members)
    }
}

/// By the published schema.
pub(in crate::testing::waldur) fn show_service_account(
    state: &State,
    call: &Incoming<'_>,
    row: &ProjectAccount,
) -> Option<Map<String, Value>> {
    let mut members = show_account(state, call, row, "marketplace-project-service-accounts")?;
    members.extend(object! {
        "token": format!("{}f4ce70ce", row.uuid.simple()),
        "expires_at": Value::Null,
        "preferred_identifier": "",
        "customer_abbreviation": state.customer(state.project(row.project)?.customer)?.abbreviation,
    });
    Some(members)
}

/// By the published schema of the account itself; the list is core.md's.
pub(in crate::testing::waldur) fn show_course_account(
    state: &State,
    call: &Incoming<'_>,
    row: &ProjectAccount,
) -> Option<Map<String, Value>> {
    let mut members = show_account(state, call, row, "marketplace-course-accounts")?;
    let project = state.project(row.project)?;
    members.extend(object! {
        "project_slug": project.slug,
        "project_start_date": Value::Null,
        "project_end_date": project.end_date.map(|date| date.to_string()),
        "user_uuid": row.uuid.simple().to_string(),
    });
    Some(members)
}

fn show_account(state: &State, call: &Incoming<'_>, row: &ProjectAccount, path: &str) -> Option<Map<String, Value>> {
    let project = state.project(row.project)?;
    let customer = state.customer(project.customer)?;
    Some(object! {
        "url": call.link(path, row.uuid.simple()),
        "uuid": row.uuid.simple().to_string(),
        "created": time(row.created),
        "modified": time(row.created),
        "username": row.username,
        "description": "",
        "error_message": "",
        "error_traceback": "",
        "state": row.state.as_str(),
        "email": format!("{}@example.com", row.username),
        "project": project.uuid,
        "project_uuid": project.uuid,
        "project_name": project.name,
        "customer_uuid": customer.uuid,
        "customer_name": customer.name,
    })
}

/// By the published schema: users by their addresses.
pub(in crate::testing::waldur) fn show_user_limit(
    state: &State,
    call: &Incoming<'_>,
    row: &UserLimit,
) -> Option<Map<String, Value>> {
    let offering = state.offering(state.resource(row.resource)?.offering)?;
    Some(object! {
        "url": call.link("component-user-usage-limits", row.uuid.simple()),
        "uuid": row.uuid.simple().to_string(),
        "resource": call.link("marketplace-resources", row.resource),
        "component": offering.component(&row.component)?.uuid.simple().to_string(),
        "component_type": row.component,
        "user": call.link("users", row.user),
        "limit": row.limit,
    })
}

/// What generation 8 knows about its users beyond generation 2024. The fake knows none of it.
fn profile() -> Map<String, Value> {
    object! {
        "token_expires_at": Value::Null,
        "notifications_enabled": true,
        "birth_date": Value::Null,
        "has_active_session": false,
        "ip_address": Value::Null,
        "gender": Value::Null,
        "personal_title": "",
        "place_of_birth": "",
        "country_of_residence": "",
        "nationality": "",
        "nationalities": EMPTY,
        "organization_country": "",
        "organization_type": "",
        "organization_registry_code": "",
        "eduperson_assurance": EMPTY,
        "is_identity_manager": false,
        "attribute_sources": Map::new(),
        "managed_isds": EMPTY,
        "active_isds": EMPTY,
    }
}

/// Recorded: 265. The fake computes no fingerprints.
pub(in crate::testing::waldur) fn show_key(call: &Incoming<'_>, key: &SshKey) -> Map<String, Value> {
    object! {
        "url": call.link("keys", key.uuid.simple()),
        "uuid": key.uuid.simple().to_string(),
        "name": key.name,
        "public_key": key.public_key,
        "fingerprint_md5": "",
        "fingerprint_sha256": "",
        "fingerprint_sha512": "",
        "user_uuid": key.user,
        "is_shared": false,
        "type": key.public_key.split(' ').next().map_or(Value::Null, |kind| json!(kind)),
    }
}
