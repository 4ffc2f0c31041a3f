//! Sending the amounts of one month of a resource.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::{
    UsageReporter,
    compare::Stored,
    memory::{Plans, Refusal},
    periods::Placement,
    plans::{Part, Timeline},
    report::{PeriodUsageReport, UsageOutcome},
    run::Trouble,
    sold::{Billing, Kind},
};
use crate::{
    backend::{OpContext, Period},
    client::{ResourceSummary, UsageSubmission},
    error::{Error, ErrorClass, ErrorKind, Result},
    rest::Breaker,
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
    pub(super) trouble: &'a Trouble,
    pub(super) reports: &'a Breaker,
    /// Whether the resource is tried for the first time in this run.
    pub(super) is_first: bool,
}

/// What became of it.
pub(super) struct Sent {
    pub(super) outcome: UsageOutcome,
    /// Waldur has got rows beside those that there were.
    pub(super) adds_rows: bool,
    /// Components that did not get there.
    pub(super) stopped: BTreeSet<String>,
}

impl Sent {
    fn nothing(outcome: UsageOutcome, amounts: &Amounts) -> Self {
        Self { outcome, adds_rows: false, stopped: amounts.keys().cloned().collect() }
    }
}

/// When a report has to be there, and how it is named.
#[derive(Clone, Copy, Debug)]
struct Manner {
    date: Timestamp,
    deadline: Option<Instant>,
    once: bool,
}

impl UsageReporter {
    /// Sends amounts, as many requests as it takes: one, but for past months and changes of plan.
    ///
    /// # Errors
    /// What may pass. What will not is the outcome.
    pub(super) async fn submit(
        &self,
        cx: &OpContext,
        sending: Sending<'_>,
        amounts: &Amounts,
        report: &mut PeriodUsageReport,
    ) -> Result<Sent> {
        let (manner, past) = match sending.placement {
            Placement::NotBegun => return Ok(Sent::nothing(UsageOutcome::NotBegun, amounts)),
            Placement::Current(date) => match self.last_call(cx, sending.period).await? {
                Some((deadline, once)) => (Manner { date, deadline, once }, false),
                None => return Ok(Sent::nothing(UsageOutcome::ServerTooOld, amounts)),
            },
            Placement::Past(_) if !self.takes_past_months(cx).await? => {
                return Ok(Sent::nothing(UsageOutcome::ServerTooOld, amounts));
            }
            Placement::Past(date) => (Manner { date, deadline: cx.deadline, once: false }, true),
        };
        let outcome = if self.policy().dry_run { UsageOutcome::DryRun } else { UsageOutcome::Submitted };
        let mut sent = Sent { outcome, adds_rows: false, stopped: BTreeSet::new() };
        for (kind, amounts) in groups(amounts, sending, past) {
            match self.submit_group(cx, sending, kind, &amounts, manner).await? {
                Ok(adds_rows) => {
                    sent.adds_rows |= adds_rows;
                    report.submitted.extend(amounts);
                }
                Err(stopped) => {
                    report.remembered |= stopped.remembered;
                    sent.stopped.extend(amounts.into_keys());
                    if stopped.outcome.severity() >= sent.outcome.severity() {
                        sent.outcome = stopped.outcome;
                    }
                }
            }
        }
        Ok(sent)
    }

    /// Sends amounts that stand or fall together; `kind` names them in months that are over. Says whether rows were added
    /// to those that there are.
    async fn submit_group(
        &self,
        cx: &OpContext,
        sending: Sending<'_>,
        kind: Option<Kind>,
        amounts: &Amounts,
        manner: Manner,
    ) -> Result<Result<bool, Stopped>> {
        let (resource, period) = (sending.resource.uuid, sending.period);
        if let Some(refusal) = self.memory().refusal(resource, period, kind, amounts) {
            return Ok(Err(Stopped { outcome: refused(refusal), remembered: true }));
        }
        let mut added = false;
        let Parts { parts, remembered } = self.parts(cx, sending, amounts).await?;
        for Part { target, amounts: usages, adds_rows } in parts {
            added |= adds_rows;
            if self.policy().dry_run {
                continue;
            }
            let submission = UsageSubmission { target, date: Some(manner.date), usages };
            let Err(error) = self.send_if_up(cx, sending, &submission, manner).await else {
                sending.trouble.over();
                continue;
            };
            if error.class() == ErrorClass::Transient {
                return Err(error);
            }
            // A refusal is an answer.
            if error.status().is_some() {
                sending.trouble.over();
            }
            // A plan that is over by now may take nothing any more: whoever comes next looks anew.
            self.memory().forget_timeline(resource, period);
            let is_final = kind.is_some() && error.kind() == ErrorKind::InvalidRequest && !is_state(&error);
            if is_final && remembered {
                // Of a month that is over the same amounts are sent once: not to a plan that was read long ago.
                return Err(error.with_retryable(true));
            }
            let outcome = if is_final {
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
        Ok(Ok(added))
    }

    /// Sends, unless Waldur counts as down. One resource that fails again and again is one failure.
    async fn send_if_up(
        &self,
        cx: &OpContext,
        sending: Sending<'_>,
        submission: &UsageSubmission,
        manner: Manner,
    ) -> Result<()> {
        sending.reports.check()?;
        let sent = self.send(cx, submission, manner).await;
        if sending.is_first || !sent.as_ref().is_err_and(Error::is_outage) {
            sending.reports.note(sent.as_ref().err());
        }
        sent
    }

    async fn send(&self, cx: &OpContext, submission: &UsageSubmission, manner: Manner) -> Result<()> {
        let waldur = self.waldur(cx).until(manner.deadline);
        if manner.once {
            waldur.component_usages().set_usage_once(submission).await
        } else {
            waldur.component_usages().set_usage(submission).await
        }
    }

    /// Divides amounts among plans, where Waldur has something of the month already. What is remembered of its rows holds
    /// as long as the resource is on the plan that it was on then, and no row has come since.
    async fn parts(&self, cx: &OpContext, sending: Sending<'_>, amounts: &Amounts) -> Result<Parts> {
        let Sending { resource, period, stored, .. } = sending;
        let fresh = |parts| Parts { parts, remembered: false };
        let whole = || fresh(vec![Part::whole(resource.uuid, amounts)]);
        let split = !stored.split().is_empty();
        let has_rows = amounts.keys().any(|component| !stored.rows(component).is_empty());
        if !has_rows || (!split && !self.policy().watch_plan_changes) {
            return Ok(whole());
        }
        let known = self.memory().plans(resource.uuid, period);
        let same = known.as_ref().is_none_or(|known| known.plan == resource.plan_uuid);
        let seen = known.is_some() || resource.plan_uuid.is_none();
        let timeline = known.and_then(|known| known.timeline).filter(|_| same);
        if let Some(Ok(parts)) = timeline.map(|timeline| timeline.divide(resource.uuid, amounts, stored)) {
            return Ok(Parts { parts, remembered: true });
        }
        match self.timeline(cx, resource, period, stored).await {
            Ok(timeline) => timeline.divide(resource.uuid, amounts, stored).map(fresh),
            // Not even a suspicion, and no way to know. Of rows that another process wrote, under whatever plan, somebody
            // can let this one know: until then what they hold is not billed a second time.
            Err(error) if !split && same && is_withheld(&error, seen) => Ok(whole()),
            Err(error) => Err(error),
        }
    }

    /// Reads the plans of a resource.
    ///
    /// # Errors
    /// As [`Timeline::new`], and when they cannot be read whole.
    pub(super) async fn timeline(
        &self,
        cx: &OpContext,
        resource: &ResourceSummary,
        period: Period,
        stored: &Stored,
    ) -> Result<Timeline> {
        let plans = self.waldur(cx).component_usages().plan_periods(resource.uuid).all().await?;
        let timeline = Timeline::new(&plans, period, stored, resource.plan_uuid.is_some())?;
        if !self.policy().dry_run {
            let plans = Plans { plan: resource.plan_uuid, timeline: Some(timeline.clone()) };
            self.memory().learn(resource.uuid, period, plans);
        }
        Ok(timeline)
    }
}

/// Amounts, divided among plans.
struct Parts {
    parts: Vec<Part>,
    /// By plans that were read in an earlier run.
    remembered: bool,
}

/// Whether Waldur does not tell, and will not: other than an answer that makes no sense, or one that is still to come. A
/// right that is missing is one of them only for a resource whose plan this process has `seen`.
fn is_withheld(error: &Error, seen: bool) -> bool {
    let denied = error.kind() == ErrorKind::PermissionDenied && seen;
    (denied || matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported)) && !error.is_passing()
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
