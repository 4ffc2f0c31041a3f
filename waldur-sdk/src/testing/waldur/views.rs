//! What a test asserts about.

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    FakeWaldur,
    model::{Endpoint, OfferingUser, Order, Resource},
    unknown,
    words::{OfferingUserState, OrderKind, OrderState, ResourceState},
};
use crate::types::{OfferingUserUuid, OrderUuid, PlanUuid, ResourceUuid};

/// An order as it is in the database, whoever may see what of it through the API.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OrderView {
    /// What it asks for.
    pub kind: OrderKind,
    /// How far it is.
    pub state: OrderState,
    /// The resource it is about.
    pub resource: ResourceUuid,
    /// The plan ordered.
    pub plan: Option<PlanUuid>,
    /// The limits ordered, in Waldur's units.
    pub limits: Map<String, Value>,
    /// The attributes ordered.
    pub attributes: Value,
    /// What the provider noted as the order's own id on its side; empty if nothing.
    pub backend_id: String,
    /// Why it failed; empty if nobody said.
    pub error_message: String,
    /// The details for staff; empty if nobody said.
    pub error_traceback: String,
    /// What the provider told the customer about a waiting order; empty if nothing.
    pub provider_message: String,
    /// Where the customer reads more; empty if nowhere.
    pub provider_message_url: String,
    /// Why the provider refused; empty if it did not say.
    pub provider_rejection_comment: String,
    /// When it changed last.
    pub modified: Timestamp,
}

impl From<&Order> for OrderView {
    fn from(row: &Order) -> Self {
        Self {
            kind: row.kind,
            state: row.state,
            resource: row.resource,
            plan: row.plan,
            limits: row.limits.clone(),
            attributes: row.attributes.clone(),
            backend_id: row.backend_id.clone(),
            error_message: row.error_message.clone(),
            error_traceback: row.error_traceback.clone(),
            provider_message: row.provider_message.clone(),
            provider_message_url: row.provider_message_url.clone(),
            provider_rejection_comment: row.provider_rejection_comment.clone(),
            modified: row.modified,
        }
    }
}

/// A resource as it is in the database.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ResourceView {
    /// Its name.
    pub name: String,
    /// Its slug.
    pub slug: String,
    /// How it is.
    pub state: ResourceState,
    /// Its name on the back end; empty before it has one.
    pub backend_id: String,
    /// Its plan.
    pub plan: Option<PlanUuid>,
    /// Its limits, in Waldur's units.
    pub limits: Map<String, Value>,
    /// Its options; `null` if it has none.
    pub options: Value,
    /// What the provider noted.
    pub backend_metadata: Value,
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
    /// Why it is `Erred`; empty if nobody said.
    pub error_message: String,
    /// The details of that; empty if nobody said.
    pub error_traceback: String,
    /// When the provider last said that it had looked.
    pub last_sync: Timestamp,
    /// When it changed last.
    pub modified: Timestamp,
}

impl ResourceView {
    /// The URL of the endpoint of a name.
    pub fn endpoint(&self, name: &str) -> Option<&str> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name).map(|endpoint| endpoint.url.as_str())
    }
}

impl From<&Resource> for ResourceView {
    fn from(row: &Resource) -> Self {
        Self {
            name: row.name.clone(),
            slug: row.slug.clone(),
            state: row.state,
            backend_id: row.backend_id.clone(),
            plan: row.plan,
            limits: row.limits.clone(),
            options: row.options.clone(),
            backend_metadata: row.backend_metadata.clone(),
            endpoints: row.endpoints.clone(),
            error_message: row.error_message.clone(),
            error_traceback: row.error_traceback.clone(),
            last_sync: row.last_sync,
            modified: row.modified,
        }
    }
}

/// An offering user as it is in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OfferingUserView {
    /// The name at the provider; `None` and empty are different to generation 2024.
    pub username: Option<String>,
    /// How far it is.
    pub state: OfferingUserState,
    /// Whether the user may not use the offering.
    pub restricted: bool,
    /// What the provider asks of the user; empty if nothing.
    pub comment: String,
    /// Where the user does it; empty if nowhere.
    pub comment_url: String,
}

impl From<&OfferingUser> for OfferingUserView {
    fn from(row: &OfferingUser) -> Self {
        Self {
            username: row.username.clone(),
            state: row.state,
            restricted: row.restricted,
            comment: row.comment.clone(),
            comment_url: row.comment_url.clone(),
        }
    }
}

impl FakeWaldur {
    /// An order as it is now.
    ///
    /// # Panics
    /// When there is none of that id; one that was deleted is none.
    #[track_caller]
    pub fn order_view(&self, order: OrderUuid) -> OrderView {
        self.state().order(order).map_or_else(|| unknown("order", order), OrderView::from)
    }

    /// The resource that an order is about.
    ///
    /// # Panics
    /// As [`Self::order_view`].
    #[track_caller]
    pub fn resource_of(&self, order: OrderUuid) -> ResourceUuid {
        self.order_view(order).resource
    }

    /// A resource as it is now.
    ///
    /// # Panics
    /// When there is none of that id.
    #[track_caller]
    pub fn resource_view(&self, resource: ResourceUuid) -> ResourceView {
        self.state().resource(resource).map_or_else(|| unknown("resource", resource), ResourceView::from)
    }

    /// An offering user as it is now.
    ///
    /// # Panics
    /// When there is none of that id.
    #[track_caller]
    pub fn offering_user_view(&self, row: OfferingUserUuid) -> OfferingUserView {
        let state = self.state();
        let found = state.offering_users.get(row.uuid()).map(OfferingUserView::from);
        found.unwrap_or_else(|| unknown("offering user", row))
    }

    /// What was told last about the access of a resource's members.
    pub fn member_statuses(&self, resource: ResourceUuid) -> Vec<Value> {
        self.state().member_statuses.get(&resource).cloned().unwrap_or_default()
    }

    /// The ids of all agents' processors with their `name`, as they registered themselves.
    pub fn registered_processors(&self) -> Vec<(Uuid, String)> {
        self.state().processors.iter().map(|row| (row.uuid, row.name.clone())).collect()
    }
}
