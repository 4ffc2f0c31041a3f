//! Usage of months that are over, loaded by hand (core.md §4.9).

use futures_util::future::join;
use jiff::{ToSpan, civil::Date};

use super::{
    UsageReporter,
    compare::Rules,
    gather::Scope,
    periods::month,
    report::{PeriodUsageReport, ResourceUsageReport},
    run::{Aim, Run},
};
use crate::{
    backend::{OpContext, Period, UsageSource},
    client::{Offering, ResourceQuery, ResourceState, ResourceSummary},
    error::{Error, ErrorKind, Result},
    types::BackendId,
};

/// Months to load, five years at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoricalSpan {
    first: Period,
    last: Period,
}

impl HistoricalSpan {
    /// The months from that of `start` to that of `end`.
    ///
    /// # Errors
    /// `Config` when `end` lies before `start`, or more than five years after it.
    pub fn new(start: Date, end: Date) -> Result<Self> {
        if end < start {
            return Err(Error::config(format!("the end, {end}, lies before the start, {start}")));
        }
        if end > start.saturating_add(5.years()) {
            return Err(Error::config(format!("from {start} to {end} is more than five years")));
        }
        Ok(Self { first: Period::containing(start), last: Period::containing(end) })
    }

    /// The months, oldest first.
    pub fn periods(self) -> impl Iterator<Item = Period> {
        let next = |period: &Period| Some(period.next()).filter(|next| next > period);
        std::iter::successors(Some(self.first), next).take_while(move |period| *period <= self.last)
    }
}

/// Loads usage of the past into Waldur, month by month, and corrects what differs. Amounts may go down.
///
/// ```no_run
/// # async fn example(reporter: waldur_sdk::process::UsageReporter) -> waldur_sdk::Result<()> {
/// use jiff::civil::date;
/// use waldur_sdk::{backend::OpContext, process::{HistoricalLoader, HistoricalSpan}};
///
/// let span = HistoricalSpan::new(date(2025, 1, 1), date(2025, 12, 31))?;
/// let report = HistoricalLoader::new(reporter).run(&OpContext::new("load-usage"), span).await?;
/// println!("{} months", report.months.len());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct HistoricalLoader {
    reporter: UsageReporter,
    staff: bool,
    users: bool,
    reconcile: bool,
    only: Vec<BackendId>,
}

/// What was loaded.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HistoricalReport {
    /// The months that were loaded, oldest first.
    pub months: Vec<HistoricalMonth>,
    /// Back-end ids that were asked for and that no resource of the offering has.
    pub not_found: Vec<BackendId>,
    /// Why months at the end are missing: the caller asked to stop, or what Waldur has could not be read.
    pub stopped: Option<Error>,
    /// Why the listing of resources is not proven whole, if it is not.
    pub listing_gap: Option<Error>,
}

impl HistoricalReport {
    /// Whether nothing failed: all that was asked for was found, listed and read, and each month of it came to a
    /// [good](super::UsageOutcome::is_good) outcome.
    pub fn is_clean(&self) -> bool {
        let good = |period: &PeriodUsageReport| period.outcome.is_good() && period.users.failed.is_none();
        let mut periods = self.months.iter().flat_map(|month| &month.resources).flat_map(|resource| &resource.periods);
        self.not_found.is_empty() && self.stopped.is_none() && self.listing_gap.is_none() && periods.all(good)
    }
}

/// What was loaded of one month.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoricalMonth {
    /// The month.
    pub period: Period,
    /// One entry for each resource, with this month alone, in no particular order.
    pub resources: Vec<ResourceUsageReport>,
}

impl HistoricalLoader {
    /// A loader with the components, the zone and the policy of a reporter, for all resources and their users, in the name
    /// of a member of staff.
    pub fn new(reporter: UsageReporter) -> Self {
        Self { reporter, staff: true, users: true, reconcile: false, only: Vec::new() }
    }

    /// Does not ask whether the account is one of staff (`--no-staff-check`). Waldur lets others report of the past only
    /// what is billed by limit.
    #[must_use]
    pub fn without_staff_check(mut self) -> Self {
        self.staff = false;
        self
    }

    /// Leaves out what each user used (`--skip-user-usage`).
    #[must_use]
    pub fn without_users(mut self) -> Self {
        self.users = false;
        self
    }

    /// Reports zeros, too, and reports 0 for users who are not among those measured (`--reconcile-stale`). Only months
    /// that were measured are corrected: unknown is not zero here either.
    #[must_use]
    pub fn reconciling_stale(mut self) -> Self {
        self.reconcile = true;
        self
    }

    /// Loads only resources with these back-end ids (`--resource-backend-id`).
    #[must_use]
    pub fn only(mut self, ids: impl IntoIterator<Item = BackendId>) -> Self {
        self.only = ids.into_iter().collect();
        self
    }

    /// Loads the months of `span` that have begun, oldest first: one question to the back end for each. Tells its
    /// progress in months, and stops between two when the caller asks it to.
    ///
    /// # Errors
    /// `PermissionDenied` when the account is not one of staff, `Unsupported` when the back end measures nothing, keeps no
    /// history of months that are over, or this Waldur takes no reports of them; otherwise as
    /// [`UsageReporter::run_once`].
    pub async fn run(&self, cx: &OpContext, span: HistoricalSpan) -> Result<HistoricalReport> {
        let reporter = &self.reporter;
        let source = reporter.backend().usage().ok_or_else(|| Error::unsupported("usage"))?;
        reporter.mapping()?;
        let current = month(reporter.environment().now(), &reporter.policy().timezone);
        let periods: Vec<_> = span.periods().take_while(|period| *period <= current).collect();
        let are_over = periods.iter().any(|period| *period < current);
        if are_over && reporter.backend().capabilities().no_history {
            return Err(self.no_history(current));
        }
        self.check_account(cx).await?;
        if are_over && !reporter.takes_past_months(cx).await? {
            return Err(Error::unsupported("a report of a month that is over"));
        }
        let (offering, listing) = join(self.offering(cx), self.resources(cx)).await;
        let (offering, (resources, mut report)) = (offering?, listing?);
        let total = u64::try_from(periods.len()).ok();
        for (period, done) in periods.into_iter().zip(1..) {
            match self.month(cx, source, &offering, &resources, period).await {
                Ok(month) => report.months.push(month),
                Err(error) => {
                    report.stopped = Some(error);
                    break;
                }
            }
            cx.advance("load usage", done, total);
        }
        Ok(report)
    }

    fn no_history(&self, current: Period) -> Error {
        let reporter = &self.reporter;
        let billed = reporter.components().iter().filter(|component| !component.is_fixed());
        let names: Vec<_> = billed.map(|component| component.name.as_str()).collect();
        let text = format!(
            "the back end {} keeps no history: of months that are over nothing can be loaded; of {current} alone, {} can",
            reporter.backend().backend_type(),
            if names.is_empty() { "what is measured".to_owned() } else { names.join(", ") },
        );
        Error::new(ErrorKind::Unsupported, text)
    }

    async fn check_account(&self, cx: &OpContext) -> Result<()> {
        if !self.staff || self.reporter.waldur(cx).users().me().await?.is_staff == Some(true) {
            return Ok(());
        }
        let text = "usage of the past is for staff to load; this account is not of staff";
        Err(Error::new(ErrorKind::PermissionDenied, text))
    }

    async fn offering(&self, cx: &OpContext) -> Result<Offering> {
        self.reporter.waldur(cx).provider_offerings().get(self.reporter.offering()).await
    }

    async fn resources(&self, cx: &OpContext) -> Result<(Vec<ResourceSummary>, HistoricalReport)> {
        use ResourceState as S;
        let states = [S::Ok, S::Updating, S::Terminating, S::Erred];
        let query = ResourceQuery::offering(self.reporter.offering()).states(states);
        let listing = self.reporter.summaries(&self.reporter.waldur(cx), &query).collect().await?;
        let (mut resources, _, listing_gap) = listing.into_parts();
        let has = |id: &BackendId| resources.iter().any(|resource| resource.backend_id.as_ref() == Some(id));
        let not_found = self.only.iter().filter(|id| !has(id)).cloned().collect();
        resources.retain(|resource| match &resource.backend_id {
            Some(id) => self.only.is_empty() || self.only.contains(id),
            None => false,
        });
        Ok((resources, HistoricalReport { not_found, listing_gap, ..HistoricalReport::default() }))
    }

    async fn month(
        &self,
        cx: &OpContext,
        source: &dyn UsageSource,
        offering: &Offering,
        resources: &[ResourceSummary],
        period: Period,
    ) -> Result<HistoricalMonth> {
        cx.checkpoint()?;
        let reporter = &self.reporter;
        let aim = Aim {
            rules: Rules { decreasing: true, omit: false, vanishing: false },
            while_month: None,
            zero_stale_users: self.reconcile && self.users,
            positive_only: !self.reconcile,
            users: self.users,
        };
        let months = reporter.months(cx, Scope::Offering, &[period]).await;
        if let Some(Err(error)) = months.get(&period) {
            return Err(error.clone());
        }
        let mut run = Run::new(aim, vec![period], reporter.mapping()?, offering, months, reporter.breaker());
        reporter.measure(cx, source, Scope::Offering, resources, &mut run).await;
        let resources = reporter.report_all(cx, &run, resources.to_vec()).await;
        Ok(HistoricalMonth { period, resources })
    }
}
