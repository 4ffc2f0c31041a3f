//! Update: limits, plan, options (core.md §2.9). Waldur applies them to the resource itself when the order is done.

use super::{
    Job, OrderOutcome, OrderProcessor,
    convert::{limits, option_change},
    finish::Proof,
};
use crate::{
    backend::{LimitChange, MarketplaceResource, OptionChange, PlanChange, Progress},
    client::{Order, Resource},
    error::{Error, Result},
    types::{BackendId, Limit, Limits},
};

impl OrderProcessor {
    pub(super) async fn update(
        &self,
        job: &Job<'_>,
        order: &Order,
        resource: &Resource,
        side: MarketplaceResource,
    ) -> Result<OrderOutcome> {
        let Some(id) = resource.backend_id.clone() else {
            return Err(Error::rejected("The resource was never created, so it cannot be changed."));
        };
        job.uses(&id);
        let mut proof = Proof::nothing_to_do();
        if let Some((old, new)) = option_change(order, resource)
            && old != new
        {
            job.cx.step("options");
            let change = OptionChange::new(order.uuid, side.clone(), id.clone(), old, new);
            match self.backend().update_options(job.cx, &change).await? {
                Progress::Done(()) => proof = Proof::acknowledged(),
                Progress::Pending { handle, .. } => return self.leave_pending(job, order, &handle).await,
            }
        }
        if let Some(pending) = self.switch_plan(job, order, &side, &id).await? {
            return self.leave_pending(job, order, &pending).await;
        }
        if let Some(change) = self.limit_change(job, order, resource, side, id).await? {
            job.cx.step("limits");
            match self.backend().set_limits(job.cx, &change).await? {
                Progress::Done(limits) => proof = Proof::from(limits),
                Progress::Pending { handle, .. } => return self.leave_pending(job, order, &handle).await,
            }
        }
        self.finish(job, order, proof).await
    }

    /// Tells the back end of a plan switch, if the order is one. Answers the handle of work that goes on.
    async fn switch_plan(
        &self,
        job: &Job<'_>,
        order: &Order,
        side: &MarketplaceResource,
        id: &BackendId,
    ) -> Result<Option<String>> {
        let Some(new) = order.plan_uuid.filter(|new| side.plan.is_some_and(|old| old != *new)) else {
            return Ok(None);
        };
        job.cx.step("plan");
        let quotas = self.quotas_of(job, new).await?;
        let change = PlanChange::new(order.uuid, side.clone(), id.clone(), side.plan, new, quotas);
        match self.backend().update_plan(job.cx, &change).await? {
            Progress::Done(()) => Ok(None),
            Progress::Pending { handle, .. } => Ok(Some(handle)),
        }
    }

    /// The limits to set: those of the order, or the quotas of its plan when it names none (fixed-price offerings).
    /// `None` when the back end has them already and nothing is prepaid.
    async fn limit_change(
        &self,
        job: &Job<'_>,
        order: &Order,
        resource: &Resource,
        side: MarketplaceResource,
        id: BackendId,
    ) -> Result<Option<LimitChange>> {
        let old = limits(&resource.limits)?;
        let mut new = limits(&order.limits)?;
        if new.is_empty()
            && let Some(plan) = order.plan_uuid
        {
            let quotas = self.quotas_of(job, plan).await?;
            new = quotas.into_iter().map(|(component, amount)| (component, Limit::At(amount))).collect::<Limits>();
        }
        let prepaid = self.has_prepaid();
        if new.is_empty() || (new == old && !prepaid) {
            return Ok(None);
        }
        let mut change = LimitChange::new(side, id, new);
        change.order = Some(order.uuid);
        change.prepaid = prepaid;
        Ok(Some(change))
    }
}
