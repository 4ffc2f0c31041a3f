//! Sending the amounts of one month of a resource.

use std::collections::BTreeMap;

use super::{
    UsageReporter,
    compare::Stored,
    memory::Refusal,
    periods::Placement,
    plans::{Part, divide},
    report::{PeriodUsageReport, UsageOutcome},
    sold::{Billing, Kind},
};
use crate::{
    backend::{OpContext, Period},
    client::{ResourceSummary, UsageSubmission, UsageTarget},
    error::{Error, ErrorClass, ErrorKind, Result},
    types::{Amounts, Timestamp},
};

/// What is sent, and about what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending<'a> {
    pub(super) resource: &'a ResourceSummary,
    pub(super) period: Period,
    pub(super) placement: Placement,
    pub(super) stored: &'a Stored,
    pub(super) billing: &'a Billing,
}

impl UsageReporter {
    /// Sends amounts, as many requests as it takes: one, but for past months and changes of plan. Says too whether they
    /// were divided among plans.
    ///
    /// # Errors
    /// What may pass. What will not is the outcome.
    pub(super) async fn submit(
        &self,
        cx: &OpContext,
        sending: Sending<'_>,
        amounts: &Amounts,
        report: &mut PeriodUsageReport,
    ) -> Result<(UsageOutcome, bool)> {
        let (date, past) = match sending.placement {
            Placement::NotBegun => return Ok((UsageOutcome::NotBegun, false)),
            Placement::Current(now) => (now, false),
            Placement::Past(_) if !self.takes_past_months(cx).await? => return Ok((UsageOutcome::ServerTooOld, false)),
            Placement::Past(date) => (date, true),
        };
        let mut outcome = if self.policy().dry_run { UsageOutcome::DryRun } else { UsageOutcome::Submitted };
        let mut divided = false;
        for (kind, amounts) in groups(amounts, sending, past) {
            match self.submit_group(cx, sending, kind, &amounts, date).await? {
                Ok(parted) => {
                    divided |= parted;
                    report.submitted.extend(amounts);
                }
                Err(stopped) => {
                    report.remembered |= stopped.remembered;
                    outcome = stopped.outcome;
                }
            }
        }
        Ok((outcome, divided))
    }

    /// Sends amounts that stand or fall together; `kind` names them in months that are over. Says whether they were
    /// divided among plans.
    async fn submit_group(
        &self,
        cx: &OpContext,
        sending: Sending<'_>,
        kind: Option<Kind>,
        amounts: &Amounts,
        date: Timestamp,
    ) -> Result<Result<bool, Stopped>> {
        let (resource, period) = (sending.resource.uuid, sending.period);
        if let Some(refusal) = self.memory().refusal(resource, period, kind, amounts) {
            return Ok(Err(Stopped { outcome: refused(refusal), remembered: true }));
        }
        let mut divided = false;
        for Part { target, amounts: usages } in self.parts(cx, sending, amounts).await? {
            divided |= matches!(target, UsageTarget::PlanPeriod(_));
            if self.policy().dry_run {
                continue;
            }
            let submission = UsageSubmission { target, date: Some(date), usages };
            let Err(error) = self.waldur(cx).component_usages().set_usage(&submission).await else { continue };
            if error.class() == ErrorClass::Transient {
                return Err(error);
            }
            let outcome = if kind.is_some() && error.kind() == ErrorKind::InvalidRequest && !is_state(&error) {
                let refusal = Refusal { backfill: said(&error, "backfilling past billing periods"), error };
                self.memory().refused(resource, period, kind, amounts.clone(), refusal.clone());
                refused(refusal)
            } else if is_state(&error) {
                UsageOutcome::WrongState(error)
            } else {
                UsageOutcome::failed(error)
            };
            return Ok(Err(Stopped { outcome, remembered: false }));
        }
        Ok(Ok(divided))
    }

    /// Divides amounts among plans, where there may have been several in the month.
    async fn parts(&self, cx: &OpContext, sending: Sending<'_>, amounts: &Amounts) -> Result<Vec<Part>> {
        let Sending { resource, period, stored, .. } = sending;
        let whole = || vec![Part { target: UsageTarget::Resource(resource.uuid), amounts: amounts.clone() }];
        let split = !stored.split().is_empty();
        let known = self.memory().plan(resource.uuid);
        let moved = !stored.is_empty() && resource.plan_uuid.is_some() && known != resource.plan_uuid;
        let suspected = moved && self.policy().watch_plan_changes;
        if !split && !suspected {
            return Ok(whole());
        }
        let plans = self.waldur(cx).component_usages().plan_periods(resource.uuid).collect().await;
        match plans.and_then(crate::rest::Listing::complete) {
            Ok(plans) => divide(resource.uuid, amounts, stored, plans.items(), period),
            // Only a suspicion, and no way to know.
            Err(error) if !split && error.class() != ErrorClass::Transient => Ok(whole()),
            Err(error) => Err(error),
        }
    }
}

fn refused(refusal: Refusal) -> UsageOutcome {
    if refusal.backfill { UsageOutcome::BackfillRefused(refusal.error) } else { UsageOutcome::Refused(refusal.error) }
}

/// Why amounts did not go out.
struct Stopped {
    outcome: UsageOutcome,
    remembered: bool,
}

/// Whether the resource is erred (core.md §4.7), has been terminated meanwhile, or is gone.
fn is_state(error: &Error) -> bool {
    said(error, "not in valid state") || matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound)
}

fn said(error: &Error, words: &str) -> bool {
    error.http().and_then(|http| http.body.as_deref()).is_some_and(|body| body.contains(words))
}

/// Of a month that is over Waldur may take components of one kind and refuse a whole report for one of the other. There,
/// a kind of which nothing has changed is not sent along.
fn groups(amounts: &Amounts, sending: Sending<'_>, past: bool) -> BTreeMap<Option<Kind>, Amounts> {
    if !past {
        return [(None, amounts.clone())].into();
    }
    let mut groups = BTreeMap::<Option<Kind>, Amounts>::new();
    for (component, amount) in amounts {
        groups.entry(sending.billing.kind(component)).or_default().insert(component.clone(), *amount);
    }
    let changed =
        |amounts: &Amounts| amounts.iter().any(|(component, amount)| sending.stored.differs(component, *amount));
    if changed(amounts) {
        groups.retain(|_, amounts| changed(amounts));
    }
    groups
}
