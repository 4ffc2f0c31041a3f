//! From the client's records to what a back end is asked.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;

use crate::{
    backend::{MarketplaceResource, Party, PendingOrder},
    client::{Order, Resource},
    error::{Error, Result},
    types::{JsonObject, Limit, Limits, OfferingUuid},
};

/// The marketplace's side of a resource. Attributes of the order lie over those of the resource.
pub(super) fn marketplace(resource: &Resource, order: &Order, offering: OfferingUuid) -> MarketplaceResource {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let first = |a: &Option<String>, b: &Option<String>| a.clone().or_else(|| b.clone()).unwrap_or_default();
    let mut side = MarketplaceResource::new(
        resource.uuid,
        resource.offering_uuid.unwrap_or(offering),
        first(&resource.name, &order.resource_name),
        text(&resource.slug),
    );
    side.project = Party {
        uuid: resource.project_uuid.or(order.project_uuid),
        name: first(&resource.project_name, &order.project_name),
        slug: first(&resource.project_slug, &order.project_slug),
    };
    side.customer = Party {
        uuid: resource.customer_uuid.or(order.customer_uuid),
        name: first(&resource.customer_name, &order.customer_name),
        slug: first(&resource.customer_slug, &order.customer_slug),
    };
    side.attributes.clone_from(&resource.attributes);
    side.attributes.extend(order.attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
    side.options.clone_from(&resource.options);
    side.plugin_options.clone_from(&resource.offering_plugin_options);
    side.plan = resource.plan_uuid;
    side.created = resource.created;
    side.end_date = resource.end_date;
    side.metadata.clone_from(&resource.backend_metadata);
    side
}

/// Reads a limits map.
///
/// # Errors
/// For a negative number other than -1; the text is for the customer.
pub(super) fn limits(map: &BTreeMap<String, Decimal>) -> Result<Limits> {
    map.iter()
        .map(|(component, amount)| {
            Limit::from_waldur(component, *amount).map(|limit| (component.clone(), limit)).map_err(Error::for_customer)
        })
        .collect()
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
