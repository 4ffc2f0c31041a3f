//! The pass, the lanes, and the retries.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::{Job, OrderOutcome, OrderProcessor, OrderReport, OrderRunReport};
use crate::{
    backend::OpContext,
    client::{Order, OrderQuery, OrderState},
    error::{Error, ErrorClass, Result},
    types::OrderUuid,
};

impl OrderProcessor {
    /// Lists the orders that are the provider's to act on and processes them, several at once, those of one resource
    /// one after the other.
    ///
    /// # Errors
    /// Only when the orders cannot be listed. What happens to an order is in the report and stops no other.
    pub async fn run_once(&self, cx: &OpContext) -> Result<OrderRunReport> {
        let mut report = OrderRunReport::default();
        if self.backend().capabilities().preflight
            && let Err(error) = self.backend().ping(cx).await
        {
            report.not_ready = Some(error);
            return Ok(report);
        }
        let query = OrderQuery::offering(self.offering()).states([OrderState::PendingProvider, OrderState::Executing]);
        let listing = self.waldur(cx).orders().list(&query).collect().await?;
        let (orders, unreadable, gap) = listing.into_parts();
        report.unreadable = unreadable;
        report.listing_gap = gap;
        // Nothing is awaited between two polls of the stream, so no order waits for another's lane unpolled.
        report.orders = stream::iter(orders)
            .map(|order| self.process(cx, order))
            .buffer_unordered(self.policy().concurrency.max(1))
            .collect()
            .await;
        Ok(report)
    }

    /// Processes the order of an event.
    ///
    /// # Errors
    /// When the order cannot be read.
    pub async fn process_by_uuid(&self, cx: &OpContext, order: OrderUuid) -> Result<OrderReport> {
        let order = self.waldur(cx).orders().get(order).await?;
        Ok(self.process(cx, order).await)
    }

    /// Processes one order: in the lane of its resource, with retries of transient failures. Finished orders and
    /// orders in states of others are left alone.
    pub async fn process(&self, cx: &OpContext, order: Order) -> OrderReport {
        let cx = cx.child(order.uuid.hex());
        match order.resource_uuid {
            None => self.retried(&cx, order).await,
            Some(resource) => {
                let this = self.clone();
                self.0.lanes.run(resource, async move { this.retried(&cx, order).await }).await
            }
        }
    }

    /// Repeats what failed for a passing reason, reading the order anew each time, up to the policy's attempts and
    /// time. A failed reading is an attempt like any other. What is still failing then waits for the next pass.
    async fn retried(&self, cx: &OpContext, order: Order) -> OrderReport {
        let mut report = OrderReport::new(&order);
        let begin = self.environment().instant();
        let job = Job::new(cx);
        let mut current = Ok(order);
        report.outcome = loop {
            let outcome = match current {
                Ok(order) => self.once(&job, &order).await,
                Err(error) => OrderOutcome::Deferred(error),
            };
            let OrderOutcome::Deferred(error) = &outcome else { break outcome };
            let Some(pause) = self.pause(cx, begin, report.attempts, error) else { break outcome };
            if cx.pause(self.environment(), pause).await.is_err() {
                break outcome;
            }
            report.attempts += 1;
            current = self.waldur(cx).orders().get(report.order).await;
        };
        let notes = job.into_notes();
        if let (OrderOutcome::AlreadyFinished(OrderState::Erred), Some(failure)) = (&report.outcome, notes.failure) {
            // By ourselves: only the answer to that was lost.
            report.outcome = OrderOutcome::Erred(failure);
        }
        report.backend_id = notes.backend_id;
        report.warnings = notes.warnings;
        report.follow_ups = notes.follow_ups;
        report
    }

    /// How long to wait before an order is tried again; `None` when it is not, in this pass.
    fn pause(&self, cx: &OpContext, begin: Instant, attempt: u32, error: &Error) -> Option<Duration> {
        let retry = &self.policy().retry;
        if error.class() != ErrorClass::Transient || attempt >= retry.max_attempts || cx.is_cancelled() {
            return None;
        }
        let pause = retry.pause(attempt, error.retry_after(), self.environment());
        let now = self.environment().instant();
        let too_late = now.saturating_duration_since(begin).saturating_add(pause) >= retry.max_elapsed
            || cx.deadline.is_some_and(|deadline| now.checked_add(pause).is_none_or(|next| next >= deadline));
        (!too_late).then_some(pause)
    }
}
