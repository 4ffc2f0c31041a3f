//! How usage is reported: the knobs of the settings file that the processor itself obeys.

use jiff::tz::TimeZone;

use crate::{
    process::retry::within_a_pass,
    rest::RetryPolicy,
    settings::{AgentSettings, OfferingSettings},
};

/// The knobs of a [`UsageReporter`](super::UsageReporter). The defaults are the Python agent's where it has them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UsagePolicy {
    /// How many months each run covers, the current one included (`reporting_periods`): 1 to 12, default 2. Other
    /// numbers count as the nearest of these.
    pub reporting_periods: u8,
    /// The zone in which months begin and end (`timezone`). Default UTC.
    pub timezone: TimeZone,
    /// What to do when an amount is less than what Waldur has already, and may not go down
    /// ([`decreasing_usage`](crate::backend::Capabilities::decreasing_usage)). Yes: leave that component out and report
    /// the others. No: report nothing of that month (`omit_anomalous_usage_components`). Default no.
    pub omit_anomalous_components: bool,
    /// Report what each user used, where the back end can tell. Default yes.
    pub per_user: bool,
    /// Read on which plans a resource was, before this process changes an amount of a month for the first time, and
    /// again when the plan has changed. Each reading costs one call. Default yes.
    ///
    /// - Without it, a change of plan is noticed one report late, and that report is too high by what was used before
    ///   the change.
    /// - With it, if the account may not read the plans of a resource, amounts that an earlier process reported are not
    ///   changed: nobody could tell whether they would be billed twice.
    pub watch_plan_changes: bool,
    /// Resources in flight at once. Default 8.
    pub concurrency: usize,
    /// Months that the back end is asked about at once. Default 4.
    pub backend_concurrency: usize,
    /// How often and how long a transient failure is tried again: 10 times, with pauses from 1 s doubling to at most 15
    /// s, with jitter. The 60 s begin with the first failure of an unbroken series, whichever resources it is about.
    pub retry: RetryPolicy,
    /// Say what would be reported, and report nothing. Default no.
    pub dry_run: bool,
}

impl Default for UsagePolicy {
    fn default() -> Self {
        Self {
            reporting_periods: 2,
            timezone: TimeZone::UTC,
            omit_anomalous_components: false,
            per_user: true,
            watch_plan_changes: true,
            concurrency: 8,
            backend_concurrency: 4,
            retry: within_a_pass(),
            dry_run: false,
        }
    }
}

impl UsagePolicy {
    /// What the settings file says, and the defaults for everything that it does not know.
    pub fn from_settings(agent: &AgentSettings, offering: &OfferingSettings) -> Self {
        Self {
            reporting_periods: agent.reporting_periods,
            timezone: agent.timezone.clone(),
            omit_anomalous_components: offering.omit_anomalous_usage_components,
            ..Self::default()
        }
    }
}
