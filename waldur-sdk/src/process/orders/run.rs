//! The pass, the lanes, and the retries.

use std::{collections::HashSet, sync::PoisonError};

use futures_util::{StreamExt, stream};

use super::{
    Job, OrderOutcome, OrderProcessor, OrderReport, OrderRunReport,
    line::{Case, Line},
    pass::{Pass, Round},
};
use crate::{
    backend::OpContext,
    client::{Order, OrderQuery, OrderState},
    error::{Error, ErrorKind, Result},
    process::retry,
    rest::BoxFuture,
    types::OrderUuid,
};

impl OrderProcessor {
    /// Lists the orders that are the provider's to act on and processes them, several at once, those of one resource
    /// one after the other. What a deadline, a stop or an outage left over in the last pass comes first.
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
        // What this very pass leaves over is for the next one.
        let leftovers = self.leftovers();
        let query = OrderQuery::offering(self.offering()).states([OrderState::PendingProvider, OrderState::Executing]);
        let listing = self.waldur(cx).orders().list(&query).collect().await?;
        let (orders, unreadable, gap) = listing.into_parts();
        report.unreadable = unreadable;
        report.listing_gap = gap;
        let lines = Line::all(orders, &self.left_over());
        report.orders = self.rounds(cx, lines).await;
        let left_over = report.orders.iter().filter(|order| order.attempts == 0).map(|order| order.order).collect();
        self.leave_over(left_over);
        report.leftovers = self.see_to(cx, leftovers).await;
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

    /// Processes one order: each attempt in the lane of its resource, with retries of transient failures. Finished
    /// orders and orders in states of others are left alone.
    pub async fn process(&self, cx: &OpContext, order: Order) -> OrderReport {
        let mut case = Case::new(order);
        loop {
            case = self.in_lane(cx, case).await;
            let Some(pause) = case.pause else { break };
            if cx.pause(self.environment(), pause).await.is_err() {
                break;
            }
        }
        case.into_report()
    }

    /// Everybody once, then those that are due again, until there are none. A pause takes nobody's place: whoever
    /// pauses waits for a later round.
    async fn rounds(&self, cx: &OpContext, mut lines: Vec<Line>) -> Vec<OrderReport> {
        let concurrency = self.policy().concurrency.max(1);
        let pass = Pass::new(concurrency, &self.policy().retry, self.environment());
        let mut reports = Vec::new();
        loop {
            match pass.next(&mut lines, cx.deadline) {
                // Nothing is awaited between two polls of the stream, so no order waits for another's lane unpolled.
                Round::Run(turn) => {
                    let turns = stream::iter(turn).map(|line| self.turn(cx, &pass, line));
                    lines.extend(turns.buffer_unordered(concurrency).collect::<Vec<_>>().await);
                }
                Round::Wait(pause) => {
                    if cx.pause(self.environment(), pause).await.is_err() {
                        break;
                    }
                }
                Round::Over => break,
            }
            reports.extend(lines.extract_if(.., |line| line.waiting.is_empty()).flat_map(|line| line.ended));
        }
        let reason = self.may_try(cx).err().unwrap_or_else(|| pass.reason());
        reports.extend(lines.into_iter().flat_map(|line| line.abandon(&reason)));
        reports
    }

    /// Tries the orders of one resource in turn, as far as one that has to wait.
    async fn turn(&self, cx: &OpContext, pass: &Pass<'_>, mut line: Line) -> Line {
        while let Some(case) = line.waiting.pop_front() {
            if !pass.may_begin() {
                line.waiting.push_front(case);
                break;
            }
            let case = self.in_lane(cx, case).await;
            pass.note(&case);
            line.due = case.pause.and_then(|pause| self.environment().instant().checked_add(pause));
            if line.is_tried() {
                line.waiting.push_front(case);
                break;
            }
            line.ended.push(case.into_report());
        }
        line
    }

    /// One attempt, in the lane of the order's resource. The lane is free while the order pauses.
    async fn in_lane(&self, cx: &OpContext, case: Case) -> Case {
        let (this, cx) = (self.clone(), cx.child(case.report.order.hex()));
        let resource = case.report.resource;
        // Boxed here, once for each attempt: the state of a whole order would else be a part of every caller's future.
        let attempt: BoxFuture<'static, Case> = Box::pin(async move { this.attempt(&cx, case).await });
        match resource {
            None => attempt.await,
            Some(resource) => self.0.served.lanes.run(resource, attempt).await,
        }
    }

    /// One attempt. All but the first read the order anew; a failed reading is an attempt like any other.
    async fn attempt(&self, cx: &OpContext, mut case: Case) -> Case {
        case.pause = None;
        if let Err(error) = self.may_try(cx) {
            if !case.is_begun() {
                case.report.outcome = OrderOutcome::Deferred(error);
            }
            return case;
        }
        let begun = *case.begun.get_or_insert_with(|| self.environment().instant());
        case.report.attempts += 1;
        let job = Job::with_notes(cx, std::mem::take(&mut case.notes));
        let order = match case.order.take() {
            Some(order) => Ok(*order),
            None => self.waldur(cx).orders().get(case.report.order).await,
        };
        case.report.outcome = match order {
            Ok(order) => self.once(&job, &order).await,
            Err(error) => OrderOutcome::Deferred(error),
        };
        if let OrderOutcome::Deferred(error) = &case.report.outcome {
            case.pause = retry::pause(&self.policy().retry, self.environment(), cx, begun, case.report.attempts, error);
        }
        case.notes = job.into_notes();
        case
    }

    /// Whether the caller lets another attempt begin.
    fn may_try(&self, cx: &OpContext) -> Result<()> {
        cx.checkpoint()?;
        let now = self.environment().instant();
        if cx.deadline.is_some_and(|deadline| now >= deadline) {
            let text = "the deadline of the run passed before this was tried";
            return Err(Error::new(ErrorKind::DeadlineExceeded, text));
        }
        Ok(())
    }

    fn left_over(&self) -> HashSet<OrderUuid> {
        self.0.left_over.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn leave_over(&self, orders: HashSet<OrderUuid>) {
        *self.0.left_over.lock().unwrap_or_else(PoisonError::into_inner) = orders;
    }
}
