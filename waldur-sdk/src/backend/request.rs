//! What a back end is asked to do. Requests are complete: a back end never has to ask Waldur.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use crate::types::{
    Amounts, BackendId, CustomerUuid, Date, JsonObject, Limits, OfferingUuid, OrderType, OrderUuid, Personal, PlanUuid,
    ProjectUuid, ResourceUuid, Timestamp,
};

/// Which resource an object belongs to: the resource's UUID in Waldur. It is written on the object where the system has
/// room for it, and read before anything is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp(pub ResourceUuid);

/// A named node of Waldur's hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party<Id> {
    /// Its UUID.
    pub uuid: Option<Id>,
    /// Its name.
    pub name: String,
    /// Its slug; empty when the server sent none.
    pub slug: String,
}

/// The marketplace's side of a resource.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MarketplaceResource {
    /// Its UUID: the stamp.
    pub uuid: ResourceUuid,
    /// The offering it was ordered from.
    pub offering: OfferingUuid,
    /// Its name, as the customer typed it.
    pub name: String,
    /// Its slug.
    pub slug: String,
    /// The project it belongs to.
    pub project: Party<ProjectUuid>,
    /// The customer (organisation) it belongs to.
    pub customer: Party<CustomerUuid>,
    /// What the customer filled in when ordering.
    pub attributes: JsonObject,
    /// What the customer may change later (resource options).
    pub options: JsonObject,
    /// What the provider set on the offering (`offering_plugin_options`).
    pub plugin_options: JsonObject,
    /// The plan.
    pub plan: Option<PlanUuid>,
    /// When it was ordered.
    pub created: Option<Timestamp>,
    /// When it ends; prepaid components are counted up to here.
    pub end_date: Option<Date>,
    /// What was published about it so far.
    pub metadata: JsonObject,
    /// The limits that Waldur has on record, in Waldur's units; empty where it has none, or none that are limits. What an
    /// order asks for is in its request.
    pub limits: Limits,
}

impl MarketplaceResource {
    /// A resource with its identity and nothing else.
    pub fn new(uuid: ResourceUuid, offering: OfferingUuid, name: impl Into<String>, slug: impl Into<String>) -> Self {
        Self {
            uuid,
            offering,
            name: name.into(),
            slug: slug.into(),
            project: Party { uuid: None, name: String::new(), slug: String::new() },
            customer: Party { uuid: None, name: String::new(), slug: String::new() },
            attributes: JsonObject::new(),
            options: JsonObject::new(),
            plugin_options: JsonObject::new(),
            plan: None,
            created: None,
            end_date: None,
            metadata: JsonObject::new(),
            limits: Limits::new(),
        }
    }

    /// The stamp of its back-end object.
    pub fn stamp(&self) -> Stamp {
        Stamp(self.uuid)
    }

    /// A value the customer chose: the option of this name if there is one, else the attribute.
    pub fn chosen(&self, name: &str) -> Option<&Value> {
        self.options.get(name).or_else(|| self.attributes.get(name)).filter(|value| !value.is_null())
    }
}

/// Which candidate for a back-end id is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// 0 for the first.
    pub attempt: u32,
    /// Why the one before cannot be used.
    pub collision: Option<Collision>,
}

impl Candidate {
    /// The first candidate.
    pub const FIRST: Self = Self { attempt: 0, collision: None };

    /// The candidate after this one.
    #[must_use]
    pub const fn next(self, collision: Collision) -> Self {
        Self { attempt: self.attempt.saturating_add(1), collision: Some(collision) }
    }
}

/// Why a candidate for a back-end id cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Collision {
    /// Waldur says that another resource has it.
    NotUnique,
    /// The back end has an object of that name which is not ours.
    Duplicate,
}

/// Where the id of a create request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Reserved for this order, now or by an attempt that was cut short. Only an object with our stamp may be adopted.
    Reserved,
    /// Waldur has held it since before this order (Restore). An object without any stamp may be adopted as well: it
    /// may be older than stamps.
    Recorded,
}

/// Make the object, or finish making it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreateRequest {
    /// The order.
    pub order: OrderUuid,
    /// The marketplace's side.
    pub resource: MarketplaceResource,
    /// The id to create under. Waldur holds it already.
    pub backend_id: BackendId,
    /// Where the id comes from.
    pub origin: Origin,
    /// What was ordered, in Waldur's units.
    pub limits: Limits,
    /// What the plan grants, in Waldur's units; empty unless [`Capabilities::plan_quotas`](super::Capabilities).
    pub plan_quotas: Amounts,
    /// The project's team; empty unless the back end has [`members`](super::ResourceBackend::members).
    pub team: Vec<Grant>,
    /// Public SSH keys of the provider's users; empty unless [`Capabilities::ssh_keys`](super::Capabilities).
    pub ssh_keys: Vec<SshPublicKey>,
}

impl CreateRequest {
    /// A request without limits, quotas, team and keys.
    pub fn new(order: OrderUuid, resource: MarketplaceResource, backend_id: BackendId) -> Self {
        Self {
            order,
            resource,
            backend_id,
            origin: Origin::Reserved,
            limits: Limits::new(),
            plan_quotas: Amounts::new(),
            team: Vec::new(),
            ssh_keys: Vec::new(),
        }
    }

    /// Sets where the id comes from.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Sets the ordered limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// A public SSH key. `Debug` does not show it: its comment mostly says whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct SshPublicKey {
    /// Its UUID in Waldur, as text.
    pub uuid: String,
    /// The key in OpenSSH form.
    pub public_key: String,
}

impl fmt::Debug for SshPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshPublicKey").field("uuid", &self.uuid).finish_non_exhaustive()
    }
}

/// Set these absolute limits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LimitChange {
    /// The order; `None` in a synchronisation.
    pub order: Option<OrderUuid>,
    /// The marketplace's side.
    pub resource: MarketplaceResource,
    /// Whose limits.
    pub backend_id: BackendId,
    /// The limits, in Waldur's units. Components that are not named keep theirs.
    pub limits: Limits,
    /// Whether prepaid components are among them: recompute the budget from
    /// [`MarketplaceResource::end_date`].
    pub prepaid: bool,
}

impl LimitChange {
    /// A change outside an order.
    pub fn new(resource: MarketplaceResource, backend_id: BackendId, limits: Limits) -> Self {
        Self { order: None, resource, backend_id, limits, prepaid: false }
    }
}

/// The customer changed the options of a resource.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OptionChange {
    /// The order.
    pub order: OrderUuid,
    /// The marketplace's side; its options are still the old ones.
    pub resource: MarketplaceResource,
    /// Whose options.
    pub backend_id: BackendId,
    /// The options before.
    pub old: JsonObject,
    /// The options wanted; those not named keep their value.
    pub new: JsonObject,
}

impl OptionChange {
    /// A change from `old` to `new`.
    pub fn new(
        order: OrderUuid,
        resource: MarketplaceResource,
        backend_id: BackendId,
        old: JsonObject,
        new: JsonObject,
    ) -> Self {
        Self { order, resource, backend_id, old, new }
    }
}

/// The resource moved to another plan.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlanChange {
    /// The order.
    pub order: OrderUuid,
    /// The marketplace's side.
    pub resource: MarketplaceResource,
    /// Whose plan.
    pub backend_id: BackendId,
    /// The plan before.
    pub old: Option<PlanUuid>,
    /// The plan wanted.
    pub new: PlanUuid,
    /// What the new plan grants, in Waldur's units.
    pub quotas: Amounts,
}

impl PlanChange {
    /// A change from `old` to `new`.
    pub fn new(
        order: OrderUuid,
        resource: MarketplaceResource,
        backend_id: BackendId,
        old: Option<PlanUuid>,
        new: PlanUuid,
        quotas: Amounts,
    ) -> Self {
        Self { order, resource, backend_id, old, new, quotas }
    }
}

/// Remove the object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeleteRequest {
    /// The order.
    pub order: OrderUuid,
    /// The marketplace's side.
    pub resource: MarketplaceResource,
    /// What to remove.
    pub backend_id: BackendId,
}

impl DeleteRequest {
    /// A removal.
    pub fn new(order: OrderUuid, resource: MarketplaceResource, backend_id: BackendId) -> Self {
        Self { order, resource, backend_id }
    }
}

/// A user who is to have access. `Debug` does not say who.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// The user's name on the site (the offering user's `username`); the federated identity for a back end with
    /// [`Capabilities::identity_bridge`](super::Capabilities::identity_bridge).
    pub username: String,
    /// The federated identity (Waldur's `username`).
    pub cuid: Option<Personal>,
    /// The roles in the project (`PROJECT.ADMIN`); more than one if the user has more. Empty for accounts that no
    /// person has.
    pub roles: BTreeSet<String>,
    /// E-mail address.
    pub email: Option<Personal>,
    /// Full name.
    pub full_name: Option<Personal>,
    /// The mask of the home directory, if the back end makes one (`default_homedir_umask`); `None` leaves it to the back
    /// end.
    pub umask: Option<u32>,
    /// What else the offering is told of the user, by the name of the attribute without `user_`; empty where that is
    /// not known, as in orders. Personal, so `Debug` does not show it.
    pub attributes: JsonObject,
}

impl Grant {
    /// A user with a name and nothing else.
    pub fn new(username: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            cuid: None,
            roles: BTreeSet::new(),
            email: None,
            full_name: None,
            umask: None,
            attributes: JsonObject::new(),
        }
    }

    /// Sets the mask of the home directory.
    #[must_use]
    pub fn with_umask(mut self, umask: Option<u32>) -> Self {
        self.umask = umask;
        self
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Roles and the names of attributes say what is known of somebody, and not of whom.
        f.debug_struct("Grant")
            .field("roles", &self.roles)
            .field("umask", &self.umask)
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}

/// An order that waits for the provider's decision.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PendingOrder {
    /// The order.
    pub order: OrderUuid,
    /// What it asks for.
    pub order_type: OrderType,
    /// The name of the resource.
    pub resource_name: String,
    /// What the customer filled in.
    pub attributes: JsonObject,
    /// What is ordered, in Waldur's units.
    pub limits: Limits,
}

impl PendingOrder {
    /// An order without attributes and limits.
    pub fn new(order: OrderUuid, order_type: impl Into<OrderType>, resource_name: impl Into<String>) -> Self {
        Self {
            order,
            order_type: order_type.into(),
            resource_name: resource_name.into(),
            attributes: JsonObject::new(),
            limits: Limits::new(),
        }
    }
}

/// The provider's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// Approve and provision.
    Accept,
    /// Refuse; the comment is shown to the customer where the server can.
    Reject {
        /// Why, for the customer.
        comment: Option<String>,
    },
    /// Decide later; asked again in the next pass.
    Pending,
    /// As [`Pending`](Self::Pending), and the customer is told what it waits for, where the server can.
    Waiting {
        /// What it waits for, for the customer.
        message: String,
        /// Where to read on.
        url: Option<String>,
    },
}
