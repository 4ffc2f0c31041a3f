//! Update: options, plan, limits, in this order (core.md §2.9). Waldur applies them to the resource itself when the order
//! is done.

use super::{
    Job, OrderOutcome, OrderProcessor,
    convert::{limits, option_change},
    finish::Proof,
};
use crate::{
    backend::{LimitChange, MarketplaceResource, OptionChange, PlanChange, Progress},
    client::{Order, Resource},
    error::{Error, Result},
    types::{Amounts, BackendId, Limit, Limits, PlanUuid},
};

/// What an Update order asks of the back end, resolved.
#[derive(Debug)]
pub(super) struct Changes {
    options: Option<OptionChange>,
    plan: Option<PlanChange>,
    limits: Option<LimitChange>,
}

impl Changes {
    /// What is left when the options are changed.
    pub(super) fn after_options(self) -> Self {
        Self { options: None, ..self }
    }

    /// What is left when the resource is on its plan.
    pub(super) fn after_plan(self) -> Self {
        Self { options: None, plan: None, ..self }
    }

    /// The limits to set, if there are any.
    pub(super) fn limits(&self) -> Option<&Limits> {
        self.limits.as_ref().map(|change| &change.limits)
    }
}

impl OrderProcessor {
    pub(super) async fn update(
        &self,
        job: &Job<'_>,
        order: &Order,
        resource: &Resource,
        side: MarketplaceResource,
    ) -> Result<OrderOutcome> {
        let changes = self.changes(job, order, resource, side).await?;
        self.apply(job, order, changes, Proof::nothing_to_do()).await
    }

    /// Whatever may be wrong with the order is found here, before its first effect.
    pub(super) async fn changes(
        &self,
        job: &Job<'_>,
        order: &Order,
        resource: &Resource,
        side: MarketplaceResource,
    ) -> Result<Changes> {
        let Some(id) = resource.backend_id.clone() else {
            return Err(Error::rejected("The resource was never created, so it cannot be changed."));
        };
        job.uses(&id);
        let (switches, quotas) = self.plan_of(job, order, &side).await?;
        let limits = self.new_limits(order, resource, quotas.clone())?;
        let options = option_change(order, resource).filter(|(old, new)| old != new);
        let old = side.plan.or(order.old_plan_uuid);
        let plan = switches.map(|new| PlanChange::new(order.uuid, side.clone(), id.clone(), old, new, quotas));
        Ok(Changes {
            options: options.map(|(old, new)| OptionChange::new(order.uuid, side.clone(), id.clone(), old, new)),
            plan,
            limits: limits.map(|limits| self.limit_change(order, side, id, limits)),
        })
    }

    /// Takes the steps that are left. One that goes on ends this pass over the order; what comes after it is taken up when
    /// it has come to its end.
    pub(super) async fn apply(
        &self,
        job: &Job<'_>,
        order: &Order,
        changes: Changes,
        mut proof: Proof,
    ) -> Result<OrderOutcome> {
        if let Some(change) = &changes.options {
            job.cx.step("options");
            match self.backend().update_options(job.cx, change).await? {
                Progress::Done(()) => proof = Proof::acknowledged(),
                Progress::Pending { handle, .. } => return self.leave_pending(job, order, &handle).await,
            }
        }
        if let Some(change) = &changes.plan {
            job.cx.step("plan");
            match self.backend().update_plan(job.cx, change).await? {
                Progress::Done(()) => proof = Proof::acknowledged(),
                Progress::Pending { handle, .. } => return self.leave_pending(job, order, &handle).await,
            }
        }
        if let Some(change) = &changes.limits {
            job.cx.step("limits");
            match self.backend().set_limits(job.cx, change).await? {
                Progress::Done(limits) => {
                    for warning in limits.warnings() {
                        job.warn("limits", warning.clone());
                    }
                    proof = Proof::from(limits);
                }
                Progress::Pending { handle, .. } => return self.leave_pending(job, order, &handle).await,
            }
        }
        self.finish(job, order, proof).await
    }

    fn limit_change(&self, order: &Order, side: MarketplaceResource, id: BackendId, limits: Limits) -> LimitChange {
        let mut change = LimitChange::new(side, id, limits);
        change.order = Some(order.uuid);
        change.prepaid = self.has_prepaid();
        change
    }

    /// The plan that the order switches to, if it does, and what its plan grants, if that matters: to a switch, and to
    /// an order without limits.
    async fn plan_of(
        &self,
        job: &Job<'_>,
        order: &Order,
        side: &MarketplaceResource,
    ) -> Result<(Option<PlanUuid>, Amounts)> {
        let Some(plan) = order.new_plan_uuid.or(order.plan_uuid) else { return Ok((None, Amounts::new())) };
        let switches = side.plan.or(order.old_plan_uuid).is_some_and(|old| old != plan);
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
