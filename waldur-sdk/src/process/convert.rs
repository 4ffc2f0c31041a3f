//! From the client's records to what a back end is told.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::{
    backend::{Capabilities, Grant, MarketplaceResource, Party},
    client::{OfferingUser, Resource, TeamMember},
    error::{Error, Result},
    types::{Limit, Limits, OfferingUuid, Personal},
};

/// The marketplace's side of a resource.
pub(super) fn marketplace(resource: &Resource, offering: OfferingUuid) -> MarketplaceResource {
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
    side.limits = limits(&resource.limits).unwrap_or_default();
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

/// The name by which a back end knows a member of a team; `None` while there is none.
pub(super) fn key(member: &TeamMember, capabilities: Capabilities) -> Option<&Personal> {
    if capabilities.identity_bridge { member.username.as_ref() } else { member.offering_user_username.as_ref() }
}

/// What a back end is told of a member who is known to it as `key`.
pub(super) fn grant(member: &TeamMember, key: &Personal, account: Option<&OfferingUser>) -> Grant {
    let mut grant = Grant::new(key.as_str());
    grant.cuid.clone_from(&member.username);
    grant.roles = BTreeSet::from_iter(member.role.clone());
    grant.email.clone_from(&member.email);
    grant.full_name.clone_from(&member.full_name);
    if let Some(account) = account {
        grant.attributes.clone_from(&account.attributes);
    }
    grant
}
