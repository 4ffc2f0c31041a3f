//! Usage, as [`UsageReporter`] says.

mod compare;
mod gather;
mod history;
mod memory;
mod periods;
mod plans;
mod policy;
mod report;
mod run;
mod server;
mod sold;
mod submit;
mod users;

use std::sync::Arc;

pub use history::{HistoricalLoader, HistoricalMonth, HistoricalReport, HistoricalSpan};
pub use policy::UsagePolicy;
pub use report::{Decrease, PeriodUsageReport, ResourceUsageReport, UsageOutcome, UsageRunReport, UsersReport};

use self::{memory::Memory, server::Server};
use super::{ServedOffering, served::processor};
use crate::{
    backend::OpContext,
    error::Result,
    rest::{Breaker, Environment},
    settings::{ComponentMapping, Components},
};

/// Reports the usage of one [offering](ServedOffering)'s resources. Cheap to clone; clones share what they remember between
/// runs: refusals, plans, and how long a resource could not be measured.
///
/// ```no_run
/// # async fn example(waldur: waldur_sdk::client::WaldurClient, backend: std::sync::Arc<dyn waldur_sdk::backend::ResourceBackend>, offering: waldur_sdk::types::OfferingUuid) -> waldur_sdk::Result<()> {
/// use waldur_sdk::{backend::OpContext, process::UsageReporter};
///
/// let reporter = UsageReporter::new(waldur, backend, offering);
/// let report = reporter.run_once(&OpContext::new("report")).await?;
/// for resource in &report.resources {
///     for month in &resource.periods {
///         println!("{} {}: {}", resource.resource_name, month.period, month.outcome);
///     }
/// }
/// # Ok(()) }
/// ```
///
/// Usage: from what the back end measured to what Waldur bills (core.md §4).
///
/// `list → measure → compare → submit → share out`: what Waldur has already is not sent again. So a run that finds
/// nothing new writes nothing, and any run may be repeated.
///
/// | what the back end says of a resource | what Waldur is told |
/// |---|---|
/// | [`Measured`](crate::backend::Usage::Measured), also zero | that, if it differs from what Waldur has |
/// | [`NotYet`](crate::backend::Usage::NotYet), [`Unreadable`](crate::backend::Usage::Unreadable), no answer | nothing |
/// | a negative amount | nothing: that is no measurement |
/// | anything, if several resources have its id | nothing: nobody knows whose usage it is |
/// | of a component: nothing | nothing of that component |
/// | less than Waldur has, and it may not be less | nothing of that month, or nothing of that component |
///
/// Amounts are rounded once, to two decimals and half to even, before they are compared and sent. Months begin and end
/// in the zone of the [`UsagePolicy`]; Waldur counts in UTC, so each report carries an instant that lies in its month
/// in both zones.
///
/// Resources that did not change cost no calls of their own.
///
/// | call | how often |
/// |---|---|
/// | the offering; the listing of resources | once in a run |
/// | the listing of usage; the question to the back end | once for each month |
/// | the listing of accounts, and of users' shares, if the back end tells users apart | once; once for each month |
/// | the report | once for each resource that changed |
/// | the plans that a resource was on | with its first change of a month |
#[derive(Clone)]
pub struct UsageReporter(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    served: ServedOffering,
    policy: UsagePolicy,
    memory: Arc<Memory>,
    server: Arc<Server>,
}

processor!(UsageReporter, UsagePolicy, Report, "usage", [memory, server]);

impl UsageReporter {
    /// How the offering's components stand for those of the back end.
    ///
    /// # Errors
    /// `Config` when usage could not be told apart: see [`ComponentMapping::new`]. Every run ends with the same; a program
    /// that wants to say so when it starts asks here.
    pub fn mapping(&self) -> Result<ComponentMapping> {
        ComponentMapping::new(&self.0.served.components)
    }

    fn components(&self) -> &Components {
        &self.0.served.components
    }

    /// What one run's calls to Waldur stop by.
    fn breaker(&self) -> Breaker {
        Breaker::new(self.policy().concurrency.max(1).saturating_mul(2), self.environment().clone())
    }

    fn environment(&self) -> &Environment {
        self.0.served.waldur.environment()
    }

    fn memory(&self) -> &Memory {
        &self.0.memory
    }

    fn server(&self) -> &Server {
        &self.0.server
    }
}
