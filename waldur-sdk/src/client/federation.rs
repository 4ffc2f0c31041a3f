//! What a back end that is itself a Waldur passes on about resources (core.md §1.6 #41). Since 8.x, and not in the
//! published schema of 8.0.5.

use jiff::civil::Date;
use serde::Serialize;

use super::{ProviderResources, answer::explain_newer};
use crate::{error::Result, types::ResourceUuid};

impl ProviderResources<'_> {
    /// Writes the id of the resource on the system behind the back end (#41).
    ///
    /// # Errors
    /// `Unsupported` on servers that do not have it.
    pub async fn set_effective_id(self, resource: ResourceUuid, effective_id: &str) -> Result<()> {
        #[derive(Serialize)]
        struct Name<'a> {
            effective_id: &'a str,
        }
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/set_effective_id/";
        let call = self.rest.post("provider_resources.set_effective_id", PATH, &[&resource.hex()]);
        call.json(&Name { effective_id }).idempotent().send_unit().await.map_err(explain_newer)
    }

    /// Writes the last day of the resource; `None` takes it away (#41).
    ///
    /// # Errors
    /// `Unsupported` on servers that do not have it.
    pub async fn set_end_date(self, resource: ResourceUuid, end_date: Option<Date>) -> Result<()> {
        #[derive(Serialize)]
        struct End {
            end_date: Option<Date>,
        }
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/set_end_date/";
        let call = self.rest.post("provider_resources.set_end_date", PATH, &[&resource.hex()]).json(&End { end_date });
        call.idempotent().send_unit().await.map_err(explain_newer)
    }
}
