//! Policies about usage within a period (core.md §1.6 #71): `/api/marketplace-slurm-periodic-usage-policies/`. Since
//! 8.x.

use serde::Serialize;

use super::answer::explain_newer;
use crate::{
    error::Result,
    rest::RestClient,
    types::{PeriodicUsagePolicyUuid, ResourceUuid},
};

/// What became of the wish to apply limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CommandResult {
    resource_uuid: ResourceUuid,
    success: bool,
    error_message: String,
    commands_executed: Vec<String>,
}

impl CommandResult {
    /// The limits hold.
    pub fn success(resource: ResourceUuid) -> Self {
        Self { resource_uuid: resource, success: true, error_message: String::new(), commands_executed: Vec::new() }
    }

    /// The limits do not hold, and why.
    pub fn failure(resource: ResourceUuid, message: impl Into<String>) -> Self {
        Self { success: false, error_message: message.into(), ..Self::success(resource) }
    }

    /// Adds what was done, in the words of the back end.
    #[must_use]
    pub fn commands(mut self, commands: impl IntoIterator<Item = String>) -> Self {
        self.commands_executed = commands.into_iter().collect();
        self
    }
}

/// The calls about policies of usage.
#[derive(Clone, Copy, Debug)]
pub struct PeriodicUsagePolicies<'a> {
    rest: &'a RestClient,
}

impl<'a> PeriodicUsagePolicies<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Reports what became of the wish to apply limits (#71). Never repeated by itself: each report is one line of the
    /// policy's history.
    ///
    /// # Errors
    /// `NotFound` when there is no such policy.
    pub async fn report_command_result(self, policy: PeriodicUsagePolicyUuid, result: &CommandResult) -> Result<()> {
        const PATH: &str = "/api/marketplace-slurm-periodic-usage-policies/{policy}/report-command-result/";
        let call = self.rest.post("policies.report_command_result", PATH, &[&policy.hex()]).json(result);
        call.send_unit().await.map_err(explain_newer)
    }
}
