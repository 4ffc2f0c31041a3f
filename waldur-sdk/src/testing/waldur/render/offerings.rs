//! Offerings, their components and plans.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{EMPTY, float, money, object, time};
use crate::testing::waldur::{
    incoming::Incoming,
    model::{Component, Offering, Plan},
    state::State,
    words::{Billing, Generation, LimitPeriod},
};

/// From which side an offering is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::testing::waldur) enum Side {
    /// The provider's, in a list.
    ProviderRow,
    /// The provider's.
    Provider,
    /// Everybody's.
    Public,
}

impl State {
    pub(in crate::testing::waldur) fn show_offering(
        &self,
        call: &Incoming<'_>,
        offering: &Offering,
        side: Side,
    ) -> Option<Map<String, Value>> {
        let path = if side == Side::Public { "marketplace-public-offerings" } else { "marketplace-provider-offerings" };
        let customer = self.customer(offering.customer)?;
        let orders = self.orders.iter().filter(|order| order.offering == offering.uuid).count();
        let plans = offering.plans.iter().map(|plan| self.plan_members(call, offering, plan, side));
        let mut members = object! {
            "url": call.link(path, offering.uuid),
            "uuid": offering.uuid,
            "created": time(offering.created),
            "name": offering.name,
            "slug": offering.slug,
            "customer": call.link("customers", customer.uuid),
            "customer_uuid": customer.uuid,
            "customer_name": customer.name,
            "category": call.link("marketplace-categories", offering.category.simple()),
            "category_uuid": offering.category.simple().to_string(),
            "category_title": offering.category_title,
            "options": offering.options,
            "components": offering.component_rows(call.generation),
            "plugin_options": offering.plugin_options,
            "state": offering.state.as_str(),
            "order_count": orders,
            "plans": plans.collect::<Vec<_>>(),
            "type": offering.kind,
            "backend_id": offering.backend_id,
            "backend_metadata": offering.backend_metadata,
        };
        members.extend(settled(call.generation));
        if side != Side::Public {
            members.extend(object! {
                "secret_options": offering.secret_options,
                "service_attributes": Map::new(),
                "integration_status": EMPTY,
            });
        }
        if side == Side::Provider {
            members.extend(object! { "total_customers": 0, "total_cost": 0, "total_cost_estimated": 0 });
        }
        if side == Side::Public {
            members.insert("promotion_campaigns".to_owned(), json!([]));
        }
        if call.generation == Generation::V8 {
            members.extend(offering.members_8(side));
        }
        Some(members)
    }

    /// A plan by itself (recorded: 051).
    pub(in crate::testing::waldur) fn show_plan(
        &self,
        call: &Incoming<'_>,
        offering: &Offering,
        plan: &Plan,
    ) -> Map<String, Value> {
        let mut members = self.plan_members(call, offering, plan, Side::Provider);
        members.insert("offering".to_owned(), call.link("marketplace-provider-offerings", offering.uuid).into());
        members
    }

    pub(in crate::testing::waldur) fn plan_members(
        &self,
        call: &Incoming<'_>,
        offering: &Offering,
        plan: &Plan,
        side: Side,
    ) -> Map<String, Value> {
        let url = match side {
            Side::Public => {
                format!("{}plans/{}/", call.link("marketplace-public-offerings", offering.uuid), plan.uuid)
            }
            Side::Provider | Side::ProviderRow => call.link("marketplace-plans", plan.uuid),
        };
        // Those that are gone count too (recorded: 177).
        let ordered = self.resources.iter().filter(|resource| resource.plan == Some(plan.uuid)).count();
        let price = |component: &Component| plan.prices.get(&component.kind).copied().unwrap_or_default();
        let quota = |component: &Component| plan.quotas.get(&component.kind).copied().unwrap_or_default();
        let mut members = object! {
            "url": url,
            "uuid": plan.uuid,
            "name": plan.name,
            "description": plan.description,
            "article_code": "",
            "max_amount": Value::Null,
            "archived": plan.archived,
            "is_active": !plan.archived,
            "unit_price": money(Some(Decimal::ZERO)),
            "unit": plan.unit,
            "init_price": float(offering.activation_price(plan.uuid)),
            "switch_price": float(offering.price(plan.uuid, Billing::Few)),
            "backend_id": "",
            "organization_groups": EMPTY,
            "prices": plan.prices.iter().map(|(kind, price)| (kind, float(*price))).collect::<BTreeMap<_, _>>(),
            "future_prices": plan.prices.keys().map(|kind| (kind, Value::Null)).collect::<BTreeMap<_, _>>(),
            "quotas": plan.quotas,
            "resources_count": ordered,
            "plan_type": offering.plan_type(),
            "minimal_price": float(offering.components.iter().map(|component| match component.billing {
                Billing::Fixed => price(component) * Decimal::from(quota(component)),
                Billing::One => price(component),
                Billing::Limit => price(component) * Decimal::from(component.min_value.unwrap_or_default()),
                Billing::Usage | Billing::Few => Decimal::ZERO,
            }).sum()),
        };
        if call.generation == Generation::V8 {
            let rows = offering.components.iter().map(|component| {
                json!({
                    "type": component.kind,
                    "name": component.name,
                    "measured_unit": component.measured_unit,
                    "amount": quota(component),
                    "price": money(Some(price(component))),
                    "future_price": Value::Null,
                    "discount_threshold": Value::Null,
                    "discount_rate": Value::Null,
                })
            });
            members.insert("components".to_owned(), rows.collect());
        }
        members
    }
}

/// What generation 8 can let people share with a provider (schema 8.0.5).
const ATTRIBUTES: [&str; 21] = [
    "username",
    "full_name",
    "email",
    "phone_number",
    "organization",
    "job_title",
    "affiliations",
    "gender",
    "personal_title",
    "place_of_birth",
    "country_of_residence",
    "nationality",
    "nationalities",
    "organization_country",
    "organization_type",
    "organization_registry_code",
    "eduperson_assurance",
    "civil_number",
    "birth_date",
    "identity_source",
    "active_isds",
];

/// Names and address are shared unless the offering says otherwise (core.md §3.2).
pub(in crate::testing::waldur) fn show_attribute_config(offering: &Offering) -> Map<String, Value> {
    let (default, _) = ATTRIBUTES.split_at(3);
    let exposed: Vec<&str> = match &offering.exposed {
        Some(exposed) => exposed.iter().map(String::as_str).collect(),
        None => default.to_vec(),
    };
    let mut members = object! {
        "uuid": offering.uuid,
        "created": time(offering.created),
        "modified": time(offering.created),
        "offering_uuid": offering.uuid,
        "offering_name": offering.name,
        "exposed_fields": exposed,
        "is_default": offering.exposed.is_none(),
    };
    members.extend(ATTRIBUTES.iter().map(|name| (format!("expose_{name}"), exposed.contains(name).into())));
    members
}

/// Members that every offering of the fake has alike.
fn settled(generation: Generation) -> Map<String, Value> {
    let mut members = object! {
        "description": "",
        "full_description": "",
        "privacy_policy_link": "",
        "endpoints": EMPTY,
        "roles": EMPTY,
        "project": Value::Null,
        "attributes": Map::new(),
        "resource_options": Map::new(),
        "vendor_details": "",
        "getting_started": "",
        "integration_guide": "",
        "thumbnail": Value::Null,
        "screenshots": EMPTY,
        "shared": true,
        "billable": true,
        "scope": Value::Null,
        "files": EMPTY,
        "paused_reason": "",
        "datacite_doi": "",
        "citation_count": -1,
        "latitude": Value::Null,
        "longitude": Value::Null,
        "country": "",
        "organization_groups": EMPTY,
        "image": Value::Null,
        "google_calendar_is_public": Value::Null,
        "google_calendar_link": Value::Null,
    };
    members.extend(match generation {
        Generation::V2024 => object! {
            "terms_of_service": "",
            "terms_of_service_link": "",
            "rating": Value::Null,
            "native_name": "",
            "native_description": "",
        },
        Generation::V8 => object! {
            "access_url": "",
            "software_catalogs": EMPTY,
            "project_uuid": Value::Null,
            "project_name": Value::Null,
            "scope_uuid": Value::Null,
            "scope_name": Value::Null,
            "scope_state": Value::Null,
            "scope_error_message": Value::Null,
            "quotas": EMPTY,
            "tags": EMPTY,
            "parent_description": Value::Null,
            "parent_uuid": Value::Null,
            "parent_name": Value::Null,
            "has_compliance_requirements": false,
            "compliance_checklist": Value::Null,
        },
    });
    members
}

impl Offering {
    fn members_8(&self, side: Side) -> Map<String, Value> {
        // The settings of a partition are not played, only its name.
        let partitions: Vec<Value> = self.partitions.iter().map(|name| json!({ "partition_name": name })).collect();
        let mut members = object! {
            "partitions": partitions,
            "billing_type_classification": self.plan_type(),
        };
        members.extend(match side {
            Side::Public => object! { "user_has_consent": true, "is_accessible": true },
            Side::Provider | Side::ProviderRow => object! { "backend_id_rules": Map::new() },
        });
        members
    }

    /// The components, by name (recorded: 057, 177).
    pub(in crate::testing::waldur) fn component_rows(&self, generation: Generation) -> Vec<Value> {
        let mut components: Vec<&Component> = self.components.iter().collect();
        components.sort_by(|one, other| one.name.cmp(&other.name));
        components.into_iter().map(|component| component.row(generation)).collect()
    }

    /// `mixed` is recorded; the words for a single type of billing are not.
    fn plan_type(&self) -> &'static str {
        let mut kinds = self.components.iter().map(|component| component.billing);
        let Some(first) = kinds.next() else { return "fixed" };
        if kinds.any(|other| other != first) {
            return "mixed";
        }
        match first {
            Billing::Fixed => "fixed",
            Billing::Usage => "usage-based",
            Billing::Limit => "limit",
            Billing::One => "one-time",
            Billing::Few => "on-plan-switch",
        }
    }
}

impl Component {
    fn row(&self, generation: Generation) -> Value {
        let mut members = object! {
            "uuid": self.uuid.simple().to_string(),
            "billing_type": self.billing.as_str(),
            "type": self.kind,
            "name": self.name,
            "description": self.description,
            "measured_unit": self.measured_unit,
            "limit_period": self.limit_period.map(LimitPeriod::as_str),
            "limit_amount": self.limit_amount,
            "article_code": self.article_code,
            "max_value": self.max_value,
            "min_value": self.min_value,
            "max_available_limit": self.max_available_limit,
            "is_boolean": self.is_boolean,
            "default_limit": self.default_limit,
            "factor": Value::Null,
            "is_builtin": false,
        };
        if generation == Generation::V8 {
            members.extend(object! {
                "unit_factor": self.unit_factor,
                "is_prepaid": self.is_prepaid,
                "overage_component": Value::Null,
                "min_prepaid_duration": Value::Null,
                "max_prepaid_duration": Value::Null,
            });
        }
        Value::Object(members)
    }
}
