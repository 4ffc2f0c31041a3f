//! The list of offerings for their provider: `/api/marketplace-provider-offerings/`.

use super::{Offering, OfferingState, ProviderOfferings, answer::explain, fields, list};
use crate::{rest::Pager, types::CustomerUuid};

/// Which offerings to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OfferingQuery {
    /// Only offerings in one of these states; all when empty.
    pub states: Vec<OfferingState>,
    /// Only offerings of this customer.
    pub customer: Option<CustomerUuid>,
    /// Only offerings with exactly this name.
    pub name: Option<String>,
}

impl OfferingQuery {
    /// Only offerings in one of `states`.
    #[must_use]
    pub fn states(mut self, states: impl IntoIterator<Item = OfferingState>) -> Self {
        self.states = states.into_iter().collect();
        self
    }

    /// Only offerings of `customer`.
    #[must_use]
    pub fn customer(mut self, customer: CustomerUuid) -> Self {
        self.customer = Some(customer);
        self
    }

    /// Only offerings with exactly this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl ProviderOfferings<'_> {
    /// Lists the offerings that this account sells.
    pub fn list(self, query: &OfferingQuery) -> Pager<Offering> {
        let mut call =
            self.rest.get("provider_offerings.list", "/api/marketplace-provider-offerings/", &[]).must_exist();
        for state in &query.states {
            call = call.query("state", state);
        }
        let call = call.query_opt("customer_uuid", query.customer).query_opt("name_exact", query.name.as_ref());
        list::pages(fields::select::<Offering>(call), explain, |offering: &Offering| offering.uuid.hex())
    }
}
