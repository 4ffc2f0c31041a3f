//! The rows of the fake's database.

use std::collections::{BTreeMap, HashMap};

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::words::{
    AccountState, Billing, LimitPeriod, OfferingState, OfferingUserState, OrderKind, OrderState, ResourceState,
};
use crate::types::{
    CustomerUuid, OfferingUserUuid, OfferingUuid, OrderUuid, PlanUuid, ProjectUuid, ResourceUuid, UserUuid,
};

/// A row with an id.
pub(super) trait Row {
    fn uuid(&self) -> Uuid;
}

/// Rows in the order of their making, found by id.
#[derive(Debug)]
pub(super) struct Table<T> {
    rows: Vec<T>,
    places: HashMap<Uuid, usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Row> Table<T> {
    pub(super) fn get(&self, uuid: Uuid) -> Option<&T> {
        self.rows.get(*self.places.get(&uuid)?)
    }

    pub(super) fn get_mut(&mut self, uuid: Uuid) -> Option<&mut T> {
        self.rows.get_mut(*self.places.get(&uuid)?)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.rows.iter()
    }

    pub(super) fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.rows.iter_mut()
    }

    /// Adds a row, or replaces the one of the same id in its place.
    pub(super) fn put(&mut self, row: T) {
        let uuid = row.uuid();
        if let Some(old) = self.get_mut(uuid) {
            *old = row;
        } else {
            self.places.insert(uuid, self.rows.len());
            self.rows.push(row);
        }
    }

    pub(super) fn remove(&mut self, uuid: Uuid) {
        self.rows.retain(|row| row.uuid() != uuid);
        self.places = self.rows.iter().enumerate().map(|(place, row)| (row.uuid(), place)).collect();
    }
}

macro_rules! rows {
    ($($name:ident => |$row:ident| $uuid:expr),+ $(,)?) => {$(
        impl Row for $name {
            fn uuid(&self) -> Uuid {
                let $row = self;
                $uuid
            }
        }
    )+};
}

rows! {
    Customer => |row| row.uuid.uuid(),
    Project => |row| row.uuid.uuid(),
    User => |row| row.uuid.uuid(),
    Role => |row| row.uuid,
    SshKey => |row| row.uuid,
    ServiceProvider => |row| row.uuid,
    Offering => |row| row.uuid.uuid(),
    Resource => |row| row.uuid.uuid(),
    Order => |row| row.uuid.uuid(),
    OfferingUser => |row| row.uuid.uuid(),
    ProjectAccount => |row| row.uuid,
    UserLimit => |row| row.uuid,
    PlanPeriod => |row| row.uuid,
    ComponentUsage => |row| row.uuid,
    UserUsage => |row| row.uuid,
    AgentIdentity => |row| row.uuid,
    AgentService => |row| row.uuid,
    AgentProcessor => |row| row.uuid,
}

#[derive(Clone, Debug)]
pub(super) struct Customer {
    pub(super) uuid: CustomerUuid,
    pub(super) created: Timestamp,
    pub(super) name: String,
    pub(super) slug: String,
    pub(super) abbreviation: String,
    pub(super) email: String,
}

#[derive(Clone, Debug)]
pub(super) struct ServiceProvider {
    pub(super) uuid: Uuid,
    pub(super) created: Timestamp,
    pub(super) customer: CustomerUuid,
}

#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) uuid: ProjectUuid,
    pub(super) created: Timestamp,
    pub(super) customer: CustomerUuid,
    pub(super) name: String,
    pub(super) slug: String,
    pub(super) description: String,
    pub(super) backend_id: String,
    pub(super) end_date: Option<Date>,
}

/// `token` is readable because a fake has to recognise it; `Debug` of this row is never printed by the fake.
#[derive(Clone)]
pub(super) struct User {
    pub(super) uuid: UserUuid,
    pub(super) created: Timestamp,
    pub(super) username: String,
    pub(super) slug: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) email: String,
    pub(super) token: String,
    pub(super) is_staff: bool,
    pub(super) is_active: bool,
    /// What else is known of the user, by the name of the attribute.
    pub(super) profile: Map<String, Value>,
}

impl User {
    pub(super) fn full_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name).trim().to_owned()
    }
}

/// What a role is held on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Customer(CustomerUuid),
    Project(ProjectUuid),
    Offering(OfferingUuid),
}

#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) uuid: Uuid,
    pub(super) created: Timestamp,
    pub(super) user: UserUuid,
    pub(super) name: String,
    pub(super) scope: Scope,
    pub(super) expires: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(super) struct SshKey {
    pub(super) uuid: Uuid,
    pub(super) user: UserUuid,
    pub(super) name: String,
    pub(super) public_key: String,
}

#[derive(Clone, Debug)]
pub(super) struct Offering {
    pub(super) uuid: OfferingUuid,
    pub(super) created: Timestamp,
    pub(super) customer: CustomerUuid,
    pub(super) category: Uuid,
    pub(super) category_title: String,
    pub(super) name: String,
    pub(super) slug: String,
    pub(super) kind: String,
    pub(super) state: OfferingState,
    pub(super) backend_id: String,
    pub(super) backend_metadata: Value,
    pub(super) options: Value,
    pub(super) plugin_options: Map<String, Value>,
    pub(super) secret_options: Map<String, Value>,
    pub(super) components: Vec<Component>,
    pub(super) plans: Vec<Plan>,
    pub(super) partitions: Vec<String>,
    /// What the offering is told of its users; `None` for the default.
    pub(super) exposed: Option<Vec<String>>,
}

impl Offering {
    pub(super) fn component(&self, kind: &str) -> Option<&Component> {
        self.components.iter().find(|component| component.kind == kind)
    }

    pub(super) fn plan(&self, uuid: PlanUuid) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.uuid == uuid)
    }

    pub(super) fn plugin_option(&self, name: &str) -> Option<&str> {
        self.plugin_options.get(name)?.as_str()
    }

    /// Whether the service provider makes the usernames, which is when offering users appear by themselves.
    pub(super) fn provider_makes_usernames(&self) -> bool {
        let allowed = "service_provider_can_create_offering_user";
        self.plugin_option("username_generation_policy") == Some("service_provider")
            && [&self.plugin_options, &self.secret_options]
                .iter()
                .any(|options| options.get(allowed) == Some(&Value::Bool(true)))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Component {
    pub(super) uuid: Uuid,
    pub(super) kind: String,
    pub(super) billing: Billing,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) measured_unit: String,
    pub(super) unit_factor: i64,
    pub(super) limit_period: Option<LimitPeriod>,
    pub(super) limit_amount: Option<i64>,
    pub(super) article_code: String,
    pub(super) min_value: Option<i64>,
    pub(super) max_value: Option<i64>,
    pub(super) max_available_limit: Option<i64>,
    pub(super) default_limit: Option<i64>,
    pub(super) is_boolean: bool,
    pub(super) is_prepaid: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) uuid: PlanUuid,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) unit: String,
    pub(super) archived: bool,
    pub(super) prices: BTreeMap<String, Decimal>,
    pub(super) quotas: BTreeMap<String, i64>,
}

#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) uuid: ResourceUuid,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) offering: OfferingUuid,
    pub(super) project: ProjectUuid,
    pub(super) plan: Option<PlanUuid>,
    pub(super) name: String,
    pub(super) slug: String,
    pub(super) description: String,
    pub(super) state: ResourceState,
    pub(super) backend_id: String,
    pub(super) effective_id: String,
    pub(super) backend_metadata: Value,
    pub(super) attributes: Value,
    pub(super) limits: Map<String, Value>,
    pub(super) options: Value,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) current_usages: Map<String, Value>,
    pub(super) report: Value,
    pub(super) cost: Option<Decimal>,
    /// The plug-in's own row, which generation 2024 makes when an order of a SLURM offering is approved.
    pub(super) allocation: Option<Uuid>,
    pub(super) end_date: Option<Date>,
    pub(super) paused: bool,
    pub(super) downscaled: bool,
    pub(super) restrict_member_access: bool,
    pub(super) error_message: String,
    pub(super) error_traceback: String,
    pub(super) last_sync: Timestamp,
}

/// A place where a resource is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// The fake's id of the entry.
    pub uuid: Uuid,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub url: String,
}

#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) uuid: OrderUuid,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) completed: Option<Timestamp>,
    pub(super) kind: OrderKind,
    pub(super) state: OrderState,
    /// Approved; so many reads still show the state before.
    pub(super) approval: Option<u32>,
    pub(super) offering: OfferingUuid,
    pub(super) project: ProjectUuid,
    pub(super) resource: ResourceUuid,
    pub(super) plan: Option<PlanUuid>,
    pub(super) old_plan: Option<PlanUuid>,
    pub(super) attributes: Value,
    pub(super) limits: Map<String, Value>,
    pub(super) cost: Option<Decimal>,
    pub(super) backend_id: String,
    pub(super) subtype: Option<String>,
    pub(super) created_by: UserUuid,
    pub(super) consumer_review: Option<Review>,
    pub(super) provider_review: Option<Review>,
    pub(super) error_message: String,
    pub(super) error_traceback: String,
    pub(super) request_comment: Option<String>,
    pub(super) termination_comment: Option<String>,
    pub(super) provider_message: String,
    pub(super) provider_message_url: String,
    pub(super) provider_rejection_comment: String,
}

/// Who approved or rejected, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Review {
    pub(super) by: UserUuid,
    pub(super) at: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct OfferingUser {
    pub(super) uuid: OfferingUserUuid,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) propagated: Option<Timestamp>,
    pub(super) offering: OfferingUuid,
    pub(super) user: UserUuid,
    pub(super) username: Option<String>,
    pub(super) state: OfferingUserState,
    pub(super) restricted: bool,
    pub(super) comment: String,
    pub(super) comment_url: String,
}

/// An account of a service or of a course.
#[derive(Clone, Debug)]
pub(super) struct ProjectAccount {
    pub(super) uuid: Uuid,
    pub(super) created: Timestamp,
    pub(super) project: ProjectUuid,
    pub(super) username: String,
    pub(super) state: AccountState,
    pub(super) of_course: bool,
}

#[derive(Clone, Debug)]
pub(super) struct UserLimit {
    pub(super) uuid: Uuid,
    pub(super) resource: ResourceUuid,
    pub(super) user: UserUuid,
    pub(super) component: String,
    pub(super) limit: String,
}

/// The time in which a resource was on one plan.
#[derive(Clone, Debug)]
pub(super) struct PlanPeriod {
    pub(super) uuid: Uuid,
    pub(super) resource: ResourceUuid,
    pub(super) plan: PlanUuid,
    pub(super) start: Timestamp,
    pub(super) end: Option<Timestamp>,
}

/// What was reported of one component of a resource, for one plan in one month.
#[derive(Clone, Debug)]
pub(super) struct ComponentUsage {
    pub(super) uuid: Uuid,
    pub(super) created: Timestamp,
    pub(super) key: UsageKey,
    pub(super) amount: Decimal,
    pub(super) date: Timestamp,
    pub(super) description: String,
    pub(super) recurring: bool,
    pub(super) modified_by: Option<UserUuid>,
}

/// Two reports of the same are one row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct UsageKey {
    pub(super) resource: ResourceUuid,
    pub(super) kind: String,
    pub(super) plan_period: Option<Uuid>,
    /// The first day of the month.
    pub(super) billing_period: Date,
}

/// The share of one user name in a [`ComponentUsage`].
#[derive(Clone, Debug)]
pub(super) struct UserUsage {
    pub(super) uuid: Uuid,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) usage: Uuid,
    pub(super) username: String,
    pub(super) user: Option<OfferingUserUuid>,
    pub(super) amount: Decimal,
}

#[derive(Clone, Debug)]
pub(super) struct AgentIdentity {
    pub(super) uuid: Uuid,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) offering: OfferingUuid,
    pub(super) name: String,
    /// `version`, `dependencies`, `config_file_path`, `config_file_content`, `last_restarted` as they were sent.
    pub(super) about: Map<String, Value>,
}

#[derive(Clone, Debug)]
pub(super) struct AgentService {
    pub(super) uuid: Uuid,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) identity: Uuid,
    pub(super) name: String,
    pub(super) mode: Value,
    pub(super) statistics: Value,
}

#[derive(Clone, Debug)]
pub(super) struct AgentProcessor {
    pub(super) uuid: Uuid,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) service: Uuid,
    pub(super) name: String,
    pub(super) backend_type: Value,
    pub(super) backend_version: Value,
}
