//! Terminate: remove and prove absence, or, softly, leave the object with nothing granted and nobody to reach it.

use super::{Job, OrderOutcome, OrderProcessor, finish::Proof};
use crate::{
    backend::{
        DeleteRequest, LimitChange, MarketplaceResource, Origin, Ownership, Progress, Removed, ResourceState, Verified,
    },
    client::{Order, Resource},
    error::{Error, ErrorKind, Result},
    process::keys::withdraw,
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
            let found = self.backend().get(job.cx, &id).await?;
            if found.is_none() {
                Proof::from(Verified::removed(&id, Removed::AlreadyAbsent, found.as_ref())?)
            } else {
                let found = ResourceState::owned(found, &id, side.stamp(), Origin::Recorded)?;
                self.shut_out(job, &side, &found).await?;
                job.cx.step("zero limits");
                let mut change = LimitChange::new(side, id, self.zero_limits(resource));
                change.order = Some(order.uuid);
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

    /// Takes members and keys from an object that is kept. Nobody would do so later: a terminated resource is looked at by
    /// nothing but a Restore order, which gives both again.
    async fn shut_out(&self, job: &Job<'_>, side: &MarketplaceResource, found: &ResourceState) -> Result<()> {
        self.take_access(job, side, &found.id).await?;
        let Some(keys) = self.backend().keys() else { return Ok(()) };
        job.cx.step("take keys");
        withdraw(&self.waldur(job.cx), keys, job.cx, side, found).await?;
        if found.ownership(side.stamp()) == Ownership::Unmarked {
            let text = "the object is without the resource's stamp, so only keys that Waldur lists were taken: others go on working";
            job.warn("take keys", Error::new(ErrorKind::Foreign, text));
        }
        Ok(())
    }

    /// What a soft end leaves of a resource.
    pub(super) fn zero_limits(&self, resource: &Resource) -> Limits {
        self.limited_components(resource).map(|name| (name, Limit::At(WaldurAmount::ZERO))).collect()
    }
}
