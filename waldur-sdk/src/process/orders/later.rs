//! Orders that the back end finishes later (core.md §2.8).

use super::{Job, OrderOutcome, OrderProcessor, change::Changes, create::ordered_limits, finish::Proof};
use crate::{
    backend::{MarketplaceResource, PendingWork, Progress, Settled},
    client::{Order, OrderType, Resource},
    error::{Error, ErrorKind, Result},
    types::Limits,
};

/// Work that an earlier pass left going on.
#[derive(Debug)]
pub(super) struct Later {
    resource: Resource,
    work: PendingWork,
    /// What the whole of an Update order asks for; other orders have one step.
    changes: Option<Changes>,
}

impl OrderProcessor {
    /// Gathers what a question about the work behind `handle` needs.
    pub(super) async fn prepare_check(
        &self,
        job: &Job<'_>,
        order: &Order,
        handle: &str,
        resource: Resource,
        side: MarketplaceResource,
    ) -> Result<Later> {
        if let Some(id) = &resource.backend_id {
            job.uses(id);
        }
        let (mut changes, mut limits) = (None, Limits::new());
        match order.kind {
            OrderType::Update => {
                let all = self.changes(job, order, &resource, side.clone()).await?;
                limits = all.limits().cloned().unwrap_or_default();
                changes = Some(all);
            }
            OrderType::Terminate if self.policy().soft_delete => limits = self.zero_limits(&resource),
            OrderType::Terminate => {}
            _ => limits = ordered_limits(order, &resource)?,
        }
        let id = resource.backend_id.clone();
        let work = PendingWork::new(order.uuid, order.kind.clone(), handle, side, id).with_limits(limits);
        Ok(Later { resource, work, changes })
    }

    /// Asks how far the work is, and goes on with the order when it has come to its end.
    pub(super) async fn check(&self, job: &Job<'_>, order: &Order, later: Later) -> Result<OrderOutcome> {
        let Some(pending) = self.backend().pending() else {
            return Err(Error::unsupported("work that goes on"));
        };
        job.cx.step("check");
        let error = match pending.check(job.cx, &later.work).await {
            Ok(Progress::Pending { .. }) => return Ok(OrderOutcome::Executing),
            Ok(Progress::Done(settled)) => return self.settled(job, order, later, settled).await,
            Err(error) => error,
        };
        let id = later.resource.backend_id.filter(|_| matches!(order.kind, OrderType::Create));
        let Some(id) = id else { return Err(error) };
        let (side, reservation) = (&later.work.resource, self.recorded(&later.work.resource, id, order));
        Err(self.give_back(job, side, order, &reservation, error).await)
    }

    /// An order takes only the word that fits it: another would be no proof of what it asks for.
    async fn settled(&self, job: &Job<'_>, order: &Order, later: Later, settled: Settled) -> Result<OrderOutcome> {
        let Later { resource, work, changes } = later;
        match (&order.kind, settled, changes) {
            (OrderType::Create | OrderType::Restore, Settled::Created(created), _) => {
                let team = self.team(job, &resource).await;
                // As with a creation that ends at once: what the order says counts.
                let mut side = work.resource;
                side.limits.extend(work.limits);
                self.complete_create(job, order, &side, &team, created).await
            }
            (OrderType::Update, Settled::Options, Some(changes)) => {
                self.apply(job, order, changes.after_options(), Proof::acknowledged()).await
            }
            (OrderType::Update, Settled::Plan, Some(changes)) => {
                self.apply(job, order, changes.after_plan(), Proof::acknowledged()).await
            }
            (OrderType::Update, Settled::Limits(limits), Some(changes)) if changes.limits().is_some() => {
                self.finish(job, order, Proof::from(limits)).await
            }
            (OrderType::Terminate, Settled::Limits(limits), _) if self.policy().soft_delete => {
                self.finish(job, order, Proof::from(limits)).await
            }
            (OrderType::Terminate, Settled::Removed(removed), _) => self.finish(job, order, removed.into()).await,
            (kind, settled, _) => Err(misfit(kind, &settled)),
        }
    }
}

fn misfit(kind: &OrderType, settled: &Settled) -> Error {
    let what = match settled {
        Settled::Created(_) => "a creation",
        Settled::Options => "a change of options",
        Settled::Plan => "a switch of plans",
        Settled::Limits(_) => "a change of limits",
        Settled::Removed(_) => "a removal",
    };
    Error::new(ErrorKind::Inconsistent, format!("the back end ended {what}, which this {kind} order does not ask for"))
}
