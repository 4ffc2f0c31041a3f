//! The pass, the lanes, the retries, and the way of one order through its states.

use futures_util::{StreamExt, future::join, stream};

use super::{
    Job, OrderOutcome, OrderProcessor, OrderReport, OrderRunReport,
    convert::{marketplace, pending_order},
    create::Creation,
};
use crate::{
    backend::{Evaluation, MarketplaceResource, OpContext, PendingWork, Progress, Settled},
    client::{Order, OrderQuery, OrderState, OrderType, Resource},
    error::{Error, ErrorClass, ErrorKind, Result},
    types::OrderUuid,
};

/// An order with everything that its work needs.
enum Work {
    Create(Box<Creation>),
    Update(Box<Resource>, MarketplaceResource),
    Terminate(Box<Resource>, MarketplaceResource),
    Check(PendingWork),
}

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
        let (uuid, order_type) = (order.uuid, order.kind.clone());
        let (resource, resource_name) = (order.resource_uuid, order.resource_name.clone());
        let retry = &self.policy().retry;
        let begin = self.environment().instant();
        let job = Job::new(cx);
        let mut current = Ok(order);
        let mut attempt = 1;
        let outcome = loop {
            let outcome = match current {
                Ok(order) => self.once(&job, &order).await,
                Err(error) => OrderOutcome::Deferred(error),
            };
            let OrderOutcome::Deferred(error) = &outcome else { break outcome };
            if error.class() != ErrorClass::Transient || attempt >= retry.max_attempts || cx.is_cancelled() {
                break outcome;
            }
            let pause = retry.pause(attempt, error.retry_after(), self.environment());
            let now = self.environment().instant();
            if now.saturating_duration_since(begin) + pause >= retry.max_elapsed
                || cx.deadline.is_some_and(|deadline| now + pause >= deadline)
            {
                break outcome;
            }
            self.environment().sleep(pause).await;
            attempt += 1;
            current = self.waldur(cx).orders().get(uuid).await;
        };
        let notes = job.into_notes();
        OrderReport {
            order: uuid,
            order_type,
            resource,
            resource_name: resource_name.unwrap_or_default(),
            backend_id: notes.backend_id,
            outcome,
            warnings: notes.warnings,
            follow_ups: notes.follow_ups,
            attempts: attempt,
        }
    }

    async fn once(&self, job: &Job<'_>, order: &Order) -> OrderOutcome {
        if let Err(error) = job.cx.checkpoint() {
            return OrderOutcome::Deferred(error);
        }
        match &order.state {
            OrderState::Done | OrderState::Erred => OrderOutcome::AlreadyFinished(order.state.clone()),
            OrderState::Executing if self.policy().dry_run => OrderOutcome::DryRun,
            OrderState::Executing => {
                let resource = self.resource(job, order).await;
                let work = self.prepare(job, order, resource).await;
                self.carry_out(job, order, work).await
            }
            OrderState::PendingProvider => self.decide(job, order).await,
            other => OrderOutcome::NotOurs(other.clone()),
        }
    }

    /// Evaluates an order, and approves and provisions it if that is the word. Until the order is known to be
    /// executing, no failure changes it.
    async fn decide(&self, job: &Job<'_>, order: &Order) -> OrderOutcome {
        job.cx.step("evaluate");
        let evaluation = match pending_order(order) {
            Ok(pending) => self.backend().evaluate(job.cx, &pending).await,
            // A limit that makes no sense is refused by provisioning, with its own words.
            Err(_) => Ok(Evaluation::Accept),
        };
        let waldur = self.waldur(job.cx);
        match evaluation {
            Err(error) => OrderOutcome::Deferred(error),
            Ok(Evaluation::Pending) => OrderOutcome::AwaitingDecision,
            Ok(_) if self.policy().dry_run => OrderOutcome::DryRun,
            Ok(Evaluation::Reject { comment }) => {
                job.cx.step("reject");
                match waldur.orders().reject_by_provider(order.uuid, comment.as_deref()).await {
                    Ok(()) => OrderOutcome::Rejected,
                    Err(error) => OrderOutcome::Deferred(error),
                }
            }
            Ok(Evaluation::Accept) => self.approve(job, order).await,
        }
    }

    /// Approves, reads the order again, and provisions only if it is executing. Reading the resource goes out with
    /// the approval, and the reservation of the id with the second reading: neither changes anything on the back end.
    async fn approve(&self, job: &Job<'_>, order: &Order) -> OrderOutcome {
        job.cx.step("approve");
        let waldur = self.waldur(job.cx);
        let orders = waldur.orders();
        let (approval, resource) = join(orders.approve_by_provider(order.uuid), self.resource(job, order)).await;
        let (state, work) = match approval {
            Ok(()) => {
                let (state, work) = join(orders.state(order.uuid), self.prepare(job, order, resource)).await;
                (state, Some(work))
            }
            // Somebody else approved, or the customer withdrew: the order itself tells.
            Err(error) if error.kind() == ErrorKind::Conflict => match orders.state(order.uuid).await {
                Ok(OrderState::Executing) => {
                    (Ok(OrderState::Executing), Some(self.prepare(job, order, resource).await))
                }
                state => (state, None),
            },
            Err(error) => return OrderOutcome::Deferred(error),
        };
        match (state, work) {
            (Ok(OrderState::Executing), Some(work)) => self.carry_out(job, order, work).await,
            (Ok(state @ (OrderState::Done | OrderState::Erred)), _) => OrderOutcome::AlreadyFinished(state),
            (Ok(state), _) => OrderOutcome::NotOurs(state),
            (Err(error), _) => OrderOutcome::Deferred(error),
        }
    }

    async fn resource(&self, job: &Job<'_>, order: &Order) -> Result<Resource> {
        match order.resource_uuid {
            Some(resource) => self.waldur(job.cx).provider_resources().get(resource).await,
            None => Err(Error::new(ErrorKind::Decode, "the order names no resource")),
        }
    }

    async fn prepare(&self, job: &Job<'_>, order: &Order, resource: Result<Resource>) -> Result<Work> {
        let resource = resource?;
        let side = marketplace(&resource, order, self.offering());
        // Other systems write this field too; it means something only to a back end that asked for it (C29).
        if self.backend().pending().is_some()
            && let Some(handle) = &order.backend_id
        {
            let id = resource.backend_id.clone();
            if let Some(id) = &id {
                job.uses(id);
            }
            let work = PendingWork::new(order.uuid, order.kind.as_str(), handle, side, id);
            return Ok(Work::Check(work));
        }
        match order.kind {
            OrderType::Create | OrderType::Restore => {
                let creation = self.prepare_create(job, order, &resource, side).await?;
                Ok(Work::Create(Box::new(creation)))
            }
            OrderType::Update => Ok(Work::Update(Box::new(resource), side)),
            OrderType::Terminate => Ok(Work::Terminate(Box::new(resource), side)),
            // Nothing may be guessed about an order type of a newer server; an upgrade of this agent will know it.
            ref other => Err(Error::not_ready(format!("orders of type {other} are not known to this version"))),
        }
    }

    async fn carry_out(&self, job: &Job<'_>, order: &Order, work: Result<Work>) -> OrderOutcome {
        let outcome = match work {
            Ok(Work::Create(creation)) => self.create(job, order, *creation).await,
            Ok(Work::Update(resource, side)) => self.update(job, order, &resource, side).await,
            Ok(Work::Terminate(resource, side)) => self.terminate(job, order, &resource, side).await,
            Ok(Work::Check(work)) => self.check(job, order, work).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(outcome) => outcome,
            Err(error) => self.fail(job, order, error).await,
        }
    }

    /// Asks about work that an earlier pass left going on.
    async fn check(&self, job: &Job<'_>, order: &Order, work: PendingWork) -> Result<OrderOutcome> {
        let Some(pending) = self.backend().pending() else {
            return Err(Error::unsupported("work that goes on"));
        };
        job.cx.step("check");
        match pending.check(job.cx, &work).await? {
            Progress::Pending { .. } => Ok(OrderOutcome::Executing),
            Progress::Done(Settled::Created(created)) => {
                let team = self.team(job, &work.resource).await;
                self.complete_create(job, order, &work.resource, &team, created).await
            }
            Progress::Done(Settled::Changed) => self.finish(job, order, super::finish::Proof::acknowledged()).await,
            Progress::Done(Settled::Removed(removed)) => self.finish(job, order, removed.into()).await,
        }
    }
}
