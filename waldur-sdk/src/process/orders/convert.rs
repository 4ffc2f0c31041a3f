//! From an order to what a back end is asked.

use serde_json::Value;

use crate::{
    backend::{MarketplaceResource, PendingOrder},
    client::{Order, Resource},
    process::convert,
    types::{JsonObject, Limit, OfferingUuid},
};

pub(super) use convert::limits;

/// The marketplace's side of a resource. Attributes of the order lie over those of the resource.
pub(super) fn marketplace(resource: &Resource, order: &Order, offering: OfferingUuid) -> MarketplaceResource {
    let mut side = convert::marketplace(resource, offering);
    let or_of_order = |ours: &mut String, theirs: &Option<String>| {
        if let (true, Some(theirs)) = (ours.is_empty(), theirs) {
            ours.clone_from(theirs);
        }
    };
    or_of_order(&mut side.name, &order.resource_name);
    or_of_order(&mut side.project.name, &order.project_name);
    or_of_order(&mut side.project.slug, &order.project_slug);
    or_of_order(&mut side.customer.name, &order.customer_name);
    or_of_order(&mut side.customer.slug, &order.customer_slug);
    side.project.uuid = side.project.uuid.or(order.project_uuid);
    side.customer.uuid = side.customer.uuid.or(order.customer_uuid);
    side.attributes.extend(order.attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
    side
}

/// The options before and after, of an Update order that changes options: `old_options` and `new_options` among its
/// attributes.
pub(super) fn option_change(order: &Order, resource: &Resource) -> Option<(JsonObject, JsonObject)> {
    let new = order.attributes.get("new_options")?.as_object()?.clone().into();
    let old = order
        .attributes
        .get("old_options")
        .and_then(Value::as_object)
        .map_or_else(|| resource.options.clone(), |old| old.clone().into());
    Some((old, new))
}

/// What the back end is told of an order that waits for the provider's word. A limit that makes no sense is left out:
/// provisioning refuses it, with its own words.
pub(super) fn pending_order(order: &Order) -> PendingOrder {
    let name = order.resource_name.clone().unwrap_or_default();
    let mut pending = PendingOrder::new(order.uuid, order.kind.clone(), name);
    pending.attributes.clone_from(&order.attributes);
    pending.limits = order
        .limits
        .iter()
        .filter_map(|(component, amount)| Some((component.clone(), Limit::from_waldur(component, *amount).ok()?)))
        .collect();
    pending
}
