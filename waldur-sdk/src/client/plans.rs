//! Plans of offerings (core.md §1.6 #8): `/api/marketplace-plans/`.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;

use super::answer::explain;
use crate::{
    error::Result,
    rest::RestClient,
    types::{PlanUuid, lenient},
};

/// A plan: one way to pay for an offering.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// Identifies the plan.
    pub uuid: PlanUuid,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// What the plan includes, by component, in Waldur's units. Components that it says nothing about are 0
    /// (recorded: 051_plan_retrieve).
    #[serde(default, deserialize_with = "lenient::decimals")]
    pub quotas: BTreeMap<String, Decimal>,
}

/// The calls about plans.
#[derive(Clone, Copy, Debug)]
pub struct Plans<'a> {
    rest: &'a RestClient,
}

impl<'a> Plans<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Reads a plan (#8).
    ///
    /// # Errors
    /// `NotFound` when there is none, or none that this account may see.
    pub async fn get(self, plan: PlanUuid) -> Result<Plan> {
        let call = self.rest.get("plans.get", "/api/marketplace-plans/{plan}/", &[&plan.hex()]);
        call.send_json().await.map_err(explain)
    }
}
