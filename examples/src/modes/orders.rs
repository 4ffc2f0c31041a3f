//! `order_process`: orders are carried out.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tracing::{debug, error, info, warn};
use waldur_sdk::{
    ErrorKind, Result,
    backend::OpContext,
    process::{
        FollowUp, KeyPolicy, KeyProcessor, Leftover, LeftoverOutcome, MissingKeys, OrderOutcome, OrderPolicy,
        OrderProcessor, OrderReport, OrderRunReport, RotationOutcome, StuckKeys,
    },
};

use super::{Mode, Parts, Summary, Work, exit_of, outage, stalled};
use crate::exit::Exit;

/// The orders of an offering.
#[derive(Debug)]
pub(super) struct OrderWork {
    name: String,
    processor: OrderProcessor,
    keys: KeyProcessor,
    /// What Waldur refused to take of orders that are done, until it takes it or the process ends.
    unpublished: Arc<Mutex<Vec<FollowUp>>>,
}

impl OrderWork {
    pub(super) fn new(parts: &Parts<'_>) -> Self {
        let (keys, processor) = (keys(parts), processor(parts));
        Self { name: parts.offering.name.clone(), processor, keys, unpublished: Arc::default() }
    }

    /// Sends again what Waldur refused: no later pass looks at an order that is done.
    async fn publish(&self, cx: &OpContext, report: &OrderRunReport, summary: &mut Summary) {
        let refused = report.follow_ups().filter(|follow_up| is_publishable(follow_up)).cloned();
        self.unpublished().extend(refused);
        let waiting = self.unpublished().clone();
        for follow_up in waiting {
            match self.processor.publish(cx, &follow_up).await {
                Ok(()) => {
                    self.unpublished().retain(|other| *other != follow_up);
                    summary.count("published");
                }
                Err(error) => {
                    warn!(offering = self.name, "left to do: {follow_up}: {error:#}");
                    summary.count("left_to_do");
                    summary.note(exit_of(&error));
                }
            }
        }
    }

    fn unpublished(&self) -> MutexGuard<'_, Vec<FollowUp>> {
        self.unpublished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No events are read here: unless somebody else does, whoever waits for a new key waits for this.
fn keys(parts: &Parts<'_>) -> KeyProcessor {
    let mut policy = KeyPolicy::from_settings(parts.settings);
    policy.dry_run = parts.dry_run;
    if !parts.offering.events.orders {
        policy.stuck_after = Duration::ZERO;
    }
    parts.served.keys().with_policy(policy)
}

#[async_trait]
impl Work for OrderWork {
    fn renewed(&self, parts: &Parts<'_>) -> Box<dyn Work> {
        let processor = self.processor.clone().with_offering(&parts.served);
        let keys = self.keys.clone().with_offering(&parts.served);
        Box::new(Self { name: self.name.clone(), processor, keys, unpublished: self.unpublished.clone() })
    }

    async fn pass(&self, cx: &OpContext) -> Result<Summary> {
        let report = self.processor.run_once(cx).await?;
        log(&self.name, &report);
        let mut summary = summary(&report);
        self.publish(cx, &report, &mut summary).await;
        // Who does not answer has no keys to give, either.
        if report.not_ready.is_some() {
            return Ok(summary);
        }
        match self.keys.reconcile_stuck(cx).await {
            Ok(stuck) => note_keys(&self.name, &stuck, &mut summary),
            Err(error) => {
                warn!(offering = self.name, "the keys that wait cannot be listed: {error:#}");
                summary.note(exit_of(&error));
            }
        }
        match self.keys.provision_missing(cx).await {
            Ok(missing) => note_missing(&self.name, &missing, &mut summary),
            Err(error) => {
                warn!(offering = self.name, "resources without keys cannot be looked for: {error:#}");
                summary.note(exit_of(&error));
            }
        }
        Ok(summary)
    }
}

fn processor(parts: &Parts<'_>) -> OrderProcessor {
    let mut policy = OrderPolicy::from_settings(parts.settings, parts.offering);
    policy.dry_run = parts.dry_run;
    parts.served.orders().with_policy(policy)
}

fn summary(report: &OrderRunReport) -> Summary {
    let mut summary = Summary::new();
    for _row in &report.unreadable {
        summary.count("unreadable");
        summary.note(Exit::Failed);
    }
    for error in [&report.listing_gap, &report.not_ready].into_iter().flatten() {
        summary.miss(error);
    }
    let waiting = report.orders.iter().map(|order| match &order.outcome {
        OrderOutcome::Deferred(error) => outage(error),
        _ => None,
    });
    if let Some(error) = stalled(waiting) {
        summary.miss(error);
    }
    for order in &report.orders {
        summary.count(word(&order.outcome));
        summary.note(exit(&order.outcome));
    }
    // The order is done, and no later pass looks at it.
    let is_left = |follow_up: &&FollowUp| match follow_up {
        FollowUp::PublishResource { metadata, .. } => *metadata,
        follow_up => !follow_up.comes_by_itself(),
    };
    for _left in report.follow_ups().filter(is_left) {
        summary.count("left_to_do");
        summary.note(Exit::Failed);
    }
    for leftover in &report.leftovers {
        match &leftover.outcome {
            LeftoverOutcome::Removed => summary.count("leftover_removed"),
            LeftoverOutcome::Left(_) => {
                summary.count("left_to_do");
                summary.note(Exit::Failed);
            }
            _ => {}
        }
    }
    summary
}

/// Keys that customers wanted replaced.
fn note_keys(offering: &str, stuck: &StuckKeys, summary: &mut Summary) {
    if let Some(error) = &stuck.listing_gap {
        warn!(offering, "the list of keys that wait is not proven whole: {error:#}");
        summary.miss(error);
    }
    for rotation in &stuck.rotations {
        let (key, resource) = (rotation.key.hex(), rotation.resource.hex());
        let (word, exit) = match &rotation.outcome {
            RotationOutcome::Rotated => ("key_rotated", Exit::Done),
            RotationOutcome::Deferred(error) => ("key_deferred", exit_of(error)),
            RotationOutcome::Erred(_) | RotationOutcome::NotReported(..) => ("key_erred", Exit::Failed),
            _ => ("key_left_alone", Exit::Done),
        };
        summary.count(word);
        summary.note(exit);
        if exit == Exit::Done {
            info!(offering, key, resource, "key: {:#}", rotation.outcome);
        } else {
            warn!(offering, key, resource, "key: {:#}", rotation.outcome);
        }
    }
    for (key, why) in &stuck.skipped {
        warn!(offering, key = key.hex(), "a key that waits is passed over: {why}");
    }
    for row in &stuck.unreadable {
        warn!(offering, row = row.id, "a key cannot be read: {:#}", row.error);
        summary.note(Exit::Failed);
    }
}

/// Keys for resources that are older than the setting that gives their customers any.
fn note_missing(offering: &str, missing: &MissingKeys, summary: &mut Summary) {
    for (resource, outcome) in &missing.provisions {
        let resource = resource.hex();
        let report = match outcome {
            Ok(report) => report,
            Err(error) => {
                warn!(offering, resource, "no keys were made: {error:#}");
                summary.note(exit_of(error));
                continue;
            }
        };
        let made = report.reported.len();
        summary.count_many("key_made", made as u64);
        info!(offering, resource, made, planned = report.planned, "keys for an older resource");
        for warning in &report.warnings {
            warn!(offering, resource, "{}: {:#}", warning.step, warning.error);
            if warning.error.kind() == ErrorKind::Foreign {
                // A user without a stamp stays one: nothing went wrong, and no pass will end it.
                summary.count("without_keys");
            } else {
                summary.note(exit_of(&warning.error));
            }
        }
        if let Some(error) = &report.deferred {
            warn!(offering, resource, "not all keys were made yet: {error:#}");
            summary.note(exit_of(error));
        }
    }
    if missing.left > 0 {
        info!(offering, left = missing.left, "more resources wait for keys");
    }
}

/// Whether the processor of orders has what was refused.
fn is_publishable(follow_up: &FollowUp) -> bool {
    let FollowUp::PublishResource { limits, endpoints, .. } = follow_up else { return false };
    limits.is_some() || !endpoints.is_empty()
}

fn exit(outcome: &OrderOutcome) -> Exit {
    match outcome {
        outcome if outcome.is_good() => Exit::Done,
        OrderOutcome::Deferred(error) => exit_of(error),
        _ => Exit::Failed,
    }
}

fn word(outcome: &OrderOutcome) -> &'static str {
    match outcome {
        OrderOutcome::Done => "done",
        OrderOutcome::AlreadyFinished(_) => "already_finished",
        OrderOutcome::Executing => "executing",
        OrderOutcome::Rejected => "rejected",
        OrderOutcome::AwaitingDecision => "awaiting_decision",
        OrderOutcome::Deferred(_) => "deferred",
        OrderOutcome::NeedsAttention(_) => "needs_attention",
        OrderOutcome::Erred(_) => "erred",
        OrderOutcome::NotReported(..) => "not_reported",
        OrderOutcome::NotOurs(_) | OrderOutcome::OtherOffering => "left_alone",
        OrderOutcome::DryRun => "dry_run",
        _ => "other",
    }
}

fn log(offering: &str, report: &OrderRunReport) {
    if let Some(error) = &report.not_ready {
        warn!(offering, "the back end is not ready, no orders were listed: {error:#}");
    }
    if let Some(error) = &report.listing_gap {
        warn!(offering, "the list of orders is not proven whole: {error:#}");
    }
    for row in &report.unreadable {
        warn!(offering, row = row.id, "an order cannot be read: {:#}", row.error);
    }
    for order in &report.orders {
        log_order(offering, order);
    }
    for leftover in &report.leftovers {
        log_leftover(offering, leftover);
    }
    let done = report.count(|outcome| matches!(outcome, OrderOutcome::Done));
    let bad = report.count(|outcome| !outcome.is_good());
    if report.orders.is_empty() {
        debug!(offering, "no orders");
    } else {
        info!(offering, mode = %Mode::OrderProcess, orders = report.orders.len(), done, bad, "pass ended");
    }
}

fn log_order(offering: &str, report: &OrderReport) {
    let order = report.order.hex();
    let (kind, resource) = (report.order_type.as_str(), report.resource_name.as_str());
    let backend_id = report.backend_id.as_ref().map_or("", |id| id.as_str());
    let attempts = report.attempts;
    macro_rules! say {
        ($level:ident) => {
            $level!(offering, order, kind, resource, backend_id, attempts, "{:#}", report.outcome)
        };
    }
    match &report.outcome {
        OrderOutcome::AwaitingDecision | OrderOutcome::Executing => say!(debug),
        OrderOutcome::NeedsAttention(_) | OrderOutcome::Erred(_) | OrderOutcome::NotReported(..) => say!(error),
        OrderOutcome::Deferred(_) => say!(warn),
        _ => say!(info),
    }
    for warning in &report.warnings {
        warn!(offering, order, "{}: {:#}", warning.step, warning.error);
    }
    for follow_up in &report.follow_ups {
        warn!(offering, order, "left to do: {follow_up}");
    }
}

/// An object that an earlier pass made for an order which nobody wanted any more.
fn log_leftover(offering: &str, leftover: &Leftover) {
    let (resource, backend_id) = (leftover.resource.hex(), leftover.backend_id.as_str());
    match &leftover.outcome {
        LeftoverOutcome::Removed => info!(offering, resource, backend_id, "an object that nobody wanted was removed"),
        LeftoverOutcome::Left(error) => {
            error!(offering, resource, backend_id, "an object that nobody wants is left over: {error:#}");
        }
        _ => info!(offering, resource, backend_id, "an object is wanted again"),
    }
}
