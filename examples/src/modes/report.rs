//! `report`: usage is reported.

use async_trait::async_trait;
use tracing::{debug, info, warn};
use waldur_sdk::{
    Error, Result,
    backend::OpContext,
    process::{PeriodUsageReport, ResourceUsageReport, UsageOutcome, UsagePolicy, UsageReporter, UsageRunReport},
};

use super::{Mode, Parts, Summary, Work, exit_of, outage, stalled};
use crate::exit::Exit;

/// The usage of an offering's resources.
#[derive(Debug)]
pub(super) struct ReportWork {
    name: String,
    reporter: UsageReporter,
}

impl ReportWork {
    pub(super) fn new(parts: &Parts<'_>) -> Self {
        Self { name: parts.offering.name.clone(), reporter: reporter(parts) }
    }
}

#[async_trait]
impl Work for ReportWork {
    fn renewed(&self, parts: &Parts<'_>) -> Box<dyn Work> {
        let reporter = self.reporter.clone().with_offering(&parts.served);
        Box::new(Self { name: self.name.clone(), reporter })
    }

    async fn pass(&self, cx: &OpContext) -> Result<Summary> {
        let report = self.reporter.run_once(cx).await?;
        Ok(note(&self.name, &report))
    }
}

/// The reporter of an offering.
pub(crate) fn reporter(parts: &Parts<'_>) -> UsageReporter {
    let mut policy = UsagePolicy::from_settings(parts.settings, parts.offering);
    policy.dry_run = parts.dry_run;
    parts.served.usage().with_policy(policy)
}

fn note(offering: &str, report: &UsageRunReport) -> Summary {
    let mut summary = Summary::new();
    if report.no_source {
        warn!(offering, "the back end measures nothing: there is nothing to report");
    }
    for row in &report.unreadable {
        warn!(offering, row = row.id, "a resource cannot be read: {:#}", row.error);
        summary.count("unreadable_row");
        summary.note(Exit::Failed);
    }
    if let Some(error) = &report.listing_gap {
        warn!(offering, "the list of resources is not proven whole: {error:#}");
        summary.miss(error);
    }
    for resource in &report.resources {
        note_resource(offering, resource, &mut summary);
    }
    summary.stale_usage = report.stalest();
    if let Some(error) = unreachable(report) {
        summary.miss(error);
    }
    let submitted = report.count(|outcome| matches!(outcome, UsageOutcome::Submitted));
    let bad = report.count(|outcome| !outcome.is_good());
    info!(offering, mode = %Mode::Report, resources = report.resources.len(), submitted, bad, "pass ended");
    summary
}

/// Why nothing at all could be measured, if that is so. One resource that is unreadable is not the back end.
fn unreachable(report: &UsageRunReport) -> Option<&Error> {
    let outcomes = report.resources.iter().flat_map(|resource| &resource.periods).map(|month| &month.outcome);
    stalled(outcomes.map(|outcome| match outcome {
        UsageOutcome::Unreadable(error) => Some(error),
        UsageOutcome::Deferred(error) => outage(error),
        _ => None,
    }))
}

/// What is said about a resource, and what it counts for.
pub(crate) fn note_resource(offering: &str, resource: &ResourceUsageReport, summary: &mut Summary) {
    if resource.periods.iter().any(|month| matches!(month.outcome, UsageOutcome::Unreadable(_))) {
        summary.unreadable_usage += 1;
    }
    for month in &resource.periods {
        summary.count(word(&month.outcome));
        summary.note(exit(&month.outcome));
        if let Some(error) = &month.users.failed {
            summary.count("users_failed");
            summary.note(exit_of(error));
        }
        log(offering, resource, month);
    }
}

fn exit(outcome: &UsageOutcome) -> Exit {
    match outcome {
        outcome if outcome.is_good() => Exit::Done,
        UsageOutcome::Deferred(error) | UsageOutcome::Unreadable(error) => exit_of(error),
        _ => Exit::Failed,
    }
}

fn word(outcome: &UsageOutcome) -> &'static str {
    match outcome {
        UsageOutcome::Submitted => "submitted",
        UsageOutcome::Unchanged => "unchanged",
        UsageOutcome::DryRun => "dry_run",
        UsageOutcome::Unmeasured => "unmeasured",
        UsageOutcome::Idle => "idle",
        UsageOutcome::NotYet => "not_yet",
        UsageOutcome::Unreadable(_) => "unreadable",
        UsageOutcome::Anomaly => "anomaly",
        UsageOutcome::MonthEnded => "month_ended",
        UsageOutcome::NotBegun => "not_begun",
        UsageOutcome::ServerTooOld => "server_too_old",
        UsageOutcome::WrongState(_) => "wrong_state",
        UsageOutcome::BackfillRefused(_) => "backfill_refused",
        UsageOutcome::Refused(_) => "refused",
        UsageOutcome::Deferred(_) => "deferred",
        _ => "other",
    }
}

fn log(offering: &str, report: &ResourceUsageReport, month: &PeriodUsageReport) {
    let (name, resource) = (report.resource_name.as_str(), report.resource.hex());
    let backend_id = report.backend_id.as_ref().map_or("", |id| id.as_str());
    let period = month.period.to_string();
    macro_rules! say {
        ($level:ident) => {
            $level!(offering, name, resource, backend_id, period, "{:#}", month.outcome)
        };
    }
    match &month.outcome {
        UsageOutcome::Submitted | UsageOutcome::DryRun => say!(info),
        // Said when it was found out; the same values are not said again.
        _ if month.remembered => say!(debug),
        UsageOutcome::WrongState(_) | UsageOutcome::BackfillRefused(_) | UsageOutcome::ServerTooOld => say!(warn),
        outcome if outcome.is_good() => say!(debug),
        _ => say!(warn),
    }
    for decrease in &month.decreases {
        let (stored, measured) = (decrease.stored.decimal(), decrease.measured.decimal());
        let component = decrease.component.as_str();
        warn!(offering, name, period, component, "went down from {stored} to {measured}; it was left out");
    }
    let lists = [
        (&month.unknown, "Waldur does not have these components"),
        (&month.unbilled, "these components are billed neither by usage nor by limit"),
        (&month.unequal, "what the users used does not add up to the total of these components"),
        (&month.untotalled, "what the users used of these components was measured without a total"),
        (&month.ambiguous, "the names of these components stand for two things each, in the file and in Waldur"),
    ];
    for (components, text) in lists.into_iter().filter(|(components, _)| !components.is_empty()) {
        warn!(offering, name, period, components = components.join(", "), "{text}");
    }
    if let Some(unproven) = &month.unproven {
        warn!(offering, name, period, "more may have been used than was reported: {unproven}");
    }
    if let Some(error) = &month.users.failed {
        warn!(offering, name, period, "what the users used was not reported: {error:#}");
    }
}
