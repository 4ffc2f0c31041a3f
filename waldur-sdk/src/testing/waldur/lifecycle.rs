//! What becomes of an order and its resource (core.md §1.6; recorded: 109 to 145, 299 to 320).

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{
    model::{Component, Offering, OfferingUser, Order, Resource, Review, Scope},
    state::{SITE_AGENT, State},
    words::{Billing, Generation, OfferingUserState, OrderKind, OrderState, ResourceState},
};
use crate::types::{OfferingUserUuid, OrderUuid, PlanUuid, ResourceUuid, UserUuid};

impl State {
    fn change_order(&mut self, uuid: OrderUuid, change: impl FnOnce(&mut Order)) {
        let now = self.now();
        if let Some(order) = self.orders.get_mut(uuid.uuid()) {
            change(order);
            order.modified = now;
            if order.state.is_terminal() {
                order.completed.get_or_insert(now);
            }
        }
    }

    pub(super) fn change_resource(&mut self, uuid: ResourceUuid, change: impl FnOnce(&mut Resource)) {
        let now = self.now();
        if let Some(resource) = self.resources.get_mut(uuid.uuid()) {
            change(resource);
            resource.modified = now;
        }
    }

    /// Approval by the provider. Its effects come at once, or after as many reads as the delay says.
    pub(super) fn approve_as_provider(&mut self, uuid: OrderUuid, by: UserUuid) {
        let (at, delay) = (self.now(), self.approval_delay);
        self.change_order(uuid, |order| {
            order.provider_review = Some(Review { by, at });
            order.approval = Some(delay);
        });
        if delay == 0 {
            self.begin(uuid);
        }
    }

    /// Counts one read of an order whose approval has yet to take effect.
    pub(super) fn read(&mut self, uuid: OrderUuid) {
        let Some(order) = self.orders.get_mut(uuid.uuid()) else { return };
        match order.approval {
            Some(0) => self.begin(uuid),
            Some(reads) => order.approval = Some(reads - 1),
            None => {}
        }
    }

    /// The effects of approval: the order is executing, and the resource shows what happens to it.
    pub(super) fn begin(&mut self, uuid: OrderUuid) {
        self.start(uuid);
        let Some((kind, resource, offering)) =
            self.order(uuid).map(|order| (order.kind, order.resource, order.offering))
        else {
            return;
        };
        // Recorded: 118 and 123 show the plug-in's row after approval; 187 that nothing else makes one.
        let plugin = self.generation == Generation::V2024
            && self.offering(offering).is_some_and(|offering| offering.kind == SITE_AGENT);
        let allocation = (plugin && kind == OrderKind::Create).then(|| self.uuid());
        self.change_resource(resource, |resource| {
            resource.allocation = resource.allocation.or(allocation);
        });
    }

    /// The order is executing, by approval or because somebody said so.
    pub(super) fn start(&mut self, uuid: OrderUuid) {
        self.change_order(uuid, |order| {
            order.state = OrderState::Executing;
            order.approval = None;
        });
        let Some((kind, resource)) = self.order(uuid).map(|order| (order.kind, order.resource)) else { return };
        self.change_resource(resource, |resource| match kind {
            // Recorded: 142, 149. Repeating a failed creation leaves the resource as it is.
            OrderKind::Create => {}
            OrderKind::Restore => resource.state = ResourceState::Creating,
            OrderKind::Update => resource.state = ResourceState::Updating,
            OrderKind::Terminate => resource.state = ResourceState::Terminating,
        });
    }

    /// The order is done, and the resource is what was ordered.
    pub(super) fn finish(&mut self, uuid: OrderUuid) {
        self.change_order(uuid, |order| order.state = OrderState::Done);
        let Some(order) = self.order(uuid).cloned() else { return };
        let provisions = matches!(order.kind, OrderKind::Create | OrderKind::Restore);
        if provisions && self.resource(order.resource).is_some_and(|resource| resource.backend_id.trim().is_empty()) {
            self.done_without_backend_id.push(uuid);
        }
        let cost = self.cost(&order);
        self.change_resource(order.resource, |resource| apply(&order, cost, resource));
        if provisions {
            self.request_usernames(order.resource);
        }
    }

    /// The order failed. In a final state it keeps that state and only the texts change, but the resource is flipped
    /// all the same (recorded: 144, 145, 149).
    pub(super) fn fail(&mut self, uuid: OrderUuid, message: String, traceback: String) {
        self.change_order(uuid, |order| {
            order.error_message = message;
            order.error_traceback = traceback;
            order.approval = None;
            if !order.state.is_terminal() {
                order.state = OrderState::Erred;
            }
        });
        let Some((kind, resource)) = self.order(uuid).map(|order| (order.kind, order.resource)) else { return };
        self.change_resource(resource, |resource| {
            resource.state = match kind {
                OrderKind::Terminate => ResourceState::Ok,
                OrderKind::Create | OrderKind::Update | OrderKind::Restore => ResourceState::Erred,
            };
        });
    }

    /// The provider refused the order; a resource that was never made is gone (recorded: 131, 133).
    pub(super) fn reject_as_provider(&mut self, uuid: OrderUuid, by: UserUuid, comment: String) {
        let at = self.now();
        self.change_order(uuid, |order| {
            order.state = OrderState::Rejected;
            order.provider_review = Some(Review { by, at });
            order.provider_rejection_comment = comment;
        });
        let Some((kind, resource)) = self.order(uuid).map(|order| (order.kind, order.resource)) else { return };
        if kind == OrderKind::Create {
            self.change_resource(resource, |resource| resource.state = ResourceState::Terminated);
        }
    }

    pub(super) fn approve_as_consumer(&mut self, uuid: OrderUuid, by: UserUuid) {
        let at = self.now();
        self.change_order(uuid, |order| {
            order.state = OrderState::PendingProvider;
            order.consumer_review = Some(Review { by, at });
        });
    }

    /// What an order costs: limits by their price, and for a new resource what is paid once (recorded: 068, 299).
    pub(super) fn cost(&self, order: &Order) -> Option<Decimal> {
        let offering = self.offering(order.offering)?;
        let limits = offering.running_cost(order.plan?, &order.limits)?;
        match order.kind {
            OrderKind::Create => Some(limits + offering.activation_price(order.plan?)),
            OrderKind::Update | OrderKind::Restore => Some(limits),
            OrderKind::Terminate => None,
        }
    }

    /// A resource in use wants a username for each member of its project (recorded: 228, made right after 127).
    fn request_usernames(&mut self, resource: ResourceUuid) {
        let Some((offering, project)) = self.resource(resource).map(|resource| (resource.offering, resource.project))
        else {
            return;
        };
        if !self.offering(offering).is_some_and(Offering::provider_makes_usernames) {
            return;
        }
        let members: Vec<UserUuid> =
            self.roles.iter().filter(|role| role.scope == Scope::Project(project)).map(|role| role.user).collect();
        for user in members {
            if self.offering_users.iter().any(|row| row.offering == offering && row.user == user) {
                continue;
            }
            let (uuid, created) = (OfferingUserUuid::new(self.uuid()), self.now());
            self.offering_users.put(OfferingUser {
                uuid,
                created,
                modified: created,
                propagated: Some(created),
                offering,
                user,
                username: Some(String::new()),
                state: OfferingUserState::Requested,
                restricted: false,
                comment: String::new(),
                comment_url: String::new(),
            });
        }
    }
}

fn apply(order: &Order, cost: Option<Decimal>, resource: &mut Resource) {
    match order.kind {
        OrderKind::Terminate => resource.state = ResourceState::Terminated,
        OrderKind::Create => resource.state = ResourceState::Ok,
        OrderKind::Update | OrderKind::Restore => {
            resource.state = ResourceState::Ok;
            if order.plan.is_some() {
                resource.plan = order.plan;
            }
            if !order.limits.is_empty() {
                resource.limits.clone_from(&order.limits);
            }
            if let Some(options) = order.attributes.get("new_options") {
                resource.options = options.clone();
            }
            resource.cost = cost;
        }
    }
}

impl Offering {
    /// What limits cost in a month.
    pub(super) fn running_cost(&self, plan: PlanUuid, limits: &Map<String, Value>) -> Option<Decimal> {
        let plan = self.plan(plan)?;
        let mut sum = Decimal::ZERO;
        for (kind, limit) in limits {
            // A test may have put in what is no number, to see what a client makes of it. It costs nothing.
            let amount: Decimal = limit.to_string().trim_matches('"').parse().unwrap_or_default();
            sum += amount * plan.prices.get(kind).copied().unwrap_or_default();
        }
        Some(sum)
    }

    /// What is paid once, at the beginning.
    pub(super) fn activation_price(&self, plan: PlanUuid) -> Decimal {
        self.price(plan, Billing::One)
    }

    /// The sum of a plan's prices over components of one billing type.
    pub(super) fn price(&self, plan: PlanUuid, billing: Billing) -> Decimal {
        let of = |component: &Component| self.plan(plan)?.prices.get(&component.kind).copied();
        self.components.iter().filter(|component| component.billing == billing).filter_map(of).sum()
    }
}
