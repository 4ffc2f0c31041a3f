//! Orders that the API makes: a customer's, and a provider's end of a resource.

use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use super::resources;
use crate::testing::waldur::{
    answer::{Answer, Outcome},
    incoming::{Fields, Incoming},
    lists::one,
    model::{Offering, Order, Resource, Review},
    state::State,
    words::{Billing, OrderKind, OrderState, ResourceState},
};
use crate::types::{OrderUuid, PlanUuid, ProjectUuid, ResourceUuid, UserUuid};

/// `POST marketplace-orders/`: a new resource (recorded: 098 to 108, 342).
pub(super) fn create(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let mut fields = call.fields()?;
    let wanted = Wanted::read(state, call, &mut fields);
    fields.check()?;
    let wanted = wanted.ok_or_else(Answer::broken)?;
    wanted.check_limits()?;
    let Wanted { offering, project, plan, attributes, limits, comment } = wanted;

    let name = attributes.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let resource = state.blank_resource(offering.uuid, project, name);
    let order = Order {
        plan,
        limits: limits.clone(),
        attributes: attributes.clone(),
        request_comment: comment,
        ..state.blank_order(OrderKind::Create, &resource, call.user)
    };
    let cost = plan.and_then(|plan| offering.running_cost(plan, &limits));
    let uuid = order.uuid;
    state.resources.put(Resource { plan, attributes, limits, cost, ..resource });
    file(state, order);
    let location = call.link("marketplace-orders", uuid);
    let shown = one(call, state.order(uuid).and_then(|order| state.show_new_order(call, order)))?;
    Ok(Answer { status: StatusCode::CREATED, ..shown }.with(header::LOCATION, location))
}

/// `POST marketplace-resources/{}/update_limits/` (recorded: 296 to 298, 339).
pub(super) fn update_limits(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = resources::seen(state, call)?;
    let resource = state.resource(uuid).cloned().ok_or_else(Answer::broken)?;
    if resource.state != ResourceState::Ok {
        return Err(Answer::wrong_state(&[ResourceState::Ok.as_str()]));
    }
    let mut fields = call.fields()?;
    let limits = fields.required("limits").and_then(|_| read_limits(&mut fields));
    fields.check()?;
    let limits = limits.ok_or_else(Answer::broken)?;
    if limits == resource.limits {
        return Err(Answer::sentence("Impossible to create update orders with limits set to exactly the same."));
    }
    refuse_second(state, uuid)?;
    let blank = state.blank_order(OrderKind::Update, &resource, call.user);
    let attributes = json!({ "old_limits": resource.limits });
    Ok(made(file(state, Order { plan: resource.plan, limits, attributes, ..blank })))
}

/// `POST marketplace-resources/{}/terminate/` and `POST marketplace-provider-resources/{}/terminate/` (recorded: 312
/// to 314).
pub(super) fn terminate(state: &mut State, call: &Incoming<'_>) -> Outcome {
    let uuid = resources::seen(state, call)?;
    let resource = state.resource(uuid).cloned().ok_or_else(Answer::broken)?;
    if !matches!(resource.state, ResourceState::Ok | ResourceState::Erred) {
        return Err(Answer::wrong_state(&[ResourceState::Ok.as_str(), ResourceState::Erred.as_str()]));
    }
    let fields = call.fields()?;
    let attributes = fields.get("attributes").cloned().unwrap_or_else(|| json!({}));
    refuse_second(state, uuid)?;
    let termination_comment = attributes.get("termination_comment").and_then(Value::as_str).map(str::to_owned);
    let blank = state.blank_order(OrderKind::Terminate, &resource, call.user);
    Ok(made(file(state, Order { plan: None, limits: Map::new(), attributes, termination_comment, ..blank })))
}

fn made(order: OrderUuid) -> Answer {
    Answer::ok(json!({ "order_uuid": order }))
}

fn refuse_second(state: &State, resource: ResourceUuid) -> Result<(), Answer> {
    match state.open_orders(resource).next() {
        Some(_) => Err(Answer::sentence("Pending order for resource already exists.")),
        None => Ok(()),
    }
}

/// Prices the order and keeps it.
fn file(state: &mut State, mut order: Order) -> OrderUuid {
    order.cost = state.cost(&order);
    let uuid = order.uuid;
    state.orders.put(order);
    uuid
}

impl State {
    /// An order without contents. It waits for the provider if its author may approve for the customer or sells the
    /// thing, else for the customer (recorded: 102, 312, 342).
    pub(in crate::testing::waldur) fn blank_order(
        &mut self,
        kind: OrderKind,
        resource: &Resource,
        by: UserUuid,
    ) -> Order {
        let (uuid, created) = (OrderUuid::new(self.uuid()), self.now());
        let customer = self.project(resource.project).map(|project| project.customer);
        let approves = customer.is_some_and(|customer| self.owns(by, customer)) || self.provides_resource(by, resource);
        Order {
            uuid,
            created,
            modified: created,
            completed: None,
            kind,
            state: if approves { OrderState::PendingProvider } else { OrderState::PendingConsumer },
            approval: None,
            offering: resource.offering,
            project: resource.project,
            resource: resource.uuid,
            plan: resource.plan,
            old_plan: None,
            attributes: json!({}),
            limits: Map::new(),
            cost: None,
            backend_id: String::new(),
            subtype: None,
            created_by: by,
            consumer_review: approves.then_some(Review { by, at: created }),
            provider_review: None,
            error_message: String::new(),
            error_traceback: String::new(),
            request_comment: None,
            termination_comment: None,
            provider_message: String::new(),
            provider_message_url: String::new(),
            provider_rejection_comment: String::new(),
        }
    }

    /// A resource as it is before anything was done for it.
    pub(in crate::testing::waldur) fn blank_resource(
        &mut self,
        offering: crate::types::OfferingUuid,
        project: ProjectUuid,
        name: String,
    ) -> Resource {
        let (uuid, created) = (ResourceUuid::new(self.uuid()), self.now());
        Resource {
            uuid,
            created,
            modified: created,
            offering,
            project,
            plan: None,
            slug: self.slug("resource", &name),
            name,
            description: String::new(),
            state: ResourceState::Creating,
            backend_id: String::new(),
            effective_id: String::new(),
            backend_metadata: json!({}),
            attributes: json!({}),
            limits: Map::new(),
            options: Value::Null,
            endpoints: Vec::new(),
            current_usages: Map::new(),
            report: Value::Null,
            cost: None,
            allocation: None,
            end_date: None,
            paused: false,
            downscaled: false,
            restrict_member_access: false,
            error_message: String::new(),
            error_traceback: String::new(),
            last_sync: created,
        }
    }
}

/// What the body of a new order asks for.
struct Wanted {
    offering: Offering,
    project: ProjectUuid,
    plan: Option<PlanUuid>,
    attributes: Value,
    limits: Map<String, Value>,
    comment: Option<String>,
}

impl Wanted {
    fn read(state: &State, call: &Incoming<'_>, fields: &mut Fields) -> Option<Self> {
        let offering =
            fields.required("offering").and_then(|_| fields.link("offering", "marketplace-public-offerings/"));
        let project = fields.required("project").and_then(|_| fields.link("project", "projects/"));
        let plan = if fields.has("plan") { fields.link("plan", "marketplace-public-offerings/") } else { None };
        let limits = if fields.has("limits") { read_limits(fields) } else { Some(Map::new()) };

        let known = offering.and_then(|uuid| state.offerings.get(uuid));
        if offering.is_some() && known.is_none() {
            fields.wrong_link("offering");
        }
        let own = project.and_then(|uuid| state.projects.get(uuid)).filter(|row| state.consumes(call.user, row));
        if project.is_some() && own.is_none() {
            fields.wrong_link("project");
        }
        let plan = plan.map(PlanUuid::new);
        if plan.is_some_and(|plan| known.is_none_or(|offering| offering.plan(plan).is_none())) {
            fields.wrong_link("plan");
        }
        if let (Some(limits), Some(offering)) = (&limits, known) {
            let unknown: Vec<&str> = limits
                .keys()
                .filter(|kind| offering.component(kind).is_none_or(|component| component.billing != Billing::Limit))
                .map(String::as_str)
                .collect();
            if !unknown.is_empty() {
                fields.wrong("limits", format!("Invalid types: {}", unknown.join(", ")));
            }
        }
        let comment = fields.get("request_comment").and_then(Value::as_str).map(str::to_owned);
        let attributes = fields.get("attributes").cloned().unwrap_or_else(|| json!({}));
        Some(Self { offering: known?.clone(), project: own?.uuid, plan, attributes, limits: limits?, comment })
    }

    /// Recorded: 101. The words for too little are the counterpart.
    fn check_limits(&self) -> Result<(), Answer> {
        let all = "non_field_errors";
        for (kind, limit) in &self.limits {
            let (Some(component), Some(limit)) = (self.offering.component(kind), limit.as_i64()) else { continue };
            if let Some(most) = component.max_value.filter(|most| limit > *most) {
                return Err(Answer::field_error(all, &format!("The limit {limit} value cannot be more than {most}.")));
            }
            if let Some(least) = component.min_value.filter(|least| limit < *least) {
                return Err(Answer::field_error(all, &format!("The limit {limit} value cannot be less than {least}.")));
            }
        }
        Ok(())
    }
}

/// Limits are whole numbers (recorded: 099).
fn read_limits(fields: &mut Fields) -> Option<Map<String, Value>> {
    let Some(Value::Object(limits)) = fields.get("limits").cloned() else {
        fields.wrong("limits", "Expected a dictionary of items but got type \"str\".");
        return None;
    };
    let whole = |limit: &Value| limit.is_i64() || limit.as_str().is_some_and(|text| text.parse::<i64>().is_ok());
    let wrong: Map<String, Value> = limits
        .iter()
        .filter(|(_, limit)| !whole(limit))
        .map(|(kind, _)| (kind.clone(), json!(["A valid integer is required."])))
        .collect();
    if wrong.is_empty() {
        return Some(limits);
    }
    fields.wrong_within("limits", wrong.into());
    None
}
