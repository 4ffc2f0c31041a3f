//! What was ordered.

use serde_json::{Map, Value, json};

use super::resources::ResourceSeed;
use crate::testing::waldur::{
    FakeWaldur,
    model::{Order, Resource, Review},
    unknown,
    words::{OrderKind, OrderState, ResourceState},
};
use crate::types::{OfferingUuid, OrderUuid, PlanUuid, ProjectUuid, ResourceUuid, UserUuid};

impl FakeWaldur {
    /// An order of something new.
    pub fn order(&self, offering: OfferingUuid) -> OrderOnOffering {
        OrderOnOffering { waldur: self.clone(), offering }
    }

    /// An order about a resource that is there.
    ///
    /// # Panics
    /// When there is none of that id.
    #[track_caller]
    pub fn order_on(&self, resource: ResourceUuid) -> OrderOnResource {
        let row = self.state().resource(resource).cloned();
        OrderOnResource { waldur: self.clone(), resource: row.unwrap_or_else(|| unknown("resource", resource)) }
    }

    /// Puts an order into another state, as somebody else would meanwhile. The resource stays as it is.
    ///
    /// # Panics
    /// When there is none of that id.
    #[track_caller]
    pub fn set_order_state(&self, order: OrderUuid, to: OrderState) {
        let mut state = self.state();
        let now = state.tick();
        match state.orders.get_mut(order.uuid()) {
            Some(row) => (row.state, row.modified, row.approval) = (to, now, None),
            None => unknown("order", order),
        }
    }
}

/// The beginning of an order of something new; see [`FakeWaldur::order`].
#[derive(Clone, Debug)]
#[must_use = "a seed is nothing until it is created"]
pub struct OrderOnOffering {
    waldur: FakeWaldur,
    offering: OfferingUuid,
}

impl OrderOnOffering {
    /// A new resource of that name, in the default project, on the offering's first plan.
    ///
    /// # Panics
    /// When there is no such offering.
    #[track_caller]
    pub fn create_resource(self, name: impl Into<String>) -> OrderSeed {
        let name = name.into();
        let resource = self.waldur.new_resource(self.offering, name.clone());
        let owner = self.waldur.owner();
        let order = self.waldur.state().blank_order(OrderKind::Create, &resource, owner);
        let attributes = json!({ "name": name });
        let resource = ResourceSeed { waldur: self.waldur.clone(), row: resource };
        OrderSeed { waldur: self.waldur, row: Order { attributes, ..order }, resource: Some(resource) }
    }
}

/// The beginning of an order about a resource; see [`FakeWaldur::order_on`].
#[derive(Clone, Debug)]
#[must_use = "a seed is nothing until it is created"]
pub struct OrderOnResource {
    waldur: FakeWaldur,
    resource: Resource,
}

impl OrderOnResource {
    /// Other limits; the old ones are in the attributes (recorded: 299).
    pub fn update_limits<K: Into<String>, V: Into<Value>>(self, limits: impl IntoIterator<Item = (K, V)>) -> OrderSeed {
        let attributes = json!({ "old_limits": self.resource.limits });
        let plan = self.resource.plan;
        self.seed(OrderKind::Update, |order| Order { plan, attributes, ..order }).limits(limits)
    }

    /// Another plan, with the limits as they are (core.md §2.9).
    pub fn switch_plan(self, plan: PlanUuid) -> OrderSeed {
        let (old_plan, limits) = (self.resource.plan, self.resource.limits.clone());
        self.seed(OrderKind::Update, |order| Order { plan: Some(plan), old_plan, limits, ..order })
    }

    /// Other options, as generation 8 orders them where the offering says so; plan and limits as they are.
    pub fn update_options(self, options: &Value) -> OrderSeed {
        let attributes = json!({ "old_options": self.resource.options, "new_options": options });
        let (plan, limits) = (self.resource.plan, self.resource.limits.clone());
        self.seed(OrderKind::Update, |order| Order { plan, attributes, limits, ..order })
    }

    /// The end of it.
    pub fn terminate(self) -> OrderSeed {
        self.seed(OrderKind::Terminate, |order| Order { plan: None, limits: Map::new(), ..order })
    }

    /// The resource back after its end, as it was ordered.
    pub fn restore(self) -> OrderSeed {
        let (plan, limits) = (self.resource.plan, self.resource.limits.clone());
        self.seed(OrderKind::Restore, |order| Order { plan, limits, ..order })
    }

    fn seed(self, kind: OrderKind, contents: impl FnOnce(Order) -> Order) -> OrderSeed {
        let owner = self.waldur.owner();
        let mut state = self.waldur.state();
        state.tick();
        let row = contents(state.blank_order(kind, &self.resource, owner));
        drop(state);
        OrderSeed { waldur: self.waldur, row, resource: None }
    }
}

/// An order under construction; see [`FakeWaldur::order`] and [`FakeWaldur::order_on`].
#[derive(Clone, Debug)]
#[must_use = "a seed is nothing until it is created"]
pub struct OrderSeed {
    waldur: FakeWaldur,
    row: Order,
    resource: Option<ResourceSeed>,
}

impl OrderSeed {
    /// Gives it an id of the test's choice.
    pub fn uuid(mut self, uuid: impl Into<OrderUuid>) -> Self {
        self.row.uuid = uuid.into();
        self
    }

    /// Its project, and its new resource's.
    pub fn project(mut self, project: ProjectUuid) -> Self {
        self.row.project = project;
        self
    }

    /// The plan ordered.
    pub fn plan(mut self, plan: PlanUuid) -> Self {
        self.row.plan = Some(plan);
        self
    }

    /// No plan ordered (recorded: 108).
    pub fn without_plan(mut self) -> Self {
        self.row.plan = None;
        self
    }

    /// The limits ordered, in Waldur's units: whole numbers as the server sends them, or whatever a test wants to be
    /// sent.
    pub fn limits<K: Into<String>, V: Into<Value>>(mut self, limits: impl IntoIterator<Item = (K, V)>) -> Self {
        self.row.limits = limits.into_iter().map(|(kind, limit)| (kind.into(), limit.into())).collect();
        self
    }

    /// Attributes beside those that the order has by its nature.
    pub fn attributes(mut self, attributes: Value) -> Self {
        if let (Value::Object(own), Value::Object(more)) = (&mut self.row.attributes, attributes) {
            own.extend(more);
        }
        self
    }

    /// What the provider noted as the order's own id on its side.
    pub fn backend_id(mut self, backend_id: impl Into<String>) -> Self {
        self.row.backend_id = backend_id.into();
        self
    }

    /// What kind of update it is; only generation 8 tells.
    pub fn subtype(mut self, subtype: impl Into<String>) -> Self {
        self.row.subtype = Some(subtype.into());
        self
    }

    /// Who ordered it.
    pub fn created_by(mut self, user: UserUuid) -> Self {
        self.row.created_by = user;
        self.row.consumer_review = self.row.consumer_review.map(|review| Review { by: user, ..review });
        self
    }

    /// Details of the new resource, e.g. the back-end id that an earlier run reserved.
    pub fn resource(mut self, detail: impl FnOnce(ResourceSeed) -> ResourceSeed) -> Self {
        self.resource = self.resource.map(detail);
        self
    }

    /// Puts it there, waiting for the provider.
    pub fn pending(self) -> OrderUuid {
        self.in_state(OrderState::PendingProvider)
    }

    /// Puts it there, approved by the provider and in effect: the resource shows what happens to it.
    pub fn executing(mut self) -> OrderUuid {
        let waldur = self.waldur.clone();
        self.row.provider_review = Some(Review { by: waldur.agent(), at: waldur.state().tick() });
        let uuid = self.in_state(OrderState::PendingProvider);
        waldur.state().begin(uuid);
        uuid
    }

    /// Puts it there in any state, without any effect on an existing resource.
    pub fn in_state(mut self, to: OrderState) -> OrderUuid {
        let mut state = self.waldur.state();
        self.row.state = to;
        if to == OrderState::PendingConsumer {
            self.row.consumer_review = None;
        }
        if let Some(seed) = self.resource {
            self.row.resource = seed.row.uuid;
            let resource = Resource {
                project: self.row.project,
                plan: self.row.plan,
                limits: self.row.limits.clone(),
                attributes: self.row.attributes.clone(),
                state: if to == OrderState::Rejected { ResourceState::Terminated } else { seed.row.state },
                ..seed.row
            };
            let resource = state.priced(resource);
            state.resources.put(resource);
        }
        self.row.cost = state.cost(&self.row);
        let uuid = self.row.uuid;
        state.orders.put(self.row);
        uuid
    }
}
