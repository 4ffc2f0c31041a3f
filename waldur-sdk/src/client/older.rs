//! What servers of 2024 have in place of newer calls: the API of the plug-in that their site agents' offerings use
//! (`/api/marketplace-slurm-remote/`).

use super::{Feature, ProviderResources, WaldurClient, answer::explain, resources::whole_numbers};
use crate::{
    error::{ErrorKind, Result},
    types::{Limits, ResourceUuid},
};

impl ProviderResources<'_> {
    /// Replaces the limits without an order, as [`set_limits`](Self::set_limits) does on newer servers (recorded:
    /// 181_slurm_set_limits).
    ///
    /// # Errors
    /// `NotFound` when the resource's offering is of another kind, or no order of it was ever approved (recorded:
    /// 187_slurm_resource_without_allocation).
    pub async fn set_limits_of_allocation(self, resource: ResourceUuid, limits: &Limits) -> Result<()> {
        const OPERATION: &str = "provider_resources.set_limits_of_allocation";
        const PATH: &str = "/api/marketplace-slurm-remote/{resource}/set_limits/";
        let limits = whole_numbers(limits).map_err(|error| error.with_operation(OPERATION))?;
        let call = self.rest.post(OPERATION, PATH, &[&resource.hex()]).json(&limits);
        call.idempotent().send_unit().await.map_err(explain)
    }
}

impl WaldurClient {
    /// Replaces the limits of a resource without an order, the way that the server knows: the newer one until it says
    /// that it does not have it, the older one from then on.
    ///
    /// # Errors
    /// As [`ProviderResources::set_limits`]. `Unsupported` when the server has neither for this resource.
    pub async fn publish_limits(&self, resource: ResourceUuid, limits: &Limits) -> Result<()> {
        let resources = self.provider_resources();
        let refusal = if self.features().is_missing(Feature::SetLimits) {
            None
        } else {
            match resources.set_limits(resource, limits).await {
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    self.features().note(&error);
                    Some(error)
                }
                outcome => return outcome,
            }
        };
        match resources.set_limits_of_allocation(resource, limits).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(refusal.unwrap_or_else(|| error.with_kind(ErrorKind::Unsupported)))
            }
            outcome => outcome,
        }
    }
}
