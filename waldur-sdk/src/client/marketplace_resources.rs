//! Resources as everybody sees them who uses or sells them (core.md §1.6 #42): `/api/marketplace-resources/`.

use super::{Resource, ResourceQuery, answer::explain, fields, list};
use crate::{
    error::Result,
    rest::{Pager, RestClient},
    types::ResourceUuid,
};

/// The calls about resources for everybody.
#[derive(Clone, Copy, Debug)]
pub struct MarketplaceResources<'a> {
    rest: &'a RestClient,
}

impl<'a> MarketplaceResources<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists resources, oldest first (#42).
    pub fn list(self, query: &ResourceQuery) -> Pager<Resource> {
        let call = query.filters(self.rest.get("marketplace_resources.list", "/api/marketplace-resources/", &[]));
        list::bulk(fields::select::<Resource>(call), explain, |resource: &Resource| resource.uuid.hex())
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none that this account may see.
    pub async fn get(self, resource: ResourceUuid) -> Result<Resource> {
        const PATH: &str = "/api/marketplace-resources/{resource}/";
        let call = self.rest.get("marketplace_resources.get", PATH, &[&resource.hex()]);
        fields::select::<Resource>(call).send_json().await.map_err(explain)
    }
}
