//! Components of offerings, written (core.md §1.6 #70): below `/api/marketplace-provider-offerings/{uuid}/`.

use serde::Serialize;

use super::{ProviderOfferings, answer::explain};
use crate::{
    error::Result,
    types::{BillingType, ComponentUuid, LimitPeriod, OfferingUuid},
};

/// A component as it shall be. What is `None` is not sent, but for the limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ComponentDefinition {
    /// Its key in limits, quotas and usage.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it is paid for.
    pub billing_type: BillingType,
    /// Its name, for people.
    pub name: String,
    /// Its unit, for people.
    pub measured_unit: String,
    /// The most that a resource may use in a period; `None` for no such limit.
    pub limit_amount: Option<i64>,
    /// That period. A server may forget the one that it has when none is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_period: Option<LimitPeriod>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its number in the books.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub article_code: Option<String>,
    /// The least that may be ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_value: Option<i64>,
    /// The most that may be ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_value: Option<i64>,
    /// The most that all resources together may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_available_limit: Option<i64>,
    /// What is ordered unless somebody says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_limit: Option<i64>,
    /// Whether it can only be had or not had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_boolean: Option<bool>,
    /// Whether its limit is paid in advance, since 8.x.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_prepaid: Option<bool>,
    /// The least number of months that are paid in advance, since 8.x.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_prepaid_duration: Option<u32>,
    /// The largest number of months that are paid in advance, since 8.x.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_prepaid_duration: Option<u32>,
    /// By how many months that number goes up. Servers that do not know it, as 8.0.5, take no notice of it; so with the
    /// next three.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepaid_duration_step: Option<u32>,
    /// The least number of months of a renewal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_renewal_duration: Option<u32>,
    /// The largest number of months of a renewal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_renewal_duration: Option<u32>,
    /// By how many months that number goes up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewal_duration_step: Option<u32>,
}

impl ComponentDefinition {
    /// A component with nothing but what it must have.
    pub fn new(
        kind: impl Into<String>,
        billing_type: BillingType,
        name: impl Into<String>,
        measured_unit: impl Into<String>,
    ) -> Self {
        Self {
            kind: kind.into(),
            billing_type,
            name: name.into(),
            measured_unit: measured_unit.into(),
            limit_amount: None,
            limit_period: None,
            description: None,
            article_code: None,
            min_value: None,
            max_value: None,
            max_available_limit: None,
            default_limit: None,
            is_boolean: None,
            is_prepaid: None,
            min_prepaid_duration: None,
            max_prepaid_duration: None,
            prepaid_duration_step: None,
            min_renewal_duration: None,
            max_renewal_duration: None,
            renewal_duration_step: None,
        }
    }
}

impl ProviderOfferings<'_> {
    /// Adds a component to an offering (#70). Never repeated by itself: a server of 2024 breaks at the second time
    /// (recorded: 054_component_create_dup).
    ///
    /// # Errors
    /// As every call.
    pub async fn create_component(self, offering: OfferingUuid, component: &ComponentDefinition) -> Result<()> {
        const PATH: &str = "/api/marketplace-provider-offerings/{offering}/create_offering_component/";
        let call = self.rest.post("provider_offerings.create_component", PATH, &[&offering.hex()]);
        call.json(component).send_unit().await.map_err(explain)
    }

    /// Replaces a component of an offering (#70).
    ///
    /// # Errors
    /// `NotFound` when the offering has no such component (recorded: 061_component_update_404).
    pub async fn update_component(
        self,
        offering: OfferingUuid,
        uuid: ComponentUuid,
        component: &ComponentDefinition,
    ) -> Result<()> {
        #[derive(Serialize)]
        struct Update<'a> {
            uuid: ComponentUuid,
            #[serde(flatten)]
            component: &'a ComponentDefinition,
        }
        const PATH: &str = "/api/marketplace-provider-offerings/{offering}/update_offering_component/";
        let call = self.rest.post("provider_offerings.update_component", PATH, &[&offering.hex()]);
        call.json(&Update { uuid, component }).idempotent().send_unit().await.map_err(explain)
    }
}
