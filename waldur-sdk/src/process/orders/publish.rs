//! What Waldur is told of an object beside its order: metadata, limits, endpoints.

use futures_util::future::{join, join3};

use super::{FollowUp, Job, OrderProcessor, course::is_gone};
use crate::{
    backend::{Created, MarketplaceResource, OpContext, Origin, ResourceState, Status},
    client::{Feature, Resource},
    error::{Error, ErrorClass, ErrorKind, Result},
    process::{convert, failure::shielded},
    types::{BackendId, Endpoint, Limits, ResourceUuid},
};

impl OrderProcessor {
    /// Sends again what Waldur refused when an order ended ([`FollowUp::PublishResource`]): the endpoints as they were
    /// made, and the refused limits as the back end has them by now. (Refused metadata are published by the next
    /// membership synchronisation.) May be repeated until Waldur accepts it. Sends nothing for any other follow-up, or
    /// if the resource is on its way out or has another object by now.
    ///
    /// # Errors
    /// When Waldur refuses again, or either side cannot be asked; limits wait while the resource is paused or downscaled, and
    /// while the back end does not tell them.
    pub async fn publish(&self, cx: &OpContext, follow_up: &FollowUp) -> Result<()> {
        let FollowUp::PublishResource { resource, backend_id, limits, endpoints, .. } = follow_up.clone() else {
            return Ok(());
        };
        let (this, cx) = (self.clone(), cx.child(resource.hex()));
        let again = async move { shielded(this.publish_again(&cx, resource, &backend_id, limits, &endpoints)).await };
        self.0.served.lanes.run(resource, again).await
    }

    async fn publish_again(
        &self,
        cx: &OpContext,
        resource: ResourceUuid,
        id: &BackendId,
        refused: Option<Limits>,
        endpoints: &[Endpoint],
    ) -> Result<()> {
        cx.checkpoint()?;
        let waldur = self.waldur(cx);
        let row = waldur.provider_resources().get(resource).await?;
        if is_gone(&row) || row.backend_id.as_ref() != Some(id) {
            return Ok(());
        }
        let limits = match refused {
            Some(refused) => self.limits_again(cx, &row, id, &refused).await,
            None => Ok(None),
        };
        if endpoints.is_empty() && !matches!(limits, Ok(Some(_))) {
            return limits.map(drop);
        }
        if self.policy().dry_run {
            return Err(Error::new(ErrorKind::DryRun, format!("more of resource {resource} would be published")));
        }
        cx.step("publish");
        let limits = async {
            match limits? {
                Some(limits) => waldur.publish_limits(resource, &limits).await,
                None => Ok(()),
            }
        };
        let endpoints = async {
            if endpoints.is_empty() {
                return Ok(());
            }
            waldur.provider_resources().set_endpoints(resource, endpoints).await
        };
        let (limits, endpoints) = join(limits, endpoints).await;
        limits.and(endpoints)
    }

    /// The limits that Waldur is to have, of which some were `refused`: those as the back end has them by now, since an order
    /// may have changed them, and the others as they are, since the call replaces them all. `None` where Waldur has them.
    ///
    /// # Errors
    /// While the resource is paused or downscaled, or is to be: what holds then is not what was sold.
    async fn limits_again(
        &self,
        cx: &OpContext,
        row: &Resource,
        id: &BackendId,
        refused: &Limits,
    ) -> Result<Option<Limits>> {
        let stamp = convert::marketplace(row, self.offering()).stamp();
        let found = ResourceState::owned(self.backend().get(cx, id).await?, id, stamp, Origin::Recorded)?;
        let is_closed = row.paused == Some(true) || row.downscaled == Some(true);
        if is_closed || found.status != Status::Active {
            return Err(Error::not_ready(format!("{id} is paused or downscaled: its limits are not what was sold")));
        }
        let before = convert::limits(&row.limits)?;
        let mut limits = before.clone();
        for name in refused.keys() {
            let found = found.limits.get(name);
            let found = found
                .ok_or_else(|| Error::not_ready(format!("{id}: the back end does not tell the limit of {name}")))?;
            limits.insert(name.clone(), *found);
        }
        Ok(Some(limits).filter(|limits| *limits != before))
    }

    /// Tells Waldur what was made, as far as it does not know yet. A refusal for good is a warning and a follow-up; a
    /// passing failure is tried again with the order.
    pub(super) async fn publish_created(
        &self,
        job: &Job<'_>,
        side: &MarketplaceResource,
        created: &Created,
    ) -> Result<()> {
        let waldur = self.waldur(job.cx);
        let resources = waldur.provider_resources();
        let limits = async {
            match &created.limits {
                Some(limits) => waldur.publish_limits(side.uuid, limits).await,
                None => Ok(()),
            }
        };
        let metadata = async {
            // The call replaces the whole object: members of others are kept.
            let mut merged = side.metadata.clone();
            merged.extend(created.metadata.iter().map(|(name, value)| (name.clone(), value.clone())));
            if merged == side.metadata {
                return Ok(());
            }
            resources.set_backend_metadata(side.uuid, &merged).await
        };
        let endpoints = async {
            // What the server has said not to have is not tried again; it was said then.
            if created.endpoints.is_empty() || waldur.features().is_missing(Feature::Endpoints) {
                return Ok(());
            }
            resources.set_endpoints(side.uuid, &created.endpoints).await
        };
        let (limits, metadata, endpoints) = join3(limits, metadata, endpoints).await;
        let outcomes = [("set_limits", limits), ("set_backend_metadata", metadata), ("set_endpoints", endpoints)];
        let mut refused = Vec::new();
        for (step, outcome) in outcomes {
            match outcome {
                Ok(()) => {}
                // A finished order is never looked at again, so what Waldur may take later keeps this one going.
                Err(error) if error.is_passing() => {
                    return Err(error);
                }
                // A server of 2024 has no such call; there is nothing to follow up.
                Err(error) if error.class() == ErrorClass::Unsupported => {
                    waldur.features().note(&error);
                    job.warn(step, error);
                }
                Err(error) => {
                    job.warn(step, error);
                    refused.push(step);
                }
            }
        }
        if let (Some(backend_id), false) = (job.backend_id(), refused.is_empty()) {
            job.follow_up(FollowUp::PublishResource {
                resource: side.uuid,
                backend_id,
                limits: created.limits.clone().filter(|_| refused.contains(&"set_limits")),
                endpoints: if refused.contains(&"set_endpoints") { created.endpoints.clone() } else { Vec::new() },
                metadata: refused.contains(&"set_backend_metadata"),
            });
        }
        Ok(())
    }
}
