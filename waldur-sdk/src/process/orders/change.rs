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
    types::{Amounts, Limit, Limits, PlanUuid},
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
        // Whatever may be wrong with the order is found before its first effect.
        let (switches, quotas) = self.plan_of(job, order, &side).await?;
        let limits = self.new_limits(order, resource, quotas.clone())?;
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
        if let Some(new) = switches {
            job.cx.step("plan");
            let change = PlanChange::new(order.uuid, side.clone(), id.clone(), side.plan, new, quotas);
            match self.backend().update_plan(job.cx, &change).await? {
                Progress::Done(()) => proof = Proof::acknowledged(),
                Progress::Pending { handle, .. } => return self.leave_pending(job, order, &handle).await,
            }
        }
        if let Some(limits) = limits {
            job.cx.step("limits");
            let mut change = LimitChange::new(side, id, limits);
            change.order = Some(order.uuid);
            change.prepaid = self.has_prepaid();
            match self.backend().set_limits(job.cx, &change).await? {
                Progress::Done(limits) => proof = Proof::from(limits),
                Progress::Pending { handle, .. } => return self.leave_pending(job, order, &handle).await,
            }
        }
        self.finish(job, order, proof).await
    }

    /// The plan that the order switches to, if it does, and what its plan grants, if that matters: to a switch, and to
    /// an order without limits.
    async fn plan_of(
        &self,
        job: &Job<'_>,
        order: &Order,
        side: &MarketplaceResource,
    ) -> Result<(Option<PlanUuid>, Amounts)> {
        let Some(plan) = order.plan_uuid else { return Ok((None, Amounts::new())) };
        let switches = side.plan.is_some_and(|old| old != plan);
        let quotas =
            if switches || order.limits.is_empty() { self.quotas_of(job, plan).await? } else { Amounts::new() };
        Ok((switches.then_some(plan), quotas))
    }

    /// The limits to set: those of the order, or the quotas of its plan when it names none (fixed-price offerings).
    /// `None` when the back end has them already and nothing is prepaid.
    fn new_limits(&self, order: &Order, resource: &Resource, quotas: Amounts) -> Result<Option<Limits>> {
        let old = limits(&resource.limits)?;
        let mut new = limits(&order.limits)?;
        if new.is_empty() {
            new = quotas.into_iter().map(|(component, amount)| (component, Limit::At(amount))).collect();
        }
        let unchanged = new == old && !self.has_prepaid();
        Ok((!new.is_empty() && !unchanged).then_some(new))
    }
}
