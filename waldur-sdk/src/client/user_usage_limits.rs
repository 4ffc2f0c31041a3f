//! Limits of single users of resources (core.md §1.6 #44): `/api/component-user-usage-limits/`.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};

use super::{answer::explain_newer, list};
use crate::{
    rest::{Pager, RestClient},
    types::{OfferingUuid, Personal, ResourceUuid, UserUuid, Uuid, lenient},
};

/// How much of a component one user of a resource may use.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct UserUsageLimit {
    /// Identifies the entry.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub uuid: Option<Uuid>,
    /// The resource; the server sends its address.
    #[serde(default, deserialize_with = "linked")]
    pub resource: Option<ResourceUuid>,
    /// The component.
    #[serde(default, deserialize_with = "lenient::text")]
    pub component_type: Option<String>,
    /// The user: the user name, or the address of the user in the API, depending on the server.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub user: Option<Personal>,
    /// How much, in Waldur's units.
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub limit: Option<Decimal>,
}

impl UserUsageLimit {
    /// The user's id, where the server sends an address.
    pub fn user_uuid(&self) -> Option<UserUuid> {
        last_segment(self.user.as_ref()?.as_str()).map(UserUuid::new)
    }
}

/// Which entries to list.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct UserUsageLimitQuery {
    /// Only of resources of this offering.
    pub offering: Option<OfferingUuid>,
    /// Only of this resource.
    pub resource: Option<ResourceUuid>,
}

impl UserUsageLimitQuery {
    /// Those of all resources of `offering`.
    pub fn offering(offering: OfferingUuid) -> Self {
        Self { offering: Some(offering), resource: None }
    }

    /// Those of `resource`.
    pub fn resource(resource: ResourceUuid) -> Self {
        Self { offering: None, resource: Some(resource) }
    }
}

/// The calls about limits of single users.
#[derive(Clone, Copy, Debug)]
pub struct UserUsageLimits<'a> {
    rest: &'a RestClient,
}

impl<'a> UserUsageLimits<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists the limits of single users (#44). Since 8.x; a server of 2024 answers `Unsupported`.
    pub fn list(self, query: &UserUsageLimitQuery) -> Pager<UserUsageLimit> {
        let call = self.rest.get("user_usage_limits.list", "/api/component-user-usage-limits/", &[]);
        let call = call.query_opt("offering_uuid", query.offering).query_opt("resource_uuid", query.resource);
        list::bulk(call.secret_answer(), explain_newer, |limit: &UserUsageLimit| match limit.uuid {
            Some(uuid) => uuid.simple().to_string(),
            None => format!("{:?} {:?} {}", limit.resource, limit.component_type, user(limit)),
        })
    }
}

fn user(limit: &UserUsageLimit) -> &str {
    limit.user.as_ref().map_or("", Personal::as_str)
}

/// The id in the address of an object.
fn linked<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<Uuid>,
{
    Ok(lenient::text(deserializer)?.and_then(|address| last_segment(&address)).map(T::from))
}

fn last_segment(address: &str) -> Option<Uuid> {
    let (_, last) = address.trim_end_matches('/').rsplit_once('/')?;
    Uuid::try_parse(last).ok()
}
