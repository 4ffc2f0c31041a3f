//! Service providers and what they may see (core.md §1.6 #4, #5): `/api/marketplace-service-providers/`.

use serde::Deserialize;

use super::{answer::explain, fields, list};
use crate::{
    error::Result,
    rest::{Pager, RestClient},
    types::{CustomerUuid, Personal, ServiceProviderUuid, SshKeyUuid, UserUuid, lenient},
};

/// A service provider: a customer in its part as a seller.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ServiceProvider {
    /// Identifies the service provider.
    pub uuid: ServiceProviderUuid,
    /// The customer that it is.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub customer_uuid: Option<CustomerUuid>,
    /// The name of that customer.
    #[serde(default, deserialize_with = "lenient::text")]
    pub customer_name: Option<String>,
}

/// The public half of a user's SSH key.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct SshKey {
    /// Identifies the key; what an order's attributes name.
    pub uuid: SshKeyUuid,
    /// The key as in `authorized_keys`, comment included, which mostly says whose it is.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub public_key: Option<Personal>,
    /// The user whose key it is.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub user_uuid: Option<UserUuid>,
}

/// The calls about service providers.
#[derive(Clone, Copy, Debug)]
pub struct ServiceProviders<'a> {
    pub(super) rest: &'a RestClient,
}

impl<'a> ServiceProviders<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Finds the service provider that `customer` is (#4); `None` when it is none.
    ///
    /// # Errors
    /// As every call.
    pub async fn for_customer(self, customer: CustomerUuid) -> Result<Option<ServiceProvider>> {
        const OPERATION: &str = "service_providers.for_customer";
        let call =
            self.rest.get(OPERATION, "/api/marketplace-service-providers/", &[]).query("customer_uuid", customer);
        let call = fields::select::<ServiceProvider>(call);
        let mut pager = list::pages(call, explain, |provider: &ServiceProvider| provider.uuid.hex());
        while let Some(page) = pager.next_page().await? {
            if let Some(bad) = page.bad.into_iter().next() {
                return Err(bad.error);
            }
            // A filter that the server does not know is ignored, so what came is looked at.
            let ours = |provider: &ServiceProvider| provider.customer_uuid.is_none_or(|uuid| uuid == customer);
            if let Some(provider) = page.items.into_iter().find(ours) {
                return Ok(Some(provider));
            }
        }
        Ok(None)
    }

    /// Lists the SSH keys of the users of the provider's resources (#5).
    pub fn keys(self, provider: ServiceProviderUuid) -> Pager<SshKey> {
        const PATH: &str = "/api/marketplace-service-providers/{service_provider}/keys/";
        let call = self.rest.get("service_providers.keys", PATH, &[&provider.hex()]);
        list::pages(fields::select::<SshKey>(call), explain, |key: &SshKey| key.uuid.hex())
    }
}
