//! Passes over all offerings, and what is said about them.

use std::{pin::pin, time::Duration};

use futures_util::{Stream, StreamExt as _, future};
use tracing::{debug, error, info, warn};
use waldur_sdk::{
    Error, ErrorClass, ErrorKind, Result,
    backend::{Cancellation, OpContext},
    process::{OrderOutcome, OrderReport, OrderRunReport},
    settings::Warning,
};

use crate::{exit::Exit, site::OfferingAgent};

/// How long a pass may take to come to a safe point once the agent was asked to stop (core.md §5.9).
pub const GRACE: Duration = Duration::from_secs(25);

/// When passes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// One pass.
    Once,
    /// Again and again, with this pause from the end of one pass to the beginning of the next.
    Every(Duration),
}

/// What became of one offering in one pass.
#[derive(Debug)]
pub struct Pass {
    /// The offering's name.
    pub offering: String,
    /// The report, or why there is none.
    pub outcome: Result<OrderRunReport>,
}

/// Says what the settings warn of. What switches a protection off is said at every start, whatever the log level.
pub fn announce(warnings: &[Warning]) {
    for warning in warnings {
        if warning.path().ends_with("verify_ssl") {
            error!("TLS VERIFICATION IS OFF: {warning}");
        } else {
            warn!("{warning}");
        }
    }
}

/// Passes over all offerings at once. One that fails stops no other.
pub async fn pass(agents: &mut [OfferingAgent], cx: &OpContext) -> Vec<Pass> {
    future::join_all(agents.iter_mut().map(|agent| async {
        let outcome = agent.run_once(&cx.child(agent.name())).await;
        let pass = Pass { offering: agent.name().to_owned(), outcome };
        pass.log();
        pass
    }))
    .await
}

/// Runs passes until one was enough, or until the first item of `stop` asks for the end: a pass that is under way then
/// has [`GRACE`] to finish what it began. The second item ends it at once, which costs nothing but time: the next pass
/// resumes every order.
pub async fn run(agents: &mut [OfferingAgent], schedule: Schedule, stop: impl Stream<Item = ()>) -> Exit {
    let mut stop = pin!(stop.fuse());
    loop {
        let cancellation = Cancellation::default();
        let cx = OpContext::new("orders").with_cancellation(cancellation.clone());
        let mut pass = pin!(pass(agents, &cx));
        let passes = tokio::select! {
            passes = &mut pass => passes,
            Some(()) = stop.next() => {
                info!("asked to stop: the orders under way come to a safe point first");
                cancellation.cancel();
                return tokio::select! {
                    _ = &mut pass => Exit::Done,
                    () = tokio::time::sleep(GRACE) => {
                        warn!("stopped after {} s with orders under way; the next run resumes them", GRACE.as_secs());
                        Exit::Temporary
                    }
                    Some(()) = stop.next() => {
                        warn!("stopped at once; the next run resumes the orders under way");
                        Exit::Temporary
                    }
                };
            }
        };
        let Schedule::Every(pause) = schedule else {
            return passes.iter().map(Pass::exit).fold(Exit::Done, Exit::or_worse);
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Some(()) = stop.next() => return Exit::Done,
        }
    }
}

impl Pass {
    /// What it means for a program that ends with it.
    pub fn exit(&self) -> Exit {
        match &self.outcome {
            Err(error) => of_error(error),
            Ok(report) => {
                let rows = if report.unreadable.is_empty() { Exit::Done } else { Exit::Failed };
                let reading = [&report.listing_gap, &report.not_ready].into_iter().flatten().map(of_error);
                let orders = report.orders.iter().map(|order| of_order(&order.outcome));
                reading.chain(orders).fold(rows, Exit::or_worse)
            }
        }
    }

    fn log(&self) {
        let offering = self.offering.as_str();
        let report = match &self.outcome {
            Ok(report) => report,
            Err(error) => {
                error!(offering, "the orders cannot be processed: {}", told(error));
                return;
            }
        };
        if let Some(error) = &report.not_ready {
            warn!(offering, "the back end is not ready, no orders were listed: {}", told(error));
        }
        if let Some(error) = &report.listing_gap {
            warn!(offering, "the list of orders is not proven whole: {}", told(error));
        }
        for row in &report.unreadable {
            warn!(offering, row = row.id, "an order cannot be read: {}", told(&row.error));
        }
        for order in &report.orders {
            log_order(offering, order);
        }
        let done = report.count(|outcome| matches!(outcome, OrderOutcome::Done));
        let bad = report.count(|outcome| !outcome.is_good());
        if report.orders.is_empty() {
            debug!(offering, "no orders");
        } else {
            info!(offering, orders = report.orders.len(), done, bad, "pass ended");
        }
    }
}

fn of_order(outcome: &OrderOutcome) -> Exit {
    match outcome {
        outcome if outcome.is_good() => Exit::Done,
        OrderOutcome::Deferred(error) => of_error(error),
        _ => Exit::Failed,
    }
}

/// Passing is what goes by itself. That somebody has to mend a credential, a certificate or a proxy leaves orders alone
/// too, but no later run ends it.
fn of_error(error: &Error) -> Exit {
    match (error.kind(), error.class()) {
        (ErrorKind::Config, _) => Exit::Config,
        (ErrorKind::NotReady | ErrorKind::Cancelled | ErrorKind::DeadlineExceeded, _) | (_, ErrorClass::Transient) => {
            Exit::Temporary
        }
        _ => Exit::Failed,
    }
}

fn log_order(offering: &str, report: &OrderReport) {
    let order = report.order.hex();
    let (kind, resource) = (report.order_type.as_str(), report.resource_name.as_str());
    let backend_id = report.backend_id.as_ref().map_or("", |id| id.as_str());
    let attempts = report.attempts;
    macro_rules! say {
        ($level:ident) => {
            $level!(offering, order, kind, resource, backend_id, attempts, "{}", outcome(&report.outcome))
        };
    }
    match &report.outcome {
        OrderOutcome::AwaitingDecision | OrderOutcome::Executing => say!(debug),
        OrderOutcome::NeedsAttention(_) | OrderOutcome::Erred(_) | OrderOutcome::NotReported(..) => say!(error),
        OrderOutcome::Deferred(_) => say!(warn),
        _ => say!(info),
    }
    for warning in &report.warnings {
        warn!(offering, order, "{}: {}", warning.step, told(&warning.error));
    }
    for follow_up in &report.follow_ups {
        warn!(offering, order, "left to do: {follow_up:?}");
    }
}

fn outcome(outcome: &OrderOutcome) -> String {
    match outcome {
        OrderOutcome::Deferred(error) => format!("deferred: {}", told(error)),
        OrderOutcome::NeedsAttention(error) => format!("needs attention: {}", told(error)),
        OrderOutcome::Erred(error) => format!("erred: {}", told(error)),
        OrderOutcome::NotReported(error, cause) => format!("failed: {}; not reported: {}", told(error), told(cause)),
        other => other.to_string(),
    }
}

/// An error with its causes, on one line.
fn told(error: &Error) -> String {
    error.chain().join(": ")
}
