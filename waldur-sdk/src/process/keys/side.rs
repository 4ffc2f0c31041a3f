//! From Waldur's record of a resource to what a back end is told of it.

use crate::{
    backend::{MarketplaceResource, Party},
    client::Resource,
    types::OfferingUuid,
};

/// The marketplace's side of a resource.
pub(in crate::process) fn marketplace(resource: &Resource, offering: OfferingUuid) -> MarketplaceResource {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let offering = resource.offering_uuid.unwrap_or(offering);
    let mut side = MarketplaceResource::new(resource.uuid, offering, text(&resource.name), text(&resource.slug));
    side.project =
        Party { uuid: resource.project_uuid, name: text(&resource.project_name), slug: text(&resource.project_slug) };
    side.customer = Party {
        uuid: resource.customer_uuid,
        name: text(&resource.customer_name),
        slug: text(&resource.customer_slug),
    };
    side.attributes.clone_from(&resource.attributes);
    side.options.clone_from(&resource.options);
    side.plugin_options.clone_from(&resource.offering_plugin_options);
    side.plan = resource.plan_uuid;
    side.created = resource.created;
    side.end_date = resource.end_date;
    side.metadata.clone_from(&resource.backend_metadata);
    side
}
