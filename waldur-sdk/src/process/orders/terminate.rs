//! Terminate: remove and prove absence, or, softly, leave the object with nothing in it.

use super::{Job, OrderOutcome, OrderProcessor, finish::Proof};
use crate::{
    backend::{DeleteRequest, LimitChange, MarketplaceResource, Progress, Removed, Verified},
    client::{Order, Resource},
    error::Result,
    types::{Limit, Limits, WaldurAmount},
};

impl OrderProcessor {
    pub(super) async fn terminate(
        &self,
        job: &Job<'_>,
        order: &Order,
        resource: &Resource,
        side: MarketplaceResource,
    ) -> Result<OrderOutcome> {
        let Some(id) = resource.backend_id.clone() else {
            return self.finish(job, order, Proof::nothing_to_do()).await;
        };
        job.uses(&id);
        let proof = if self.policy().soft_delete {
            job.cx.step("zero limits");
            let mut change = LimitChange::new(side, id.clone(), self.zero_limits(resource));
            change.order = Some(order.uuid);
            let found = self.backend().get(job.cx, &id).await?;
            if found.is_none() {
                Proof::from(Verified::removed(&id, Removed::AlreadyAbsent, found.as_ref())?)
            } else {
                match self.backend().set_limits(job.cx, &change).await? {
                    Progress::Done(limits) => Proof::from(limits),
                    Progress::Pending { handle, .. } => return self.leave_pending(job, order, &handle).await,
                }
            }
        } else {
            job.cx.step("delete");
            match self.backend().delete(job.cx, &DeleteRequest::new(order.uuid, side, id)).await? {
                Progress::Done(removed) => Proof::from(removed),
                Progress::Pending { handle, .. } => return self.leave_pending(job, order, &handle).await,
            }
        };
        self.finish(job, order, proof).await
    }

    /// What a soft end leaves of a resource.
    pub(super) fn zero_limits(&self, resource: &Resource) -> Limits {
        self.limited_components(resource).map(|name| (name, Limit::At(WaldurAmount::ZERO))).collect()
    }
}
