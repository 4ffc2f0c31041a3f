//! The run: read what both sides have, then each resource, its months from the oldest to the newest.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures_util::{StreamExt, future::join3, stream};

use super::{
    UsageReporter,
    compare::{Rules, Stored, decide},
    gather::{Month, People, Scope},
    periods::{Placement, month, place, window},
    report::{PeriodUsageReport, ResourceUsageReport, UsageOutcome, UsageRunReport, UsersReport},
    sold::{Billing, Sold},
    submit::{Sending, Sent},
};
use crate::{
    backend::{OpContext, Period, Stamp, Usage, UsageReport, UsageSource},
    client::{Offering, ResourceQuery, ResourceState, ResourceSummary, WaldurClient},
    error::{Error, ErrorKind, Result},
    process::{failure::shielded, retry},
    rest::{Breaker, Pager},
    settings::ComponentMapping,
    types::{Amounts, BackendId, ResourceUuid, Timestamp},
};

/// Everything that a run knows before it begins to write. Some of it names people, so nothing here can be printed.
pub(super) struct Run {
    aim: Aim,
    pub(super) periods: Vec<Period>,
    billing: Billing,
    mapping: ComponentMapping,
    months: BTreeMap<Period, Result<Month>>,
    measured: BTreeMap<Period, Result<BTreeMap<BackendId, Usage>>>,
    /// Ids that several resources have: what was measured of one would be billed to each.
    shared: HashSet<BackendId>,
    people: Result<People>,
    trouble: Trouble,
    /// What reports stop by: a Waldur that takes none may well be read.
    reports: Breaker,
}

/// One month of a resource, and what of it can be billed.
#[derive(Clone, Copy)]
struct Job<'a> {
    run: &'a Run,
    resource: &'a ResourceSummary,
    period: Period,
    sold: &'a Sold,
}

/// What a run is after.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    pub(super) rules: Rules,
    /// The month in which the run began, if nothing may be reported after it.
    pub(super) while_month: Option<Period>,
    /// Report users whom nothing was measured of as having used nothing.
    pub(super) zero_stale_users: bool,
    /// Amounts of nothing are not reported.
    pub(super) positive_only: bool,
    pub(super) users: bool,
}

/// When Waldur began to fail, if it has not answered since.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<Instant>>);

impl Trouble {
    fn since(&self, now: Instant) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(now)
    }

    pub(super) fn over(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl UsageReporter {
    /// Reports the usage of all resources in use, several at once.
    ///
    /// # Errors
    /// When resources or components cannot be listed, or as [`Self::mapping`]. What happens to a resource is in the report
    /// and stops no other.
    pub async fn run_once(&self, cx: &OpContext) -> Result<UsageRunReport> {
        let Some(source) = self.backend().usage() else {
            return Ok(UsageRunReport { no_source: true, ..UsageRunReport::default() });
        };
        let mapping = self.mapping()?;
        let (aim, periods) = self.begin();
        let cx = &cx.with_waldur_breaker(self.breaker());
        cx.step("list");
        let waldur = self.waldur(cx);
        let query = ResourceQuery::offering(self.offering()).states([ResourceState::Ok, ResourceState::Erred]);
        let (listing, offering, months) = join3(
            self.summaries(&waldur, &query).collect(),
            waldur.provider_offerings().get(self.offering()),
            self.months(cx, Scope::Offering, &periods),
        )
        .await;
        let (mut resources, unreadable, listing_gap) = listing?.into_parts();
        // Of a process that lives for one run only it are not to be the same ones each time that a deadline leaves over.
        let start = self.environment().below(resources.len());
        resources.rotate_left(start);
        self.memory().begin(&mut resources);
        let mut run = Run::new(aim, periods, mapping, &offering?, months, self.breaker());
        self.measure(cx, source, Scope::Offering, &resources, &mut run).await;
        let seen: HashSet<_> = resources.iter().map(|resource| resource.uuid).collect();
        let resources = self.report_all(cx, &run, resources).await;
        if let Some(oldest) = run.periods.first() {
            self.memory().forget(listing_gap.is_none().then_some(&seen), *oldest);
        }
        Ok(UsageRunReport { no_source: false, periods: run.periods, resources, unreadable, listing_gap })
    }

    /// Reports the usage of one resource.
    ///
    /// # Errors
    /// When the resource or the offering's components cannot be read, when the resource is of another offering, or as
    /// [`Self::mapping`]; `Unsupported` when the back end measures nothing.
    pub async fn report_resource(&self, cx: &OpContext, resource: ResourceUuid) -> Result<ResourceUsageReport> {
        let source = self.backend().usage().ok_or_else(|| Error::unsupported("usage"))?;
        let mapping = self.mapping()?;
        let (aim, periods) = self.begin();
        let scope = Scope::Resource(resource);
        let waldur = self.waldur(cx);
        let row = async {
            let resources = waldur.provider_resources();
            let ids = self.backend().capabilities().published_ids;
            if ids { resources.identified_one(resource).await } else { resources.summary(resource).await }
        };
        let (row, offering, months) =
            join3(row, waldur.provider_offerings().get(self.offering()), self.months(cx, scope, &periods)).await;
        let row = row?;
        if row.offering_uuid.is_some_and(|offering| offering != self.offering()) {
            let text = format!("resource {resource} is of another offering");
            return Err(Error::new(ErrorKind::InvalidRequest, text));
        }
        let mut run = Run::new(aim, periods, mapping, &offering?, months, self.breaker());
        let mut rows = self.namesakes(cx, &row).await?;
        rows.push(row.clone());
        self.measure(cx, source, scope, &rows, &mut run).await;
        Ok(self.report(cx, &run, row).await)
    }

    /// Resources in few words: with the ids that are published about them, where the back end goes by these.
    pub(super) fn summaries(&self, waldur: &WaldurClient, query: &ResourceQuery) -> Pager<ResourceSummary> {
        let resources = waldur.provider_resources();
        if self.backend().capabilities().published_ids {
            resources.identified(query)
        } else {
            resources.summaries(query)
        }
    }

    /// Other resources in use with the same back-end id.
    async fn namesakes(&self, cx: &OpContext, row: &ResourceSummary) -> Result<Vec<ResourceSummary>> {
        let Some(id) = &row.backend_id else { return Ok(Vec::new()) };
        let query = ResourceQuery::offering(self.offering()).states([ResourceState::Ok, ResourceState::Erred]);
        let listing = self.waldur(cx).provider_resources().summaries(&query.backend_id(id.clone())).collect().await?;
        let mut rows = listing.into_items();
        rows.retain(|other| other.uuid != row.uuid && other.backend_id == row.backend_id);
        Ok(rows)
    }

    fn begin(&self) -> (Aim, Vec<Period>) {
        let policy = self.policy();
        let current = month(self.environment().now(), &policy.timezone);
        let decreasing = self.backend().capabilities().decreasing_usage;
        let aim = Aim {
            rules: Rules { decreasing, omit: policy.omit_anomalous_components, vanishing: true },
            while_month: Some(current),
            zero_stale_users: false,
            positive_only: false,
            users: policy.per_user,
        };
        (aim, window(current, policy.reporting_periods))
    }

    /// Measures, one question for each month, and looks up the users if any were told apart.
    pub(super) async fn measure(
        &self,
        cx: &OpContext,
        source: &dyn UsageSource,
        scope: Scope,
        resources: &[ResourceSummary],
        run: &mut Run,
    ) {
        cx.step("measure");
        let mut ids: Vec<_> = resources.iter().filter_map(|resource| resource.backend_id.clone()).collect();
        ids.sort_unstable();
        run.shared =
            ids.iter().zip(ids.iter().skip(1)).filter(|(id, next)| id == next).map(|(id, _)| id.clone()).collect();
        ids.dedup();
        ids.retain(|id| !run.shared.contains(id));
        if ids.is_empty() {
            return;
        }
        let ids = ids.as_slice();
        let periods = run.periods.iter();
        let ask = |period: &Period| {
            let period = *period;
            async move { (period, shielded(async { Ok(source.usage(cx, ids, period).await) }).await) }
        };
        let questions: Vec<_> = periods.map(ask).collect();
        let questions = stream::iter(questions).buffer_unordered(self.policy().backend_concurrency.max(1));
        run.measured = questions.collect().await;
        if run.aim.users {
            let periods = run.periods_with_users();
            run.people = self.people(cx, scope, &periods).await;
        }
    }

    pub(super) async fn report_all(
        &self,
        cx: &OpContext,
        run: &Run,
        resources: Vec<ResourceSummary>,
    ) -> Vec<ResourceUsageReport> {
        let (done, total) = (AtomicU64::new(0), u64::try_from(resources.len()).ok());
        stream::iter(resources)
            .map(|resource| async {
                let report = self.report(cx, run, resource).await;
                cx.advance("report", done.fetch_add(1, Ordering::Relaxed) + 1, total);
                report
            })
            .buffer_unordered(self.policy().concurrency.max(1))
            .collect()
            .await
    }

    async fn report(&self, cx: &OpContext, run: &Run, resource: ResourceSummary) -> ResourceUsageReport {
        let cx = cx.child(resource.uuid.hex());
        let is_late = cx.deadline.is_some_and(|deadline| self.environment().instant() >= deadline);
        if !is_late && !cx.is_cancelled() && run.aim.while_month.is_some() {
            self.memory().has_turn(resource.uuid);
        }
        let mut periods = Vec::new();
        if let Some(id) = &resource.backend_id {
            for period in &run.periods {
                let report = self.period(&cx, run, &resource, id, *period).await;
                let ended = matches!(report.outcome, UsageOutcome::MonthEnded);
                periods.push(report);
                if ended {
                    break;
                }
            }
        }
        let last = periods.last().map(|period| &period.outcome);
        let unreadable = matches!(last, Some(UsageOutcome::Unreadable(_)));
        let stale_runs = match run.aim.while_month {
            Some(_) => self.memory().stale(resource.uuid, unreadable),
            None => 0,
        };
        ResourceUsageReport {
            resource: resource.uuid,
            resource_name: resource.name.unwrap_or_default(),
            backend_id: resource.backend_id,
            periods,
            stale_runs,
        }
    }

    /// One month of a resource, with retries of transient failures: what Waldur has is read anew each time, since a
    /// request whose answer got lost may have been carried out.
    async fn period(
        &self,
        cx: &OpContext,
        run: &Run,
        resource: &ResourceSummary,
        id: &BackendId,
        period: Period,
    ) -> PeriodUsageReport {
        let mut report = PeriodUsageReport::new(period);
        let sold = match run.sold(resource, id, period) {
            Ok(sold) => sold,
            Err(outcome) => return report.ending(outcome),
        };
        report.unknown.clone_from(&sold.unknown);
        report.unbilled.clone_from(&sold.unbilled);
        report.unequal.clone_from(&sold.unequal);
        report.untotalled.clone_from(&sold.untotalled);
        report.ambiguous.clone_from(&sold.ambiguous);
        report.unproven.clone_from(&sold.unproven);
        if sold.total.is_empty() {
            return if sold.idle { report.ending(UsageOutcome::Idle) } else { report };
        }
        let month = match run.months.get(&period).map(Result::as_ref).transpose() {
            Ok(month) => month,
            Err(error) => return report.ending(UsageOutcome::failed(error.clone())),
        };
        let mut stored = self.stored_in(cx, month, resource.uuid, period).await;
        let job = Job { run, resource, period, sold: &sold };
        let mut first_failure = None;
        loop {
            report.attempts += 1;
            let tried = match &stored {
                Ok(stored) => self.attempt(cx, job, stored, &mut report).await,
                Err(error) => Err(error.clone()),
            };
            let error = match tried {
                Ok(outcome) => return report.ending(outcome),
                Err(error) => error,
            };
            let since = *first_failure.get_or_insert_with(|| self.environment().instant());
            // While Waldur is out of order, each further resource learns it at its first failure.
            let since = since.min(run.trouble.since(since));
            let pause = retry::pause(&self.policy().retry, self.environment(), cx, since, report.attempts, &error);
            let Some(pause) = pause else {
                return report.ending(UsageOutcome::failed(error));
            };
            if cx.pause(self.environment(), pause).await.is_err() {
                return report.ending(UsageOutcome::failed(error));
            }
            stored = self.stored(cx, resource.uuid, period).await;
        }
    }

    /// Compares and sends.
    ///
    /// # Errors
    /// What may pass.
    async fn attempt(
        &self,
        cx: &OpContext,
        job: Job<'_>,
        stored: &Stored,
        report: &mut PeriodUsageReport,
    ) -> Result<UsageOutcome> {
        cx.checkpoint()?;
        let Job { run, resource, period, sold } = job;
        let now = self.environment().now();
        if run.aim.while_month.is_some_and(|current| month(now, &self.policy().timezone) != current) {
            return Ok(UsageOutcome::MonthEnded);
        }
        let placement = place(period, now);
        let (Placement::Current(date) | Placement::Past(date)) = placement else {
            return Ok(UsageOutcome::NotBegun);
        };
        report.split = stored.split();
        let last = self.memory().last_taken(resource.uuid, period);
        let billed = |component: &str| run.billing.kind(component).is_some();
        let decision = decide(&sold.total, stored, run.aim.rules, last.as_ref(), billed);
        report.decreases.clone_from(&decision.decreases);
        if decision.kept.is_empty() {
            return Ok(UsageOutcome::Anomaly);
        }
        let Sent { outcome, adds_rows, stopped } = if decision.submit.is_empty() {
            Sent { outcome: UsageOutcome::Unchanged, adds_rows: false, stopped: BTreeSet::new() }
        } else {
            let (Run { billing, trouble, reports, .. }, is_first) = (run, report.attempts == 1);
            let sending = Sending { resource, period, placement, stored, billing, trouble, reports, is_first };
            self.submit(cx, sending, &decision.submit, report).await?
        };
        if matches!(outcome, UsageOutcome::Submitted) {
            self.memory().took(resource.uuid, period, decision.kept.clone());
            if matches!(placement, Placement::Current(_)) {
                self.memory().reported_on(resource.uuid, period, resource.plan_uuid);
            }
        }
        let mut reported = decision.kept;
        reported.retain(|component, _| !stopped.contains(component));
        report.users = self.share_out(cx, job, (!adds_rows).then_some(stored), &reported, date).await;
        Ok(outcome)
    }

    /// Sends the users' shares of what was reported. They hold up nothing. `stored` is what Waldur has, if its rows are
    /// still those that there were before the report.
    async fn share_out(
        &self,
        cx: &OpContext,
        job: Job<'_>,
        stored: Option<&Stored>,
        reported: &Amounts,
        date: Timestamp,
    ) -> UsersReport {
        let Job { run, resource, period, sold } = job;
        let failed = |error| UsersReport { failed: Some(error), ..UsersReport::default() };
        let mut users = sold.users.clone();
        users.retain(|component, _| run.aim.users && reported.contains_key(component));
        let people = match &run.people {
            Ok(people) => people,
            Err(_) if users.is_empty() && !run.aim.zero_stale_users => return UsersReport::default(),
            Err(error) => return failed(error.clone()),
        };
        if users.is_empty() && !run.aim.zero_stale_users {
            return UsersReport::default();
        }
        // A component that is reported for the first time, or for the first time on a plan, has no row yet.
        let known = |stored: &&Stored| users.keys().all(|component| !stored.rows(component).is_empty());
        let fresh = match stored {
            Some(stored) if self.policy().dry_run || known(&stored) => Ok(stored.clone()),
            _ if self.policy().dry_run => Ok(Stored::default()),
            _ => self.stored(cx, resource.uuid, period).await,
        };
        let stored = match fresh {
            Ok(stored) => self.in_order(cx, resource, period, stored).await,
            Err(error) => Err(error),
        };
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => return failed(error),
        };
        if run.aim.zero_stale_users {
            people.add_stale(&mut users, reported, &stored);
        }
        self.send_users(cx, &users, &stored, people, (period, date)).await
    }

    /// Puts the rows of each component in the order of the plans that the resource was on.
    ///
    /// # Errors
    /// When it cannot be told which plan a row belongs to.
    async fn in_order(
        &self,
        cx: &OpContext,
        resource: &ResourceSummary,
        period: Period,
        stored: Stored,
    ) -> Result<Stored> {
        if stored.split().is_empty() {
            return Ok(stored);
        }
        let known = self.memory().plans(resource.uuid, period).and_then(|known| known.timeline);
        match known.map(|timeline| timeline.sorted(&stored)) {
            Some(Ok(sorted)) => Ok(sorted),
            _ => self.timeline(cx, resource, period, &stored).await?.sorted(&stored),
        }
    }
}

impl Run {
    pub(super) fn new(
        aim: Aim,
        periods: Vec<Period>,
        mapping: ComponentMapping,
        offering: &Offering,
        months: BTreeMap<Period, Result<Month>>,
        reports: Breaker,
    ) -> Self {
        let (measured, shared, people) = (BTreeMap::new(), HashSet::new(), Ok(People::default()));
        let trouble = Trouble::default();
        let billing = Billing::new(offering);
        Self { aim, periods, billing, mapping, months, measured, shared, people, trouble, reports }
    }

    /// The months in which the back end told users apart; all of them where users may have to be set to nothing.
    fn periods_with_users(&self) -> Vec<Period> {
        let tells = |usage: &Usage| matches!(usage, Usage::Measured(report) if !report.per_user.is_empty());
        let told = |period: &Period| {
            let measured = self.measured.get(period).and_then(|measured| measured.as_ref().ok());
            measured.is_some_and(|all| all.values().any(tells))
        };
        self.periods.iter().copied().filter(|period| self.aim.zero_stale_users || told(period)).collect()
    }

    /// What can be billed of what was measured, or the outcome if that is nothing.
    fn sold(&self, resource: &ResourceSummary, id: &BackendId, period: Period) -> Result<Sold, UsageOutcome> {
        if self.shared.contains(id) {
            let text = format!("{id}: several resources have this back-end id, so it cannot be told whose usage it is");
            return Err(UsageOutcome::Unreadable(Error::new(ErrorKind::Inconsistent, text)));
        }
        let measured = match self.measured.get(&period).map(Result::as_ref).transpose() {
            Ok(measured) => measured,
            Err(error) => return Err(UsageOutcome::Unreadable(error.clone())),
        };
        let report = match measured.and_then(|all| all.get(id)) {
            Some(Usage::Measured(report)) => report,
            Some(Usage::NotYet) => return Err(UsageOutcome::NotYet),
            Some(Usage::Unreadable(error)) => return Err(UsageOutcome::Unreadable(error.clone())),
            None => {
                let text = format!("{id}: the back end did not answer for it");
                return Err(UsageOutcome::Unreadable(Error::new(ErrorKind::Inconsistent, text)));
            }
        };
        if let Some(text) = foreign(resource, id, report) {
            return Err(UsageOutcome::Unreadable(Error::new(ErrorKind::Foreign, text)));
        }
        let mut sold = Sold::new(report, &self.mapping, &self.billing).map_err(UsageOutcome::Unreadable)?;
        if self.aim.positive_only {
            sold.drop_nothing();
        }
        Ok(sold)
    }
}

/// Why what was measured is another resource's, if it is known to be: by the stamp on it, and without one by its id, where
/// another one is published.
fn foreign(resource: &ResourceSummary, id: &BackendId, report: &UsageReport) -> Option<String> {
    if let Some(stamp) = report.stamp {
        let other = stamp.0.hex();
        let text = || format!("{id} carries the stamp of resource {other}: its usage is not this one's");
        return (stamp != Stamp(resource.uuid)).then(text);
    }
    let (name, found) = report.published_id.as_ref()?;
    let published = resource.published_ids.get(name).filter(|published| published != found)?;
    Some(format!("{id}: {name} is {published} for this resource and {found} here: its usage is not this one's"))
}
